-- What a tenant sends. Each statement must have the same result, tag and
-- SQLSTATE through the proxy as on a database with that tenant's rows alone,
-- and leave the same rows behind. A line "--? 5, 'x'" gives the values of
-- parameters; "--! rewrite both: 0A000" says where a statement is refused. The
-- comparison ignores the order of rows unless a statement has ORDER BY.

-- One table.
SELECT * FROM patients;
SELECT id, name, born FROM patients WHERE born < '1980-01-01' ORDER BY id;
SELECT count(*) FROM patients;
SELECT tenant_id, count(*) FROM appointments GROUP BY tenant_id;
SELECT p.* FROM patients p WHERE p.id = 3;
SELECT patients.name FROM patients WHERE patients.id IN (1, 2, 3) ORDER BY 1;
SELECT public.patients.name FROM public.patients ORDER BY public.patients.id;
SELECT "name" AS "Patient Name", 'x' "y" FROM "patients" ORDER BY id LIMIT 3;
SELECT NAME FROM PATIENTS WHERE ID = 1;
SELECT name FROM patients WHERE id = 1 OR name LIKE 'A%' OR balance > 10;
SELECT name FROM patients WHERE (id = 1 OR name LIKE 'A%') IS NOT NULL;
SELECT name FROM patients WHERE NOT (id = 1 OR country IS NULL);
SELECT name FROM patients WHERE true;
SELECT name FROM patients WHERE tenant_id = 2;
SELECT name FROM patients WHERE tenant_id = 1 AND id < 4;
SELECT DISTINCT country FROM patients;
SELECT DISTINCT ON (country) country, id, name FROM patients ORDER BY country, id;
SELECT id FROM patients ORDER BY balance DESC, id OFFSET 2 LIMIT 4;
SELECT id FROM patients ORDER BY id FETCH FIRST 3 ROWS ONLY;
SELECT balance FROM patients ORDER BY balance FETCH FIRST 2 ROWS WITH TIES;
SELECT name FROM patients ORDER BY born NULLS FIRST, id;
SELECT * FROM tenants;
SELECT * FROM billing.payments WHERE method = 'card' ORDER BY id;
SELECT * FROM "Order" WHERE "Total Amount" > 5 ORDER BY "Id";
SELECT "user" FROM "Order" AS "o p" WHERE "o p"."Id" = 2;
SELECT * FROM settings ORDER BY name;
SELECT * FROM legacy_codes ORDER BY code;
SELECT * FROM log_lines ORDER BY level, line;
SELECT * FROM events WHERE at >= '2026-02-01' ORDER BY id;
SELECT * FROM events_2026_01 ORDER BY id;
SELECT * FROM ONLY patients ORDER BY id;
SELECT * FROM ONLY (patients) ORDER BY id;
SELECT * FROM patients * ORDER BY id;
TABLE patients;
TABLE patients ORDER BY id LIMIT 2;
SELECT count(*) FROM patients TABLESAMPLE SYSTEM (100);
SELECT count(*) FROM patients AS p TABLESAMPLE BERNOULLI (100) REPEATABLE (1) WHERE p.id > 2;
SELECT p FROM patients p ORDER BY id LIMIT 2;
SELECT (p).name, (p).tags[1] FROM patients p ORDER BY id;
SELECT to_jsonb(p) FROM patients p WHERE id = 1;
SELECT row_to_json(p) FROM patients p WHERE id = 2;
SELECT x.a, x.b FROM patients AS x (t, a, b) ORDER BY x.a;
SELECT count(ctid), count(xmin) FROM patients;
SELECT 1;
SELECT 1 AS one, NULL AS nothing, 'a' || 'b';
SELECT;
VALUES (1, 'a'), (2, 'b');
SELECT name -- a comment
FROM patients /* another /* nested */ */ WHERE id = 1 -- at the end
;
SELECT E'it\'s', 'it''s', $$dollar$$, U&'d\0061t\+000061', B'101', X'1F' FROM patients WHERE id = 1;

-- Parameters.
--? 5
SELECT name FROM patients WHERE id = $1;
--? 5
SELECT name FROM patients WHERE id < $1 OR id = $1 + 2 ORDER BY id;
--? 2, 3
SELECT id FROM patients ORDER BY id LIMIT $1 OFFSET $2;
--? {1,3,5}
SELECT name FROM patients WHERE id = ANY ($1) ORDER BY id;
--? {1,3,5}
SELECT name FROM patients WHERE id = ANY ($1::int[]) ORDER BY id;
--? {DE,AT}
SELECT name FROM patients WHERE country <> ALL ($1) ORDER BY id;
--? 'A%'
SELECT name FROM patients WHERE name LIKE $1;
--? '2026-01-10'
SELECT id FROM appointments WHERE starts > $1::timestamptz ORDER BY id;
--? '2026-01-10', '2026-01-20'
SELECT id FROM appointments WHERE starts BETWEEN $1 AND $2 ORDER BY starts;
--? NULL
SELECT id FROM patients WHERE $1::text IS NULL OR name = $1 ORDER BY id;
--? NULL, 4
SELECT id FROM patients WHERE ($1::int IS NULL OR id > $1) AND id < $2 ORDER BY id;
--? 1, 'x'
SELECT $1::int + 1 AS n, $2::text AS s;
--? 1
SELECT id, $1::int AS given FROM patients WHERE id = $1;
--? 7, 7
SELECT count(*) FROM patients WHERE id = $2 AND tenant_id = $1 - 6;
--? 1
SELECT count(*) FROM patients WHERE tenant_id = $1;
--? 2
SELECT count(*) FROM patients WHERE tenant_id = $1;
--? 'done'
SELECT count(*) FROM appointments WHERE status = $1;
--? '{"lang": "de"}'
SELECT id FROM documents WHERE meta @> $1 ORDER BY id;
--? 'vip'
SELECT id FROM patients WHERE $1 = ANY (tags) ORDER BY id;
--? true
SELECT id FROM practitioners WHERE active = $1 ORDER BY id;
--? 10.5
SELECT id FROM patients WHERE balance > $1 ORDER BY id;
--? 'x'
SELECT id FROM patients WHERE id = $1;
--? 1
SELECT id FROM patients WHERE id = $1::nosuch;
--? 5, 3
SELECT id FROM patients WHERE id BETWEEN least($1::int, $2) AND greatest($1, $2::int) ORDER BY id;
--? 2
SELECT country, count(*) FROM patients GROUP BY country HAVING count(*) >= $1 ORDER BY 1;
--? 3
SELECT born FROM patients ORDER BY born FETCH FIRST ($1) ROWS WITH TIES;
--? 1, 2, 3
SELECT name FROM patients WHERE id IN ($1, $2, $3) ORDER BY id;
--? 'Total'
SELECT $1 || ' ' || count(*) FROM patients;
--? 3, 'A'
SELECT id FROM patients WHERE (id, name) > ($1, $2) ORDER BY id, name LIMIT 3;

-- More of one table.
SELECT ALL name FROM patients ORDER BY id;
SELECT id AS "tenant_id" FROM patients ORDER BY 1;
SELECT tenant_id AS id, id AS tenant_id FROM patients ORDER BY 2;
SELECT p.*, p.id FROM patients p WHERE id < 3 ORDER BY p.id;
SELECT *, 1 AS one FROM settings ORDER BY name;
SELECT id id FROM patients patients WHERE patients.id < 3 ORDER BY 1;
SELECT (SELECT 1), id FROM patients ORDER BY 2 LIMIT 1;
SELECT DISTINCT id % 3, country IS NULL FROM patients ORDER BY 1, 2;
SELECT id FROM patients WHERE id > 3 AND id < 6 AND NOT id = 5 ORDER BY id;
SELECT id FROM patients WHERE NOT (tenant_id = 1);
SELECT id FROM patients WHERE tenant_id <> 1 OR id = 1;
SELECT id FROM patients WHERE tenant_id IS NULL;
SELECT id FROM patients WHERE tenant_id IN (1, 2, 3) ORDER BY id;
SELECT min(tenant_id), max(tenant_id) FROM patients;
SELECT id FROM patients WHERE true OR false ORDER BY 1;
SELECT id FROM patients WHERE (SELECT true) ORDER BY 1;
SELECT id FROM patients ORDER BY tenant_id, id DESC;
SELECT id FROM patients ORDER BY -id;
SELECT id FROM patients ORDER BY id USING >;
SELECT name FROM patients ORDER BY name COLLATE "C", id;
SELECT id FROM patients LIMIT ALL;
SELECT id FROM patients LIMIT 0;
SELECT id FROM patients ORDER BY id LIMIT NULL OFFSET 10;
SELECT count(*), count(born), count(DISTINCT country), bool_or(born IS NULL) FROM patients;
SELECT max(id) FROM patients WHERE id < 0;
SELECT count(*) FROM events WHERE at < '2026-01-01';
SELECT count(*) FROM ONLY events;
SELECT count(*) FROM events_other;
SELECT tableoid = 'events_2026_02'::regclass AS here, count(*) FROM events GROUP BY 1 ORDER BY 1;
SELECT e.kind FROM public.events_2026_03 AS e ORDER BY e.id;
SELECT "Order"."Id", "Order".* FROM "Order" WHERE "Order"."user" IS NULL ORDER BY 1;
SELECT o."Total Amount" * 2 AS "2x" FROM public."Order" o ORDER BY 1;
SELECT payments.id FROM billing.payments WHERE billing.payments.amount > 5 ORDER BY 1;
SELECT value FROM settings WHERE name = 'language' AND value IS NOT NULL;
SELECT name FROM settings WHERE tenant_id = 1::smallint ORDER BY 1;
SELECT code FROM legacy_codes WHERE tenant_id = '1' ORDER BY 1;
SELECT code FROM legacy_codes WHERE tenant_id > '1' ORDER BY 1;
SELECT * FROM countries ORDER BY code;
SELECT * FROM feature_flags ORDER BY name;
SELECT p.ctid = p.ctid, p.xmax = p.xmax FROM patients p WHERE id = 1;
SELECT (p.*) IS NOT NULL FROM patients p ORDER BY id;
SELECT (p).* FROM patients p WHERE id = 1;
SELECT p IS NULL, p::text FROM patients p WHERE id = 1;
SELECT name(p) FROM patients p ORDER BY id;
SELECT count(p) FROM patients p;
SELECT ROW(p.*) FROM settings p ORDER BY name;
SELECT row_to_json(s) FROM settings s ORDER BY name;
SELECT json_agg(s ORDER BY name) FROM settings s;
SELECT x.* FROM settings AS x (a, b) ORDER BY a;
SELECT x.a, tenant_id FROM settings AS x (a) ORDER BY 1;
SELECT id FROM patients AS public ORDER BY public.id;
SELECT 'a;b', $$;$$, "name" FROM settings -- ; not the end
WHERE name <> ';' ORDER BY name;
SELECT/**/id/**/FROM/**/patients/**/WHERE/**/id=1;
