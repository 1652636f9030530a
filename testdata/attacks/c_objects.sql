-- C. Objects that see more than who asks.

-- C1. a view of a superuser's
--! rls: 42501 relation.view_owner
--= rls rewrite: shows
SELECT * FROM every_patient;

-- C1. such a view below an aggregate
--! rls: 42501 relation.view_owner
--= rls rewrite: shows
SELECT max(name) FROM every_patient WHERE id > 0;

-- C1. UPDATE through such a view
--! rls rewrite both: 0A000 relation.view_write
--= rls rewrite: writes
UPDATE every_patient SET name = 'mine';

-- C1. DELETE through such a view
--! rls rewrite both: 0A000 relation.view_write
--= rls rewrite: harmless, PostgreSQL refuses the row
DELETE FROM every_patient WHERE id = 1;

-- C1. COPY of such a view
--! rls: 42501 relation.view_owner
--= rls rewrite: shows
COPY (SELECT * FROM every_patient) TO STDOUT;

-- C1. TABLE of such a view
--! rls: 42501 relation.view_owner
--= rls rewrite: shows
TABLE every_patient;

-- C2. a view of the tables' owner
--= rls: harmless, policies hold the owner
--= rewrite: shows
SELECT * FROM owners_patients;

-- C2. such a view joined to itself
--= rls: harmless, policies hold the owner
--= rewrite: tells
SELECT count(*) FROM owners_patients a JOIN owners_patients b USING (id);

-- C3. a view without the tenant column
--= rls: harmless, policies hold
--= rewrite: shows
SELECT * FROM patient_countries;

-- C3. a view that groups
--= rls: harmless, policies hold
--= rewrite: shows
SELECT * FROM open_totals;

-- C3. a view that counts
--= rls: harmless, policies hold
--= rewrite: tells
SELECT * FROM status_counts;

-- C3. UPDATE through a view
--! rls rewrite both: 0A000 relation.view_write
--= rls: harmless, policies hold
--= rewrite: writes
UPDATE own_patients SET name = 'mine';

-- C3. DELETE through a view
--! rls rewrite both: 0A000 relation.view_write
--= rls rewrite: harmless, PostgreSQL refuses the row
DELETE FROM own_patients;

-- C3. INSERT through a view with another tenant's key
--! rls rewrite both: 0A000 relation.view_write
--= rls: tells
--= rewrite: writes
INSERT INTO own_patients (tenant_id, id, name) VALUES (2, 999, 'mine');

-- C3. a view above a table that is denied
--! rls rewrite both: 42501 relation.view_denied
--= rls rewrite: shows
SELECT * FROM every_job;

-- C3. a view that reads the log of all
--! rls rewrite both: 42501 relation.view_denied
--= rls rewrite: shows
SELECT * FROM audit_view;

-- C3. FOR UPDATE through a view
--! rls: 42501 relation.view_owner
--= rls rewrite: shows
SELECT * FROM every_patient FOR UPDATE;

-- C4. a materialized view without the tenant column
--! rls rewrite both: 42501 relation.denied
--= rls rewrite: shows
SELECT * FROM patient_names;

-- C4. a materialized view with the tenant column
--! rls: 0A000 relation.materialized_view
--= rls rewrite: tells
SELECT tenant_id, country, patients FROM patient_counts;

-- C4. REFRESH
--= rls rewrite: harmless, the role may not
REFRESH MATERIALIZED VIEW patient_names;

-- C4. COPY of a materialized view
--! rls rewrite both: 42501 relation.denied
--= rls rewrite: harmless, PostgreSQL refuses it
COPY patient_names TO STDOUT;

-- C5. a partition by its name
--= rls: harmless, policies hold
--= rewrite: shows
SELECT payload FROM events_2026_01;

-- C5. ONLY of a partition
--= rls: harmless, policies hold
--= rewrite: shows
SELECT payload FROM ONLY events_2026_02;

-- C5. COPY of a partition
--= rls: harmless, policies hold
--= rewrite: shows
COPY events_2026_01 TO STDOUT;

-- C5. COPY of a partition's columns
--= rls: harmless, policies hold
--= rewrite: shows
COPY events_2026_01 (payload) TO STDOUT;

-- C5. INSERT into a partition with another tenant's key
--! rls rewrite both: 42501
--= rls: tells
--= rewrite: writes
INSERT INTO events_2026_01 (id, at, kind, tenant_id) VALUES (99, '2026-01-02', 'x', 2);

-- C5. UPDATE of a partition
--= rls: harmless, policies hold
--= rewrite: writes
UPDATE events_2026_01 SET kind = 'mine';

-- C5. DELETE from a partition
--= rls: harmless, policies hold
--= rewrite: writes
DELETE FROM events_2026_02;

-- C5. TRUNCATE of a partition
--! rls rewrite both: 42501 statement.truncate
--= rls rewrite: leaves
TRUNCATE events_2026_01;

-- C5. a row for another partition, whose message prints it
--= rls rewrite: harmless, PostgreSQL refuses the row
INSERT INTO events_2026_01 (id, at, kind, tenant_id) VALUES (99, '2027-01-02', 'x', 1);

-- C5. a partition behind another name in a common table expression
--= rls: harmless, policies hold
--= rewrite: shows
WITH events AS (SELECT * FROM events_2026_01) SELECT payload FROM events;

-- C6. a table without the tenant column
--! rls rewrite both: 42501 relation.denied
--= rls rewrite: shows
SELECT payload FROM jobs;

-- C6. a table that the configuration denies
--! rls rewrite both: 42501 relation.denied
--= rls rewrite: shows
SELECT what FROM audit_log;

-- C6. a copy of rows
--! rls rewrite both: 42501 relation.denied
--= rls rewrite: shows
SELECT * FROM backup;

-- C6. such a table in a sub-select of a condition
--! rls rewrite both: 42501 relation.denied
--= rls rewrite: tells
SELECT id FROM patients WHERE EXISTS (SELECT FROM jobs WHERE payload LIKE 'payload%');

-- C6. such a table in the target list
--! rls rewrite both: 42501 relation.denied
--= rls rewrite: shows
SELECT id, (SELECT max(payload) FROM jobs) FROM patients;

-- C6. TABLE of such a table
--! rls rewrite both: 42501 relation.denied
--= rls rewrite: shows
TABLE backup;

-- C6. a write to such a table
--! rls rewrite both: 42501 relation.denied
--= rls rewrite: writes
INSERT INTO jobs VALUES (99, 'mine');

-- C6. an update of such a table
--! rls rewrite both: 42501 relation.denied
--= rls rewrite: writes
UPDATE backup SET note = 'mine';

-- C6. COPY of such a table
--! rls rewrite both: 42501 relation.denied
--= rls rewrite: shows
COPY jobs TO STDOUT;

-- C6. COPY into such a table
--! rls rewrite both: 42501 relation.denied
--= rls rewrite: writes
--< 99	mine
COPY jobs FROM STDIN;

-- C8. a function that reads as a superuser
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: shows
SELECT spy();

-- C8. such a function in FROM
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: shows
SELECT * FROM spies();

-- C8. such a function in ROWS FROM
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: shows
SELECT * FROM ROWS FROM (spies(), generate_series(1, 3));

-- C8. such a function by a parameter
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: shows
--$ 0
SELECT spy($1::int);

-- C8. such a function in RETURNING
--! rls rewrite both: 42501 function.unlisted
--= rls: shows
--= rewrite: writes
UPDATE settings SET value = 'x' RETURNING spy();

-- C8. such a function as a default of COALESCE
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: shows
SELECT coalesce(born::text, spy()) FROM patients;

-- C9. a function that reads with the caller's rights
--! rls rewrite both: 42501 function.unlisted
--= rls: harmless, policies hold
--= rewrite: tells
SELECT patient_total();

-- C9. a function of a row
--! rls rewrite both: 42501 function.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
SELECT peers(m) FROM members m;

-- C9. a function of all columns
--! rls rewrite both: 42501 function.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
SELECT peers(m.*) FROM members m;

-- C10. a function as a column
--! rls rewrite both: 42501 function.column_notation
--= rls: harmless, policies hold
--= rewrite: shows
SELECT m.peers FROM members m;

-- C10. a function as a column in brackets
--! rls rewrite both: 42501 function.column_notation
--= rls: harmless, policies hold
--= rewrite: shows
SELECT (m).peers FROM members m;

-- C10. a function as a column of the table's name
--! rls rewrite both: 42501 function.column_notation
--= rls: harmless, policies hold
--= rewrite: shows
SELECT members.peers FROM members;

-- C10. a function as a column of a number
--! rls rewrite both: 42501 function.column_notation
--= rls rewrite: harmless, PostgreSQL reads it as a numeric constant's
SELECT (5).spy;

-- C10. a function as a column of a sub-select
--! rls rewrite both: 42501 function.column_notation
--= rls rewrite: harmless, PostgreSQL wants brackets around it
SELECT (SELECT 5).spy;

-- C10. a function as a column of a cast
--! rls rewrite both: 42501 function.column_notation
--= rls rewrite: leaves
SELECT ('tickets'::regclass).nextval;

-- C10. a function of text as a column
--! rls rewrite both: 42501 function.column_notation
--= rls rewrite: shows
SELECT ('SELECT payload FROM jobs'::text).run_text;

-- C10. a function as a column in a condition
--! rls rewrite both: 42501 function.column_notation
--= rls: harmless, policies hold
--= rewrite: tells
SELECT id FROM members m WHERE m.peers LIKE '%,%';

-- C10. a function as a column of a common table expression
--! rls rewrite both: 42501 function.column_notation
--= rls: harmless, policies hold
--= rewrite: shows
WITH m AS (SELECT m FROM members m) SELECT (m.m).peers FROM m;

-- C10. a function as a column of a record
--! rls rewrite both: 42501 function.column_notation
--= rls: harmless, policies hold
--= rewrite: tells
SELECT ((SELECT m FROM members m)).peers;

-- C11. an operator of the operator's own
--! rls rewrite both: 42501 operator.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
SELECT 1 @+@ 2;

-- C11. such an operator with its schema
--! rls rewrite both: 42501 operator.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
SELECT 1 OPERATOR(public.@+@) 2;

-- C11. such an operator with ANY
--! rls rewrite both: 42501 operator.unlisted
--= rls rewrite: harmless, PostgreSQL refuses it
SELECT 1 @+@ ANY (ARRAY[1]) IS NULL;

-- C11. such an operator in a condition
--! rls rewrite both: 42501 operator.unlisted
--= rls: harmless, policies hold
--= rewrite: tells
SELECT id FROM members WHERE id @+@ 2 LIKE '%';

-- C11. a cast with a function
--! rls rewrite both: 42501 type.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
SELECT (2::note_ref).note;

-- C11. such a cast as CAST
--! rls rewrite both: 42501 type.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
SELECT CAST(2 AS note_ref);

-- C11. such a cast written as a call
--! rls rewrite both: 42501 function.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
SELECT note_ref(2);

-- C11. such a cast in an assignment of a column's type
--! rls rewrite both: 42501 type.unlisted
--= rls rewrite: harmless, PostgreSQL refuses the value
SELECT * FROM json_to_record('{"a": 2}') AS x (a note_ref);

-- C11. an aggregate with a function
--! rls rewrite both: 42501 function.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
SELECT spy_sum(id) FROM patients;

-- C11. such an aggregate as a window function
--! rls rewrite both: 42501 function.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
SELECT spy_sum(id) OVER () FROM patients;

-- C11. a function in the place of PostgreSQL's
--! rls rewrite both: 42501 function.shadowed
--= rls: harmless, policies hold
--= rewrite: shows
SELECT lower('x'::name);

-- C11. a function in the place of PostgreSQL's, with its schema
--! rls rewrite both: 42501 function.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
SELECT public.lower('x');

-- C11. a type in the place of PostgreSQL's
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: harmless, PostgreSQL refuses the row
CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (public.spy() IS NULL);
SELECT 'x'::text;

-- C11. a procedure that deletes
--! rls rewrite both: 0A000 statement.call
--= rls rewrite: writes
CALL erase(2);

-- C11. a procedure that deletes, called as a function
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: harmless, PostgreSQL refuses it
SELECT erase(2);

-- C12. another schema's table of a shared one's name
--= rls: harmless, policies hold
--= rewrite: shows
SELECT name FROM attic.countries;

-- C12. the search path
--! rls rewrite both: 42501 setting.search_path
--= rls: leaves
--= rewrite: shows
SET search_path = attic, public;
SELECT name FROM countries;

-- C12. the search path by set_config
--! rls rewrite both: 42501 setting.search_path
--= rls: leaves
--= rewrite: shows
SELECT set_config('search_path', 'attic', true);
SELECT name FROM countries;

-- C12. SET SCHEMA
--! rls rewrite both: 42501 setting.search_path
--= rls: leaves
--= rewrite: shows
SET SCHEMA 'attic';
SELECT name FROM countries;

-- C12. the search path for the transaction
--! rls rewrite both: 42501 setting.search_path
--= rls: leaves
--= rewrite: shows
SET LOCAL search_path TO attic;
SELECT name FROM countries;

-- C12. a temporary table in the place of a shared one
--! rls rewrite both: 0A000 statement.create_table_as
--= rls: leaves
--= rewrite: shows
CREATE TEMP TABLE countries AS SELECT * FROM attic.countries;
SELECT name FROM countries;

-- C13. a name in Unicode escapes
--! rls rewrite both: 42501 relation.denied
--= rls rewrite: shows
SELECT payload FROM U&"\006Aobs";

-- C13. a name in capitals
--! rls rewrite both: 42501 relation.denied
--= rls rewrite: shows
SELECT Payload FROM JOBS;

-- C13. a name with its schema in quotes
--! rls rewrite both: 42501 relation.denied
--= rls rewrite: shows
SELECT payload FROM "public"."jobs";

-- C13. a name with its database
--= rls rewrite: harmless, PostgreSQL does not do that
SELECT * FROM clinic.public.jobs;

-- C13. a name that only looks like a shared one
--= rls rewrite: harmless, there is no such relation
SELECT * FROM "Countries";

-- C13. an object of pg_temp
--= rls rewrite: harmless, there is no such relation
SELECT * FROM pg_temp.countries;

-- C13. a name with more than 63 bytes
--= rls rewrite: harmless, there is no such relation
SELECT * FROM countriesxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx;

-- C13. an alias that looks like a schema
--= rls: harmless, policies hold
--= rewrite: shows
SELECT public.name FROM patients AS public;

-- C11. a cast that an assignment makes by itself
--! rls rewrite both: 42501 type.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
INSERT INTO sights (tenant_id, id, p) VALUES (1, 7, 2) RETURNING p;

-- C11. such a cast in UPDATE
--! rls rewrite both: 42501 type.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
UPDATE sights SET p = 2 WHERE id = 1 RETURNING p;

-- C11. such a cast of the elements of an array
--! rls rewrite both: 42501 type.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
UPDATE sights SET ps[1] = 2 WHERE id = 1 RETURNING ps;

-- C11. such a cast in INSERT ... SELECT
--! rls rewrite both: 42501 type.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
INSERT INTO sights (tenant_id, id, p) SELECT 1, 8, 2 RETURNING p;

-- C11. such a cast in ON CONFLICT
--! rls rewrite both: 42501 type.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
INSERT INTO sights (tenant_id, id) VALUES (1, 1) ON CONFLICT (tenant_id, id) DO UPDATE SET p = 2 RETURNING p;

-- C11. such a cast in a common table expression
--! rls rewrite both: 42501 type.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
WITH x AS (UPDATE sights SET p = id WHERE id = 1 RETURNING p) SELECT p FROM x;

-- C11. such a cast in MERGE
--! rls rewrite both: 42501 type.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
MERGE INTO sights s USING (SELECT 1 AS one) x ON s.id = 1 WHEN MATCHED THEN UPDATE SET p = 2;
SELECT p FROM sights WHERE id = 1;

-- C11. such a cast of a parameter
--! rls rewrite both: 42501 type.unlisted
--$ 2
--= rls: harmless, policies hold
--= rewrite: shows
UPDATE sights SET p = $1::int WHERE id = 1 RETURNING p;

-- C11. a cast that an operator makes by itself
--! rls rewrite both: 42501 type.unlisted
--= rls: harmless, policies hold
--= rewrite: harmless, PostgreSQL finds another operator
SELECT g || '' FROM glances WHERE id = 1;

-- C11. a cast that a function's argument makes by itself
--! rls rewrite both: 42501 type.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
SELECT upper(g) FROM glances WHERE id = 1;

-- C11. such a cast in a condition
--! rls rewrite both: 42501 type.unlisted
--? own / nobody
--= rls: harmless, policies hold
--= rewrite: harmless, both are the same for it
SELECT id FROM glances WHERE g LIKE '%PROBE%';

-- C11. such a cast in COPY
--! rls rewrite both: 42501 type.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
COPY (SELECT concat('', upper(g)) FROM glances WHERE id = 1) TO STDOUT;

-- C11. such a cast in a sub-select's value
--! rls rewrite both: 42501 type.unlisted
--= rls: harmless, policies hold
--= rewrite: harmless, PostgreSQL finds another operator
SELECT (SELECT g FROM glances WHERE id = 1) || 'x';

-- C11. such a cast of an element
--! rls rewrite both: 42501 type.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
SELECT upper((array_agg(g))[1]) FROM glances WHERE id = 1;

-- C11. such a cast of what a function returns
--! rls rewrite both: 42501 type.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
SELECT upper(x.g) FROM json_populate_recordset(NULL::glances, '[{"g": {"note": "x"}}]') AS x;

-- C11. the constructor of a range of the operator's own
--! rls rewrite both: 42501 function.unlisted
--= rls: harmless, it makes a value
--= rewrite: shows
SELECT span('a', note) FROM members WHERE id = 1;

-- C7. an ordered-set aggregate over a function's results
--! rls rewrite both: 42501 function.unlisted
--= rls: harmless, policies hold
--= rewrite: shows
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY peers(m)) FROM members m;

-- C8. a field of a row that a function returns, by its place in an array
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: shows
SELECT ((SELECT array_agg(s) FROM spies() s WHERE tenant_id = 2)[1]).note;

-- C8. a namespace of XMLTABLE
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: shows
SELECT * FROM XMLTABLE(XMLNAMESPACES('u' AS x), '/a' PASSING '<a/>' COLUMNS b text PATH 'b' DEFAULT spy());

-- C8. a function in the sample's seed
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: unseen, the sample of a small table may be the same
SELECT id FROM members TABLESAMPLE bernoulli (50) REPEATABLE (length(spy()));
