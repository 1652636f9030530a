-- What a tenant sends. Each statement must have the same result, tag and
-- SQLSTATE through the proxy as on a database with that tenant's rows alone.
-- The comparison ignores the order of rows unless a statement has ORDER BY.

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

-- Joins.
SELECT p.name, a.starts FROM patients p JOIN appointments a ON a.patient_id = p.id ORDER BY a.id;
SELECT p.name, a.id FROM patients p JOIN appointments a ON a.patient_id = p.id AND a.tenant_id = p.tenant_id ORDER BY a.id;
SELECT p.id, count(a.id) FROM patients p LEFT JOIN appointments a ON a.patient_id = p.id AND a.status = 'done' GROUP BY p.id ORDER BY p.id;
SELECT pr.name, a.id FROM appointments a RIGHT JOIN practitioners pr ON pr.id = a.practitioner_id ORDER BY 1, 2;
SELECT a.id, pr.name FROM appointments a FULL JOIN practitioners pr ON pr.id = a.practitioner_id ORDER BY 1, 2;
SELECT a.id, pr.name FROM appointments a LEFT JOIN practitioners pr ON pr.id = a.practitioner_id ORDER BY 1;
SELECT count(*) FROM patients CROSS JOIN practitioners;
SELECT count(*) FROM patients, practitioners;
SELECT count(*) FROM patients NATURAL JOIN tenants;
SELECT id, p.name, o."user" FROM patients p JOIN (SELECT "Id" AS id, "user" FROM "Order") o USING (id) ORDER BY id;
SELECT * FROM patients JOIN appointments USING (tenant_id, id) ORDER BY id;
SELECT id, j.id FROM patients p JOIN appointments a USING (id) AS j ORDER BY id LIMIT 5;
SELECT s.name, t.name FROM practitioners s LEFT JOIN practitioners t ON t.id = s.supervisor ORDER BY s.id;
SELECT p.name, i.number, l.item FROM patients p JOIN invoices i ON i.patient_id = p.id JOIN invoice_lines l ON l.invoice_id = i.id ORDER BY 2, 3;
SELECT p.name, i.number, l.item FROM patients p LEFT JOIN (invoices i JOIN invoice_lines l ON l.invoice_id = i.id) ON i.patient_id = p.id ORDER BY 1, 2, 3;
SELECT i.number, l.line FROM invoices i FULL JOIN invoice_lines l ON l.invoice_id = i.id ORDER BY 1, 2;
SELECT j.a, j.b FROM (patients p JOIN appointments a ON a.patient_id = p.id) AS j (t, a, b) ORDER BY 1, 2 LIMIT 5;
SELECT p.name, c.name FROM patients p LEFT JOIN countries c ON c.code = p.country ORDER BY p.id;
SELECT c.name, count(p.id) FROM countries c LEFT JOIN patients p ON p.country = c.code GROUP BY c.code, c.name ORDER BY 1;
SELECT p.name, last.starts FROM patients p CROSS JOIN LATERAL (SELECT starts FROM appointments a WHERE a.patient_id = p.id ORDER BY starts DESC LIMIT 1) last ORDER BY p.id;
SELECT p.name, last.starts FROM patients p LEFT JOIN LATERAL (SELECT starts FROM appointments a WHERE a.patient_id = p.id ORDER BY starts DESC LIMIT 1) last ON true ORDER BY p.id;
SELECT p.id, t FROM patients p, unnest(p.tags) t ORDER BY 1, 2;
SELECT p.id, t.tag, t.n FROM patients p LEFT JOIN unnest(p.tags) WITH ORDINALITY AS t (tag, n) ON true ORDER BY 1, 3;
SELECT g, count(p.id) FROM generate_series(1, 5) g LEFT JOIN patients p ON p.id = g GROUP BY g ORDER BY g;
SELECT d.id, k FROM documents d, jsonb_object_keys(d.meta) k ORDER BY 1, 2;
SELECT * FROM ROWS FROM (generate_series(1, 2), unnest(ARRAY['a', 'b'])) AS r (n, s) JOIN patients p ON p.id = r.n ORDER BY 1;
SELECT v.id, p.name FROM (VALUES (1), (2), (99)) v (id) LEFT JOIN patients p ON p.id = v.id ORDER BY 1;
SELECT count(*) FROM patients a JOIN patients b ON a.country = b.country AND a.id < b.id;
SELECT e.kind, count(*) FROM events e JOIN events_2026_02 f ON f.id = e.id GROUP BY 1 ORDER BY 1;
SELECT pay.id, i.number FROM billing.payments pay LEFT JOIN invoices i ON i.id = pay.invoice_id ORDER BY 1;

-- Sub-selects, wherever they may stand.
SELECT name FROM patients WHERE id IN (SELECT patient_id FROM appointments WHERE status = 'done') ORDER BY id;
SELECT name FROM patients p WHERE EXISTS (SELECT FROM invoices i WHERE i.patient_id = p.id AND i.paid) ORDER BY id;
SELECT name FROM patients p WHERE NOT EXISTS (SELECT 1 FROM notes n WHERE n.patient_id = p.id) ORDER BY id;
SELECT name, (SELECT count(*) FROM appointments a WHERE a.patient_id = p.id) FROM patients p ORDER BY id;
SELECT id FROM invoices WHERE net > ALL (SELECT price FROM invoice_lines) ORDER BY id;
SELECT id FROM invoices WHERE id = ANY (SELECT invoice_id FROM invoice_lines WHERE line > 1) ORDER BY id;
SELECT id FROM invoices WHERE id = ANY (ARRAY(SELECT invoice_id FROM invoice_lines)) ORDER BY id;
SELECT coalesce((SELECT max(net) FROM invoices), 0) + 1;
SELECT CASE WHEN (SELECT count(*) FROM patients) > 5 THEN 'many' ELSE 'few' END;
SELECT name FROM patients ORDER BY (SELECT count(*) FROM appointments a WHERE a.patient_id = patients.id), id;
SELECT name FROM patients ORDER BY id LIMIT (SELECT count(*) / 4 FROM patients);
SELECT country, count(*) FROM patients GROUP BY country HAVING count(*) > (SELECT count(*) FROM tenants) ORDER BY 1;
SELECT count(*) FILTER (WHERE id IN (SELECT patient_id FROM notes)) FROM patients;
SELECT sum(n) FROM (SELECT count(*) AS n FROM patients UNION ALL SELECT count(*) FROM appointments) s;
SELECT s.name FROM (SELECT * FROM patients) s WHERE s.id < 3 ORDER BY 1;
SELECT s.n FROM (SELECT count(*) AS n FROM (SELECT DISTINCT country FROM patients) t) s;
SELECT p.name FROM patients p JOIN appointments a ON a.id = (SELECT min(id) FROM appointments b WHERE b.patient_id = p.id) ORDER BY p.id;
SELECT ARRAY(SELECT name FROM patients ORDER BY id);
SELECT (SELECT p FROM patients p ORDER BY id LIMIT 1);
SELECT (id, name) IN (SELECT id, name FROM patients) FROM patients WHERE id = 1;

-- Common table expressions.
WITH vips AS (SELECT * FROM patients WHERE 'vip' = ANY (tags)) SELECT count(*) FROM vips;
WITH a AS (SELECT id FROM patients), b AS (SELECT id FROM a WHERE id > 3) SELECT * FROM b ORDER BY id;
WITH patients AS (SELECT 1 AS id) SELECT * FROM patients;
WITH patients AS (SELECT * FROM patients WHERE id < 3) SELECT name FROM patients ORDER BY id;
WITH a AS (WITH patients AS (SELECT 1 AS id) SELECT id FROM patients) SELECT count(*) FROM patients, a;
WITH x AS (SELECT 1) SELECT p.name FROM public.patients p, x WHERE p.id = 2;
WITH patients AS (SELECT 99 AS id) SELECT public.patients.id FROM public.patients ORDER BY 1 LIMIT 2;
WITH a AS (SELECT * FROM notes), notes AS (SELECT 1 AS one) SELECT count(*) FROM a, notes;
WITH RECURSIVE tree AS (SELECT id, name, 0 AS depth FROM practitioners WHERE supervisor IS NULL UNION ALL SELECT p.id, p.name, depth + 1 FROM practitioners p JOIN tree t ON t.id = p.supervisor) SELECT * FROM tree ORDER BY id;
WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i, name FROM n JOIN patients ON id = i ORDER BY i;
WITH RECURSIVE a AS (SELECT count(*) AS n FROM invoices), invoices AS (SELECT 1 AS one) SELECT * FROM a;
WITH m AS MATERIALIZED (SELECT * FROM invoices) SELECT sum(net) FROM m;
WITH m AS NOT MATERIALIZED (SELECT * FROM invoices) SELECT max(net) FROM m;
SELECT (WITH c AS (SELECT count(*) AS n FROM notes) SELECT n FROM c);
WITH gone AS (DELETE FROM notes WHERE pinned RETURNING id) SELECT count(*) FROM gone;
WITH moved AS (UPDATE invoices SET paid = true WHERE paid IS NULL RETURNING number) SELECT * FROM moved ORDER BY 1;
WITH new AS (INSERT INTO log_lines (level, line) VALUES ('info', 'x') RETURNING line) SELECT * FROM new;

-- Set operations, grouping, windows.
SELECT id FROM patients UNION SELECT id FROM appointments ORDER BY 1;
SELECT id FROM patients UNION ALL SELECT "Id" FROM "Order" ORDER BY 1;
SELECT id FROM patients INTERSECT SELECT id FROM appointments ORDER BY 1;
SELECT id FROM appointments EXCEPT SELECT id FROM patients ORDER BY 1;
(SELECT id FROM patients ORDER BY id LIMIT 2) UNION ALL (SELECT id FROM documents ORDER BY id DESC LIMIT 2);
SELECT name FROM patients WHERE id = 1 UNION (SELECT name FROM practitioners INTERSECT SELECT name FROM practitioners) ORDER BY 1;
TABLE settings UNION ALL TABLE settings ORDER BY name;
SELECT country, avg(balance)::numeric(12,2), min(born), max(name) FROM patients GROUP BY country ORDER BY country;
SELECT p.id, p.name, count(*) FROM practitioners p JOIN appointments a ON a.practitioner_id = p.id GROUP BY p.id ORDER BY 1;
SELECT country, 'vip' = ANY (tags), count(*) FROM patients GROUP BY GROUPING SETS ((1), (2), ()) ORDER BY 1, 2, 3;
SELECT country, country IS NULL, count(*) FROM patients GROUP BY ROLLUP (1, 2) ORDER BY 1, 2, 3;
SELECT country, count(*) FROM patients GROUP BY CUBE (country) ORDER BY 1, 2;
SELECT status, string_agg(DISTINCT room, ',' ORDER BY room) FROM appointments GROUP BY status ORDER BY 1;
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY balance) FROM patients;
SELECT id, row_number() OVER (PARTITION BY country ORDER BY id), sum(balance) OVER w FROM patients WINDOW w AS (ORDER BY id ROWS 2 PRECEDING) ORDER BY id;
SELECT id, lag(net) OVER (ORDER BY id), first_value(net) OVER (PARTITION BY patient_id ORDER BY id) FROM invoices ORDER BY id;
SELECT json_agg(p ORDER BY id) FROM (SELECT id, name FROM patients) p;
SELECT array_agg(id ORDER BY id) FROM patients;
SELECT extract(month FROM issued), sum(gross) FROM invoices GROUP BY 1 ORDER BY 1;
SELECT date_trunc('week', starts), count(*) FROM appointments GROUP BY 1 ORDER BY 1;

-- Expressions and types.
SELECT meta->>'lang', meta #>> '{owner,name}', meta @> '{"pages": 3}' FROM documents ORDER BY id;
SELECT id FROM documents WHERE meta @> '{"lang": "de"}' ORDER BY id;
SELECT id, pages[1], pages[2:3], array_length(pages, 1), cardinality(pages) FROM documents ORDER BY id;
SELECT id, encode(content, 'hex'), length(content) FROM documents ORDER BY id;
SELECT upper(name), substring(name FROM 1 FOR 2), position('~' IN name), trim(both '~' FROM name), overlay(name PLACING 'x' FROM 1) FROM patients ORDER BY id;
SELECT born + interval '1 month', age(date '2026-01-01', born), born BETWEEN '1960-01-01' AND '1990-01-01' FROM patients ORDER BY id;
SELECT round(balance, 1), abs(balance), greatest(balance, 0), nullif(balance, 0), balance::int, cast(balance AS text) FROM patients ORDER BY id;
SELECT name ILIKE 'a%', name ~ '^[AB]', name SIMILAR TO '%a%' FROM patients ORDER BY id;
SELECT status::text, status > 'booked', room IS DISTINCT FROM 'R1' FROM appointments ORDER BY id;
SELECT starts AT TIME ZONE 'Europe/Berlin' FROM appointments ORDER BY id LIMIT 3;
SELECT email FROM patients WHERE email IS NOT NULL ORDER BY id;
SELECT slugify(name) FROM patients ORDER BY id;
SELECT format('%s: %s', id, name), concat_ws('-', id, name), md5(name) FROM patients ORDER BY id;
SELECT id FROM notes WHERE id = md5('note 1 3')::uuid;
SELECT body FROM notes WHERE body LIKE '%latex%' ORDER BY body;
SELECT xmlelement(name p, name) FROM patients WHERE id = 1;
SELECT current_date = now()::date, current_user = session_user;

-- Locking.
SELECT id FROM patients WHERE id < 4 ORDER BY id FOR UPDATE;
SELECT p.id FROM patients p JOIN appointments a ON a.patient_id = p.id WHERE p.id = 1 ORDER BY a.id FOR UPDATE OF p SKIP LOCKED;
SELECT id FROM invoices ORDER BY id LIMIT 1 FOR SHARE NOWAIT;
SELECT id FROM patients WHERE id = 2 FOR NO KEY UPDATE;

-- INSERT.
INSERT INTO patients (id, name) VALUES (100, 'New');
INSERT INTO patients (id, name) VALUES (100, 'New'), (101, 'Newer'), (102, DEFAULT);
INSERT INTO patients (id, name) VALUES (100, 'New') RETURNING *;
INSERT INTO patients (id, name) VALUES (100, 'New') RETURNING id, (SELECT count(*) FROM tenants);
INSERT INTO patients AS p (id, name) VALUES (100, 'New') RETURNING p.tenant_id, p.name AS "n";
INSERT INTO patients (tenant_id, id, name) VALUES (1, 100, 'New') RETURNING tenant_id;
INSERT INTO patients (name, tenant_id, id) VALUES ('New', DEFAULT, 100) RETURNING tenant_id, id;
INSERT INTO patients (id, name, tenant_id) VALUES (100, 'a', 1), (101, 'b', DEFAULT) RETURNING tenant_id;
INSERT INTO patients VALUES (1, 100, 'New');
INSERT INTO patients VALUES (DEFAULT, 100, 'New', '1990-01-01') RETURNING *;
INSERT INTO log_lines DEFAULT VALUES;
INSERT INTO log_lines (level, line) SELECT 'info', name FROM patients;
INSERT INTO log_lines (level, line) SELECT level, line FROM log_lines UNION ALL SELECT 'x', 'y';
INSERT INTO log_lines (level, line) SELECT DISTINCT level, 'z' FROM log_lines ORDER BY 1 RETURNING *;
INSERT INTO log_lines (level, line) TABLE countries;
INSERT INTO log_lines (level, line) (SELECT 'a', 'b');
INSERT INTO log_lines (level, line) WITH c AS (SELECT name FROM practitioners) SELECT 'c', name FROM c;
WITH c AS (SELECT name FROM practitioners) INSERT INTO log_lines (level, line) SELECT 'c', name FROM c RETURNING line;
INSERT INTO log_lines (level, line) VALUES ((SELECT min(level) FROM log_lines), (SELECT max(name) FROM patients)) RETURNING *;
INSERT INTO legacy_codes (code, meaning) VALUES ('X1', 'new') RETURNING *;
INSERT INTO settings VALUES ('colour', 1, 'blue') RETURNING *;
INSERT INTO settings (name, value) VALUES ('colour', 'blue') RETURNING tenant_id;
INSERT INTO events (id, at, kind) VALUES (500, '2026-02-14', 'new') RETURNING *;
INSERT INTO events_2026_02 (id, at, kind) VALUES (500, '2026-02-14', 'new') RETURNING tenant_id;
INSERT INTO "Order" ("Id", "user") VALUES (50, 'u') RETURNING *;
INSERT INTO billing.payments (id, received, amount) VALUES (50, '2026-01-01', 5) RETURNING *;
INSERT INTO billing.payments VALUES (50, NULL, '2026-01-01', 5) RETURNING *;
INSERT INTO documents (id, title, meta, pages) VALUES (50, 't', '{"a": [1, 2]}', ARRAY[1, 2]) RETURNING *;
INSERT INTO invoices (id, number, patient_id, issued, net) OVERRIDING SYSTEM VALUE VALUES (777, 'n1', 1, '2026-01-01', 5) RETURNING id, gross;
INSERT INTO practitioners (id, name) VALUES (5000, 'Dr. New') RETURNING *;
INSERT INTO patients (id, name) VALUES (1, 'Twice');
INSERT INTO patients (id, name) VALUES (1, 'Twice') ON CONFLICT DO NOTHING;
INSERT INTO patients (id, name) VALUES (1, 'Again'), (200, 'Fresh') ON CONFLICT (tenant_id, id) DO UPDATE SET name = excluded.name || ' ' || patients.name RETURNING id, name;
INSERT INTO patients AS p (id, name) VALUES (1, 'Again') ON CONFLICT (tenant_id, id) DO UPDATE SET name = excluded.name WHERE p.balance < 0 RETURNING id, name;
INSERT INTO settings (name, value) VALUES ('language', 'en') ON CONFLICT ON CONSTRAINT settings_pkey DO UPDATE SET value = excluded.value RETURNING *;
INSERT INTO settings (name, value) VALUES ('language', 'en') ON CONFLICT (tenant_id, name) DO UPDATE SET (value, tenant_id) = (excluded.value, excluded.tenant_id) RETURNING *;
INSERT INTO patients (id, name, email) VALUES (300, 'Bad', 'nonsense');
INSERT INTO patients (id) VALUES (300);
INSERT INTO patients (id, name, country) VALUES (300, 'Nowhere', 'XX');
INSERT INTO appointments (id, patient_id, starts, minutes) VALUES (300, 1, '2026-01-01', 0);
INSERT INTO patients (id, name, id) VALUES (1, 'a', 2);
INSERT INTO patients (id, nosuch) VALUES (1, 'a');
INSERT INTO patients (id, name) VALUES (1);
INSERT INTO feature_flags (name, enabled) VALUES ('brand new', true) RETURNING *;

-- UPDATE.
UPDATE patients SET balance = balance + 1;
UPDATE patients SET balance = 0, country = DEFAULT WHERE id < 4 RETURNING *;
UPDATE patients AS p SET name = upper(p.name) WHERE p.id = 2 RETURNING p.name;
UPDATE patients SET (name, born) = ('x', '2000-01-01') WHERE id = 1 RETURNING name, born;
UPDATE patients p SET (name, balance) = (SELECT max(number), sum(net) FROM invoices i WHERE i.patient_id = p.id) WHERE EXISTS (SELECT FROM invoices i WHERE i.patient_id = p.id);
UPDATE patients SET tenant_id = 1, name = 'own key' WHERE id = 1 RETURNING tenant_id, name;
UPDATE patients SET tenant_id = tenant_id WHERE id = 1;
UPDATE patients SET tenant_id = DEFAULT WHERE id = 1 RETURNING tenant_id;
UPDATE invoices i SET paid = true FROM patients p WHERE p.id = i.patient_id AND p.country = 'DE' RETURNING i.number;
UPDATE invoices i SET net = net + 1 FROM patients p LEFT JOIN notes n ON n.patient_id = p.id WHERE p.id = i.patient_id AND n.id IS NULL;
UPDATE appointments SET room = (SELECT 'R' || count(*) FROM practitioners) WHERE room IS NULL RETURNING id, room;
UPDATE only patients SET name = 'only' WHERE id = 1;
UPDATE events SET kind = 'seen' WHERE at < '2026-02-01' RETURNING id;
UPDATE "Order" SET "user" = "user" || '!' WHERE "Id" < 4 RETURNING "user";
UPDATE documents SET meta = meta || '{"seen": true}', pages[1] = 9 WHERE id = 3 RETURNING meta, pages;
WITH best AS (SELECT patient_id FROM invoices GROUP BY 1 ORDER BY sum(net) DESC, 1 LIMIT 2) UPDATE patients SET tags = tags || 'best' WHERE id IN (SELECT patient_id FROM best) RETURNING id;
UPDATE patients SET id = 2 WHERE id = 1;
UPDATE patients SET balance = 1 / 0;
UPDATE patients SET nosuch = 1;
UPDATE feature_flags SET note = 'seen' RETURNING name;

-- DELETE.
DELETE FROM log_lines;
DELETE FROM log_lines WHERE level = 'info' RETURNING line;
DELETE FROM notes n USING patients p WHERE p.id = n.patient_id AND p.country IS NULL RETURNING n.patient_id;
DELETE FROM notes USING patients p JOIN appointments a ON a.patient_id = p.id WHERE p.id = notes.patient_id AND a.status = 'no_show';
DELETE FROM log_lines WHERE ctid IN (SELECT ctid FROM log_lines ORDER BY line LIMIT 2);
DELETE FROM notes WHERE patient_id IN (SELECT id FROM patients WHERE 'vip' = ANY (tags)) RETURNING 1;
WITH old AS (SELECT id FROM events WHERE at < '2026-01-10') DELETE FROM events WHERE id IN (SELECT id FROM old) RETURNING id;
WITH log_lines AS (SELECT 1 AS one) DELETE FROM log_lines WHERE level = 'warn';
DELETE FROM invoices WHERE paid;
DELETE FROM patients WHERE id = 1;
DELETE FROM nosuch;

-- Errors.
SELECT * FROM nosuch;
SELECT nosuch FROM patients;
--! rls rewrite both: 42501
SELECT nosuch(1);
SELECT 1 / 0 FROM patients;
SELECT name::int FROM patients;
SELEC 1;
SELECT * FROM patients WHERE;
SELECT name FROM patients GROUP BY country;
SELECT id FROM patients, appointments;
SELECT (SELECT id FROM patients);
SELECT sum(name) FROM patients;
SELECT 'open;
SELECT patients.id FROM patients p;
INSERT INTO patients SELECT 1;

-- COPY.
COPY patients TO STDOUT;
COPY patients (id, name) TO STDOUT (FORMAT csv, HEADER);
COPY (SELECT id, name FROM patients ORDER BY id) TO STDOUT WITH CSV;
COPY settings TO STDOUT (DELIMITER '|', NULL 'nil');

-- Cursors.
DECLARE c CURSOR FOR SELECT id, name FROM patients ORDER BY id;

-- MERGE.
MERGE INTO patients p USING appointments a ON a.patient_id = p.id AND a.id = 3 WHEN MATCHED THEN UPDATE SET balance = p.balance + a.minutes;
MERGE INTO patients USING (VALUES (1, 'One'), (500, 'New')) AS s (id, name) ON patients.id = s.id WHEN MATCHED THEN UPDATE SET name = s.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name);
MERGE INTO patients p USING patients q ON p.id = q.id + 5 WHEN MATCHED AND q.balance > 0 THEN DELETE WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED AND q.id > 0 THEN INSERT VALUES (DEFAULT, q.id + 1000, q.name);
MERGE INTO patients p USING patients q ON p.id = q.id + 5 AND p.tenant_id = q.tenant_id WHEN MATCHED THEN UPDATE SET tenant_id = q.tenant_id, name = 'moved' WHEN NOT MATCHED THEN INSERT (tenant_id, id, name) VALUES (q.tenant_id, q.id + 2000, q.name);
MERGE INTO log_lines l USING (SELECT DISTINCT level FROM log_lines) s ON l.level = s.level AND l.line LIKE 'line 1 %' WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1, s.level, 'none');
MERGE INTO settings USING legacy_codes ON settings.name = legacy_codes.code WHEN NOT MATCHED THEN INSERT (name, value) VALUES (code, meaning);
MERGE INTO legacy_codes AS t (key, owner, text) USING settings AS s (a, b, c) ON t.key = s.a WHEN NOT MATCHED THEN INSERT (code, meaning) VALUES (s.a, s.c);
MERGE INTO "Order" o USING patients p LEFT JOIN appointments a ON a.patient_id = p.id AND a.id < 4 ON o."Id" = p.id WHEN MATCHED AND a.id IS NULL THEN DELETE WHEN NOT MATCHED AND a.id IS NULL THEN INSERT ("Id", "user") VALUES (p.id, p.name);
MERGE INTO events e USING (SELECT id FROM events WHERE id < 4) s ON e.id = s.id WHEN MATCHED THEN UPDATE SET kind = 'merged';
WITH big AS (SELECT * FROM invoices WHERE net > 50) MERGE INTO billing.payments p USING big ON big.id = p.invoice_id WHEN MATCHED THEN UPDATE SET amount = 1 WHEN NOT MATCHED THEN INSERT (id, invoice_id, received, amount) VALUES (big.id + 7, big.id, big.issued, big.gross);
MERGE INTO feature_flags f USING patients p ON f.name = 'p' || p.id WHEN NOT MATCHED AND p.id < 3 THEN INSERT (name, note) VALUES ('p' || p.id, p.name);
MERGE INTO patients p USING patients p ON true WHEN MATCHED THEN DELETE;
MERGE INTO patients p USING appointments a ON a.patient_id = p.id WHEN MATCHED THEN UPDATE SET name = 'twice';
MERGE INTO patients p USING appointments a ON nosuch = 1 WHEN MATCHED THEN DELETE;
MERGE INTO patients p USING appointments a ON a.patient_id = p.id AND a.id = 3 WHEN MATCHED THEN UPDATE SET nosuch = 1;
MERGE INTO notes n USING (SELECT id FROM patients WHERE id = 1) p ON false WHEN NOT MATCHED THEN INSERT DEFAULT VALUES;

-- COPY of what cannot be copied.
COPY events TO STDOUT;
COPY patients (id, nosuch) TO STDOUT;
COPY patients (id, id) TO STDOUT;
COPY invoices (id, gross) TO STDOUT;
