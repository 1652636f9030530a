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

-- More of common table expressions.
WITH a (x, y) AS (SELECT id, name FROM patients) SELECT x FROM a WHERE y LIKE 'A%' ORDER BY x;
WITH a AS (SELECT * FROM patients), b AS (SELECT * FROM appointments), c AS (SELECT a.id FROM a JOIN b ON b.patient_id = a.id) SELECT count(*) FROM c;
WITH a AS (SELECT 1 AS n UNION SELECT id FROM patients) SELECT sum(n) FROM a;
WITH a AS (VALUES (1), (2)) SELECT p.id FROM patients p JOIN a ON a.column1 = p.id ORDER BY 1;
WITH a AS (TABLE settings) TABLE a ORDER BY name;
WITH tenants AS (SELECT 5 AS id) SELECT id FROM tenants;
WITH tenants AS (SELECT * FROM tenants) SELECT id FROM tenants;
WITH "patients" AS (SELECT 1 AS one) SELECT * FROM PATIENTS;
WITH "Patients" AS (SELECT 1 AS one) SELECT count(*) FROM patients;
WITH a AS (SELECT count(*) AS n FROM patients) SELECT (SELECT n FROM a), (SELECT n + 1 FROM a);
WITH a AS (SELECT id FROM patients) SELECT id FROM appointments WHERE patient_id IN (SELECT id FROM a WHERE id < 3) ORDER BY id;
WITH a AS (SELECT id FROM patients) (SELECT id FROM a WHERE id < 3) UNION ALL (SELECT id FROM a WHERE id > 10) ORDER BY 1;
SELECT * FROM (WITH patients AS (SELECT 7 AS id) SELECT id FROM patients) s;
SELECT (WITH patients AS (SELECT 7 AS id) SELECT id FROM patients), count(*) FROM patients;
SELECT id FROM patients WHERE id IN (WITH a AS (SELECT patient_id FROM notes) SELECT * FROM a) ORDER BY id;
WITH a AS (SELECT 1) SELECT count(*) FROM (WITH a AS (SELECT * FROM patients) SELECT * FROM a) s;
WITH a AS (WITH b AS (SELECT id FROM patients) SELECT id FROM b) SELECT count(*) FROM a;
WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < (SELECT count(*) FROM patients)) SELECT max(n) FROM t;
WITH RECURSIVE up AS (SELECT id, supervisor FROM practitioners WHERE id = 1004 UNION SELECT p.id, p.supervisor FROM practitioners p JOIN up ON up.supervisor = p.id) SELECT id FROM up ORDER BY id;
WITH RECURSIVE up AS (SELECT id, supervisor, ARRAY[id] AS path FROM practitioners UNION ALL SELECT p.id, p.supervisor, path || p.id FROM up JOIN practitioners p ON p.id = up.supervisor) SELECT path FROM up ORDER BY path;
WITH RECURSIVE a AS (SELECT 1 AS n), b AS (SELECT n FROM a UNION SELECT n + 1 FROM b, patients WHERE n < 4) SELECT * FROM b ORDER BY 1;
WITH RECURSIVE t AS (SELECT id, supervisor FROM practitioners WHERE supervisor IS NULL UNION ALL SELECT p.id, p.supervisor FROM practitioners p JOIN t ON t.id = p.supervisor) SEARCH DEPTH FIRST BY id SET o SELECT id FROM t ORDER BY o;
WITH RECURSIVE t AS (SELECT id, supervisor FROM practitioners WHERE supervisor IS NULL UNION ALL SELECT p.id, p.supervisor FROM practitioners p JOIN t ON t.id = p.supervisor) CYCLE id SET looped USING path SELECT id, looped FROM t ORDER BY id;
WITH n AS (INSERT INTO settings (name, value) VALUES ('a', 'b') RETURNING *) SELECT n.value, (SELECT count(*) FROM settings) FROM n;
WITH n AS (INSERT INTO log_lines (level, line) SELECT 'x', name FROM patients RETURNING line) INSERT INTO settings (name, value) SELECT line, 'copied' FROM n WHERE line LIKE 'A%' ON CONFLICT DO NOTHING RETURNING name;
WITH u AS (UPDATE patients SET balance = balance + 1 WHERE id < 4 RETURNING id, balance) SELECT u.id, u.balance - p.balance FROM u JOIN patients p USING (id) ORDER BY 1;
WITH d AS (DELETE FROM log_lines WHERE level = 'warn' RETURNING line) INSERT INTO settings (name, value) SELECT DISTINCT line, 'gone' FROM d RETURNING name;
WITH d AS (DELETE FROM notes RETURNING patient_id), c AS (SELECT patient_id, count(*) AS n FROM d GROUP BY 1) UPDATE patients p SET balance = c.n FROM c WHERE c.patient_id = p.id RETURNING p.id, p.balance;
WITH d AS (DELETE FROM log_lines), u AS (UPDATE settings SET value = 'x') SELECT count(*) FROM log_lines;
WITH p AS (SELECT id FROM patients WHERE country = 'DE') DELETE FROM notes USING p WHERE p.id = notes.patient_id RETURNING notes.patient_id;
WITH patients AS (SELECT 1 AS id) UPDATE settings SET value = (SELECT id FROM patients) WHERE name = 'fax' RETURNING value;
WITH settings AS (SELECT 'fax' AS name) UPDATE settings SET value = 'shadowed' WHERE name IN (SELECT name FROM settings) RETURNING name;
WITH settings AS (SELECT 'new' AS name) INSERT INTO settings (name) SELECT name FROM settings RETURNING name;
--? 3
WITH a AS (SELECT id FROM patients WHERE id < $1) SELECT * FROM a WHERE id <> $1 - 1 ORDER BY 1;
--? 4, 'gone'
WITH d AS (DELETE FROM log_lines WHERE length(line) > $1 RETURNING line) SELECT $2 || count(*) FROM d;
