-- Views: replaced by their definitions, confined inside.
SELECT * FROM open_invoices;
SELECT number, gross FROM open_invoices WHERE gross > 50 ORDER BY number;
SELECT v.* FROM open_invoices AS v (t, i) ORDER BY i;
SELECT * FROM public.open_invoices ORDER BY id LIMIT 2;
SELECT * FROM ONLY open_invoices ORDER BY id;
TABLE open_totals;
TABLE open_totals ORDER BY patient LIMIT 3;
SELECT sum(invoices), max(gross) FROM open_totals;
SELECT * FROM status_counts ORDER BY status;
SELECT "all" - long FROM status_counts WHERE status = 'done';
SELECT country, count(*) FROM patient_countries GROUP BY country;
SELECT p.name, c.country, c.vat FROM patients p LEFT JOIN patient_countries c ON c.id = p.id + 1;
SELECT * FROM patients p FULL JOIN busy_patients b USING (id);
SELECT * FROM patients NATURAL JOIN busy_patients;
SELECT kind, count(*), min(name) FROM people GROUP BY kind;
SELECT * FROM supervisors ORDER BY depth, id;
SELECT depth, count(*) FROM supervisors GROUP BY 1;
SELECT * FROM payment_methods ORDER BY method;
SELECT * FROM "Order Totals" ORDER BY "Id";
SELECT "Sum" FROM "Order Totals" AS o WHERE o."Id" = 2;
SELECT * FROM own_patients;
SELECT count(*) FROM own_patients o, open_invoices i WHERE i.patient = o.name;
SELECT name FROM patients WHERE EXISTS (SELECT FROM open_invoices WHERE patient = patients.name);
SELECT name, (SELECT n FROM busy_patients b WHERE b.id = p.id) FROM patients p;
SELECT name FROM patients p, LATERAL (SELECT * FROM busy_patients b WHERE b.id = p.id) x;
SELECT id FROM busy_patients UNION SELECT id FROM open_invoices EXCEPT SELECT id FROM own_patients;
WITH patients AS (SELECT 1 AS id) SELECT b.id, b.n FROM busy_patients b, patients;
WITH open_invoices AS (SELECT 1 AS id) SELECT * FROM open_invoices;
SELECT row_to_json(b) FROM busy_patients b;
SELECT to_jsonb(b) - 'name', b IS NULL, (b).n FROM patients p LEFT JOIN busy_patients b ON b.id = p.id;
SELECT b::text, count(b.*) FROM busy_patients b GROUP BY b.id, b.name, b.n;
SELECT id FROM own_patients WHERE id < 4 FOR UPDATE;
SELECT i.id FROM open_invoices i JOIN countries c ON true FOR SHARE OF i;
SELECT * FROM busy_patients FOR UPDATE;
SELECT ctid FROM own_patients;
SELECT nowhere FROM own_patients;
SELECT * FROM open_invoices AS v (a, b, c, d, e, f);
SELECT 1 / (id - 1) FROM own_patients;
INSERT INTO log_lines (level, line) SELECT 'view', name FROM busy_patients;
INSERT INTO log_lines (tenant_id, level, line) SELECT 1, patient, 'x' FROM open_totals;
UPDATE patients p SET balance = b.n FROM busy_patients b WHERE b.id = p.id;
DELETE FROM notes USING open_invoices i WHERE i.id = notes.author;
COPY (SELECT * FROM open_invoices) TO STDOUT;
COPY (TABLE people) TO STDOUT (FORMAT csv, HEADER);
-- Rows of a view are records where predicates are added; its columns have no schema.
--! rewrite both: 0A000
SELECT b FROM busy_patients b;
--! rewrite both: 0A000
SELECT public.own_patients.id FROM own_patients;
--! rewrite both: 0A000
COPY open_invoices TO STDOUT;
-- Nothing is written through a view.
--! rls rewrite both: 0A000
INSERT INTO own_patients (id, name) VALUES (900, 'x');
--! rls rewrite both: 0A000
UPDATE own_patients SET balance = 0;
--! rls rewrite both: 0A000
DELETE FROM "Order Totals";
-- Below these are denied tables.
--! rls rewrite both: 42501
SELECT * FROM audit_view;
--! rls rewrite both: 42501
SELECT * FROM audit_counts;
--! rls rewrite both: 42501
SELECT * FROM jobs_view;
-- A materialized view has no policies.
--! rls: 0A000
SELECT * FROM patient_counts;
--! rls: 0A000
SELECT country, patients FROM patient_counts WHERE patients > 1;
--! rls: 0A000
SELECT * FROM patients p LEFT JOIN patient_counts c USING (country);
--! rls rewrite both: 0A000
DELETE FROM patient_counts;
