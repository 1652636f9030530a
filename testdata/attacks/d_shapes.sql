-- D. Shapes of statements in which a rewriter overlooks a relation, or puts a
-- predicate where it does not hold. {t} is where a simple one would put it.

-- D1. column aliases that move the tenant column's name
--= rls: harmless, policies hold
--= rewrite: tells
SELECT * FROM members AS m (x, y, z, w, v, tenant_id) WHERE {m.t} true OR m.x = 2;

-- D1. column aliases that give it to a column that holds one's own key
--= rls: harmless, policies hold
--= rewrite: shows
SELECT m.note FROM members m (a, tenant_id, name, note) WHERE {m.t} true;

-- D1. column aliases of a join
--= rls: harmless, policies hold
--= rewrite: shows
SELECT j.d FROM (members m JOIN countries c ON true) AS j (tenant, a, b, d) WHERE j.tenant > 0;

-- D2. a common table expression with the table's name, which a qualified name passes by
--= rls: harmless, policies hold
--= rewrite: shows
WITH members AS (SELECT 1 AS id) SELECT note FROM public.members;

-- D2. a common table expression with the table's name, in an inner query
--= rls: harmless, policies hold
--= rewrite: shows
SELECT (WITH members AS (SELECT 1 AS id) SELECT max(id) FROM members), (SELECT max(note) FROM members);

-- D2. a common table expression that reads the table of its name
--= rls: harmless, policies hold
--= rewrite: shows
WITH members AS (SELECT * FROM members) SELECT note FROM members;

-- D2. a common table expression that is defined later
--= rls: harmless, policies hold
--= rewrite: shows
WITH a AS (SELECT note FROM members), members AS (SELECT 1 AS note) SELECT * FROM a;

-- D2. a common table expression of a sibling
--= rls: harmless, policies hold
--= rewrite: shows
SELECT * FROM (WITH members AS (SELECT 1) SELECT * FROM members) a, (SELECT note FROM members) b;

-- D2. a recursive one that names itself only with RECURSIVE
--= rls: harmless, policies hold
--= rewrite: shows
WITH RECURSIVE members AS (SELECT note FROM public.members UNION SELECT note FROM members) SELECT * FROM members;

-- D2. a common table expression with the name of a table that is denied
--! rls rewrite both: 42501 relation.denied
--= rls rewrite: shows
WITH jobs AS (SELECT * FROM jobs) SELECT payload FROM jobs;

-- D3. UPDATE of a common table expression's name
--= rls: harmless, policies hold
--= rewrite: writes
WITH members AS (SELECT 1 AS id) UPDATE members SET note = 'mine';

-- D3. DELETE from a common table expression's name
--= rls: harmless, policies hold
--= rewrite: writes
WITH members AS (SELECT 1 AS id) DELETE FROM members;

-- D3. INSERT into a common table expression's name
--! rls rewrite both: 42501 relation.denied
--= rls rewrite: writes
WITH jobs AS (SELECT 1 AS id) INSERT INTO jobs VALUES (99, 'mine');

-- D3. MERGE into a common table expression's name
--! rls: 42501
--= rls: tells
--= rewrite: writes
WITH members AS (SELECT 1 AS id) MERGE INTO members USING countries c ON c.code = 'DE' WHEN MATCHED THEN UPDATE SET note = 'mine';

-- D4. a sub-select in the target list
--= rls: harmless, policies hold
--= rewrite: shows
SELECT id, (SELECT string_agg(note, ',') FROM members) FROM patients WHERE {t} true;

-- D4. a sub-select in FROM
--= rls: harmless, policies hold
--= rewrite: shows
SELECT * FROM (SELECT note FROM members) s;

-- D4. a sub-select in a sub-select in a sub-select
--= rls: harmless, policies hold
--= rewrite: shows
SELECT (SELECT max(n) FROM (SELECT (SELECT max(note) FROM members) AS n) s);

-- D4. LATERAL
--= rls: harmless, policies hold
--= rewrite: shows
SELECT p.id, s.note FROM patients p, LATERAL (SELECT note FROM members m WHERE m.id = p.id) s WHERE {p.t} true;

-- D4. LATERAL of a left join
--= rls: harmless, policies hold
--= rewrite: shows
SELECT c.code, s.note FROM countries c LEFT JOIN LATERAL (SELECT note FROM members) s ON true;

-- D4. WHERE
--= rls: harmless, policies hold
--= rewrite: tells
SELECT id FROM patients WHERE {t} 'note ~' || '2~' IN (SELECT note FROM members);

-- D4. HAVING
--= rls: harmless, policies hold
--= rewrite: tells
SELECT count(*) FROM patients WHERE {t} true HAVING (SELECT count(*) FROM members) > 2;

-- D4. GROUP BY
--= rls rewrite: harmless, an expression that is the same for all rows
SELECT count(*) FROM patients WHERE {t} true GROUP BY (SELECT max(note) FROM members), (SELECT count(*) FROM members);

-- D4. ORDER BY
--= rls: harmless, policies hold
--= rewrite: shows
SELECT (SELECT max(note) FROM members) AS x FROM patients WHERE {t} true ORDER BY (SELECT max(credit) FROM members);

-- D4. LIMIT
--= rls: harmless, policies hold
--= rewrite: tells
SELECT id FROM patients WHERE {t} true LIMIT (SELECT count(*) FROM members);

-- D4. OFFSET
--= rls: harmless, policies hold
--= rewrite: tells
SELECT id FROM patients WHERE {t} true OFFSET (SELECT count(*) FROM members);

-- D4. FETCH FIRST
--= rls: harmless, policies hold
--= rewrite: tells
SELECT id FROM patients WHERE {t} true FETCH FIRST (SELECT count(*) FROM members) ROWS ONLY;

-- D4. DISTINCT ON
--= rls: harmless, policies hold
--= rewrite: shows
SELECT DISTINCT ON ((SELECT max(note) FROM members)) (SELECT max(note) FROM members) FROM patients WHERE {t} true;

-- D4. a window's partition
--= rls rewrite: harmless, the partitions hold one row each
SELECT count(*) OVER (PARTITION BY (SELECT max(note) FROM members) <> note) FROM members WHERE {t} true;

-- D4. a window's frame
--= rls: harmless, policies hold
--= rewrite: tells
SELECT sum(id) OVER (ORDER BY id ROWS (SELECT count(*) FROM members) PRECEDING) FROM patients WHERE {t} true;

-- D4. FILTER
--= rls: harmless, policies hold
--= rewrite: tells
SELECT count(*) FILTER (WHERE (SELECT count(*) FROM members) > 2) FROM patients WHERE {t} true;

-- D4. WITHIN GROUP
--= rls: harmless, policies hold
--= rewrite: shows
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY (SELECT max(note) FROM members)) FROM patients WHERE {t} true;

-- D4. an argument of an aggregate
--= rls: harmless, policies hold
--= rewrite: shows
SELECT string_agg(name, (SELECT max(note) FROM members)) FROM patients WHERE {t} true;

-- D4. an aggregate's order
--= rls: harmless, policies hold
--= rewrite: shows
SELECT array_agg((SELECT max(note) FROM members) ORDER BY id) FROM patients WHERE {t} true;

-- D4. JOIN ON
--= rls: harmless, policies hold
--= rewrite: tells
SELECT c.code FROM countries c JOIN feature_flags f ON (SELECT count(*) FROM members) > 2;

-- D4. JOIN of the table itself
--= rls: harmless, policies hold
--= rewrite: shows
SELECT m.note FROM patients p JOIN members m USING (id) WHERE {p.t} true;

-- D4. a left join, whose predicate must stand in ON
--= rls: harmless, policies hold
--= rewrite: shows
SELECT p.id, m.note FROM patients p LEFT JOIN members m ON m.id <> p.id WHERE {p.t} true;

-- D4. a full join
--= rls: harmless, policies hold
--= rewrite: shows
SELECT p.name, m.note FROM patients p FULL JOIN members m ON m.id = p.id;

-- D4. a natural join
--= rls: harmless, policies hold
--= rewrite: shows
SELECT code, name FROM countries NATURAL FULL JOIN attic.countries a;

-- D4. arguments of TABLESAMPLE
--= rls: harmless, policies hold
--= rewrite: tells
SELECT id FROM countries c, patients TABLESAMPLE BERNOULLI ((SELECT count(*) * 30 FROM members)) REPEATABLE (1);

-- D4. XMLTABLE
--= rls: harmless, policies hold
--= rewrite: shows
SELECT x.* FROM XMLTABLE('/a' PASSING (SELECT ('<a>' || string_agg(note, ',') || '</a>')::xml FROM members) COLUMNS b text PATH '.') x;

-- D4. a subscript
--= rls: harmless, policies hold
--= rewrite: shows
SELECT (SELECT array_agg(note) FROM members)[(SELECT count(*) FROM members)];

-- D4. a slice
--= rls: harmless, policies hold
--= rewrite: tells
SELECT (ARRAY[1, 2, 3, 4])[1:(SELECT count(*) FROM members)];

-- D4. a variadic argument
--= rls: harmless, policies hold
--= rewrite: shows
SELECT concat(VARIADIC (SELECT array_agg(note) FROM members));

-- D4. a named argument
--= rls: harmless, policies hold
--= rewrite: tells
SELECT make_interval(secs => (SELECT count(*) FROM members));

-- D4. ROW
--= rls: harmless, policies hold
--= rewrite: shows
SELECT ROW((SELECT max(note) FROM members), 1);

-- D4. ARRAY
--= rls: harmless, policies hold
--= rewrite: shows
SELECT ARRAY(SELECT note FROM members);

-- D4. CASE
--= rls: harmless, policies hold
--= rewrite: shows
SELECT CASE (SELECT count(*) FROM members) WHEN 1 THEN 'alone' ELSE (SELECT max(note) FROM members) END;

-- D4. COALESCE
--= rls: harmless, policies hold
--= rewrite: shows
SELECT coalesce(NULL, (SELECT max(note) FROM members));

-- D4. GREATEST
--= rls: harmless, policies hold
--= rewrite: shows
SELECT greatest('a', (SELECT max(note) FROM members));

-- D4. IN of a row
--= rls: harmless, policies hold
--= rewrite: tells
SELECT id FROM patients WHERE {t} (id, 'note ~' || '2~') IN (SELECT id, note FROM members);

-- D4. ANY
--= rls: harmless, policies hold
--= rewrite: tells
SELECT 'note ~' || '2~' = ANY (SELECT note FROM members);

-- D4. ALL
--= rls: harmless, policies hold
--= rewrite: tells
SELECT 3 > ALL (SELECT tenant_id + id FROM members);

-- D4. EXISTS
--= rls: harmless, policies hold
--= rewrite: tells
SELECT EXISTS (SELECT FROM members WHERE name = 'victim');

-- D4. VALUES
--= rls: harmless, policies hold
--= rewrite: shows
VALUES ((SELECT max(note) FROM members)), ('x');

-- D4. RETURNING
--= rls: harmless, policies hold
--= rewrite: shows
UPDATE settings SET value = 'x' WHERE {t} name = 'fax' RETURNING (SELECT string_agg(note, ',') FROM members);

-- D4. ON CONFLICT
--= rls: harmless, policies hold
--= rewrite: shows
INSERT INTO feature_flags (name) VALUES ('video') ON CONFLICT (name) DO UPDATE SET note = (SELECT string_agg(note, ',') FROM members) RETURNING note;

-- D4. ON CONFLICT's condition
--= rls: harmless, policies hold
--= rewrite: tells
INSERT INTO feature_flags (name) VALUES ('video') ON CONFLICT (name) DO UPDATE SET note = 'x' WHERE (SELECT count(*) FROM members) > 2;

-- D4. an assignment
--= rls: harmless, policies hold
--= rewrite: shows
UPDATE feature_flags SET note = (SELECT string_agg(m.note, ',') FROM members m) RETURNING note;

-- D4. a multiple assignment
--= rls: harmless, policies hold
--= rewrite: shows
UPDATE feature_flags SET (note, enabled) = (SELECT max(m.note), true FROM members m) RETURNING note;

-- D4. UPDATE FROM
--= rls: harmless, policies hold
--= rewrite: shows
UPDATE feature_flags f SET note = m.note FROM members m WHERE m.name = 'victim' RETURNING m.note;

-- D4. DELETE USING
--= rls: harmless, policies hold
--= rewrite: shows
DELETE FROM feature_flags f USING members m WHERE m.name = 'victim' RETURNING m.note;

-- D4. the source of MERGE
--= rls: harmless, policies hold
--= rewrite: shows
MERGE INTO feature_flags f USING members m ON f.name = m.name WHEN NOT MATCHED THEN INSERT VALUES (m.name, true, m.note);
SELECT note FROM feature_flags;

-- D4. a condition of MERGE
--= rls: harmless, policies hold
--= rewrite: tells
MERGE INTO feature_flags f USING countries c ON c.code = 'DE' WHEN MATCHED AND (SELECT count(*) FROM members) > 2 THEN DELETE;

-- D4. a cursor
--= rls: leaves
--= rewrite: shows
DECLARE c CURSOR FOR SELECT note FROM members;
FETCH ALL FROM c;

-- D4. a cursor that scrolls
--= rls: leaves
--= rewrite: shows
DECLARE c SCROLL CURSOR FOR SELECT (SELECT max(note) FROM members) FROM countries;
FETCH LAST FROM c;
FETCH BACKWARD ALL FROM c;

-- D4. arguments of EXECUTE
--= rls rewrite: harmless, PostgreSQL does not do that
PREPARE q (text) AS SELECT $1;
EXECUTE q ((SELECT max(note) FROM members));

-- D4. a query in JSON_ARRAY
--= rls rewrite: harmless, PostgreSQL's parser refuses it
SELECT json_array(SELECT note FROM members);

-- D4. an operand of a bit string's test
--= rls: harmless, policies hold
--= rewrite: tells
SELECT (SELECT max(note) FROM members) IS DISTINCT FROM 'x', (SELECT max(note) FROM members) LIKE '%2%';

-- D5. UNION
--= rls: harmless, policies hold
--= rewrite: shows
SELECT name FROM patients WHERE {t} true UNION ALL SELECT note FROM members;

-- D5. INTERSECT
--= rls: harmless, policies hold
--= rewrite: shows
SELECT 'note ~' || '2~' INTERSECT SELECT note FROM members;

-- D5. EXCEPT
--= rls: harmless, policies hold
--= rewrite: shows
(SELECT note FROM members) EXCEPT (SELECT 'x');

-- D5. TABLE
--= rls: harmless, policies hold
--= rewrite: shows
TABLE members;

-- D5. TABLE in UNION
--= rls: harmless, policies hold
--= rewrite: shows
VALUES (1, 1, 'x', 'x', 1, true) UNION TABLE members;

-- D5. ONLY
--= rls: harmless, policies hold
--= rewrite: shows
SELECT note FROM ONLY members;

-- D5. ONLY in brackets
--= rls: harmless, policies hold
--= rewrite: shows
SELECT note FROM ONLY (members);

-- D5. a star behind the table
--= rls: harmless, policies hold
--= rewrite: shows
SELECT note FROM members *;

-- D5. TABLESAMPLE
--= rls: harmless, policies hold
--= rewrite: shows
SELECT note FROM members TABLESAMPLE SYSTEM (100);

-- D5. a whole row
--= rls: harmless, policies hold
--= rewrite: shows
SELECT m::text FROM members m;

-- D5. a whole row of a join
--= rls: harmless, policies hold
--= rewrite: shows
SELECT j FROM (members m JOIN countries c ON true) j;

-- D5. a whole row as JSON
--= rls: harmless, policies hold
--= rewrite: shows
SELECT json_agg(m), row_to_json(m) FROM members m GROUP BY m;

-- D5. SELECT without columns
--= rls: harmless, policies hold
--= rewrite: tells
SELECT FROM members;

-- D5. SELECT in brackets in brackets
--= rls rewrite: harmless, PostgreSQL's parser refuses it
((SELECT note FROM ((members))));

-- D5. rows counted
--= rls: harmless, policies hold
--= rewrite: tells
SELECT count(*), max(credit), min(name) FROM members;

-- D5. rows locked
--= rls: harmless, policies hold
--= rewrite: shows
SELECT note FROM members FOR UPDATE;

-- D5. rows locked without waiting
--= rls: harmless, policies hold
--= rewrite: shows
SELECT note FROM members m FOR NO KEY UPDATE OF m SKIP LOCKED;

-- D6. COPY of a table
--= rls: harmless, policies hold
--= rewrite: shows
COPY members TO STDOUT;

-- D6. COPY of columns
--= rls: harmless, policies hold
--= rewrite: shows
COPY members (note) TO STDOUT;

-- D6. COPY as CSV
--= rls: harmless, policies hold
--= rewrite: shows
COPY public.members TO STDOUT (FORMAT csv, HEADER);

-- D6. COPY in binary
--= rls: harmless, policies hold
--= rewrite: shows
COPY members TO STDOUT (FORMAT binary);

-- D6. COPY of a query
--= rls: harmless, policies hold
--= rewrite: shows
COPY (SELECT note FROM members) TO STDOUT;

-- D6. COPY of what a statement returns
--= rls: harmless, policies hold
--= rewrite: shows
COPY (UPDATE members SET credit = 1 RETURNING note) TO STDOUT;

-- D7. COPY FROM with another tenant's key
--! rls rewrite both: 42501
--= rls: tells
--= rewrite: writes
--< 2	9	planted	planted	1	t
COPY members FROM STDIN;

-- D7. COPY FROM with the tenant column in another place
--! rls rewrite both: 42501
--= rls: tells
--= rewrite: writes
--< planted	planted	1	t	2	9
COPY members (name, note, credit, active, tenant_id, id) FROM STDIN;

-- D7. COPY FROM as CSV
--! rls rewrite both: 42501
--= rls: tells
--= rewrite: writes
--< 2,9,planted,planted,1,t
COPY members FROM STDIN (FORMAT csv);

-- D7. COPY FROM that ends the data early
--= rls: tells
--= rewrite: harmless, PostgreSQL ends there too
--< 1	9	mine	mine	1	t
--< \.
--< 2	10	planted	planted	1	t
COPY members FROM STDIN;

-- D8. INSERT with another tenant's key
--! rls rewrite both: 42501
--= rls: tells
--= rewrite: writes
INSERT INTO members (tenant_id, id, name, note, credit, active) VALUES (2, 9, 'planted', 'x', 1, true);

-- D8. INSERT without list of columns
--! rls rewrite both: 42501
--= rls: tells
--= rewrite: writes
INSERT INTO members VALUES (2, 9, 'planted', 'x', 1, true);

-- D8. INSERT of several rows, one of them another tenant's
--! rls rewrite both: 42501
--= rls: tells
--= rewrite: writes
INSERT INTO members VALUES (1, 8, 'a', 'x', 1, true), (2, 9, 'planted', 'x', 1, true);

-- D8. INSERT ... SELECT
--! rls rewrite both: 42501
--= rls: tells
--= rewrite: writes
INSERT INTO members SELECT 2, 9, 'planted', 'x', 1, true;

-- D8. INSERT ... TABLE
--= rls rewrite: harmless, the rows are there
INSERT INTO members TABLE members;

-- D8. INSERT of a whole row
--! rewrite both: 0A000 insert.unknown_width
--= rls rewrite: harmless, the rows are there
INSERT INTO members SELECT (m).* FROM members m ON CONFLICT DO NOTHING;

-- D8. INSERT of VALUES in a sub-select
--! rls: 42501
--! rewrite both: 0A000 insert.unknown_width
--= rls: tells
--= rewrite: writes
INSERT INTO members SELECT * FROM (VALUES (2, 9, 'planted', 'x', 1, true)) v;

-- D8. INSERT with a key computed
--! rls: 42501
--! rewrite both: 0A000 insert.tenant_expression
--= rls: tells
--= rewrite: writes
INSERT INTO members (tenant_id, id, name, note, credit, active) VALUES (1 + 1, 9, 'planted', 'x', 1, true);

-- D8. INSERT with a key from a parameter
--! rls rewrite both: 42501
--= rls: tells
--= rewrite: writes
--$ 2
INSERT INTO members (tenant_id, id, name, note, credit, active) VALUES ($1, 9, 'planted', 'x', 1, true);

-- D8. INSERT ... SELECT of others' rows
--= rls: harmless, policies hold
--= rewrite: shows
INSERT INTO feature_flags (name, note) SELECT name, note FROM members RETURNING note;

-- D8. INSERT of the column twice by Unicode escapes
--! rls rewrite both: 42501
--= rls: tells
--= rewrite: writes
INSERT INTO members (U&"tenant\005Fid", id, name, note, credit, active) VALUES (2, 9, 'planted', 'x', 1, true);

-- D8. OVERRIDING
--! rls rewrite both: 42501
--= rls: tells
--= rewrite: writes
INSERT INTO practitioners (id, name, tenant_id) OVERRIDING USER VALUE VALUES (5, 'planted', 2);

-- D8. INSERT into one's own, RETURNING more
--= rls: harmless, policies hold
--= rewrite: tells
INSERT INTO log_lines (level, line) VALUES ('x', 'y') RETURNING (SELECT string_agg(note, ',') FROM members);

-- D9. ON CONFLICT on a key of all tenants overwrites the row
--! rls: 42501
--! rewrite both: open, a key without the tenant column tells that a row exists
--= rls: tells
--= rewrite: writes
INSERT INTO handles (tenant_id, handle, note) VALUES (1, 'taken', 'mine') ON CONFLICT (handle) DO UPDATE SET note = 'mine' RETURNING *;

-- D9. ON CONFLICT returns the row
--! rls: 42501
--! rewrite both: open, a key without the tenant column tells that a row exists
--= rls: tells
--= rewrite: writes
INSERT INTO handles (tenant_id, handle, note) VALUES (1, 'taken', 'mine') ON CONFLICT (handle) DO UPDATE SET handle = handles.handle RETURNING note;

-- D9. ON CONFLICT ON CONSTRAINT
--! rls: 42501
--! rewrite both: open, a key without the tenant column tells that a row exists
--= rls: tells
--= rewrite: writes
INSERT INTO handles (tenant_id, handle, note) VALUES (1, 'taken', 'mine') ON CONFLICT ON CONSTRAINT handles_handle_key DO UPDATE SET tenant_id = 1;

-- D9. ON CONFLICT reads the row in a condition
--! rls: 42501
--! rewrite both: open, a key without the tenant column tells that a row exists
--= rls: tells
--= rewrite: writes
INSERT INTO handles (tenant_id, handle, note) VALUES (1, 'taken', 'mine') ON CONFLICT (handle) DO UPDATE SET note = 'mine' WHERE handles.note LIKE 'handle%';

-- D10. a row given away
--! rls rewrite both: 42501
--= rls: tells
--= rewrite: writes
UPDATE members SET tenant_id = 2, id = 99 WHERE {t} id = 1;

-- D10. a row given away by a multiple assignment
--! rls rewrite both: 42501
--= rls: tells
--= rewrite: writes
UPDATE members SET (tenant_id, id) = (2, 99) WHERE {t} id = 1;

-- D10. a row given away by a sub-select
--! rls: 42501
--! rewrite both: 0A000 update.tenant_expression
--= rls: tells
--= rewrite: writes
UPDATE members SET tenant_id = (SELECT 2), id = 99 WHERE {t} id = 1;

-- D10. a row given away by a row
--! rls rewrite both: 42501
--= rls: tells
--= rewrite: writes
UPDATE members SET (tenant_id, id) = ROW (2, 99) WHERE {t} id = 1;

-- D10. the tenant column by default
--! rls: 42501
--= rls rewrite: tells
UPDATE members SET tenant_id = DEFAULT WHERE {t} id = 1;

-- D10. another tenant's row taken
--= rls: harmless, policies hold
--= rewrite: tells
UPDATE members SET tenant_id = 1, id = 99 WHERE tenant_id = 2 RETURNING note;

-- D10. a row given away by a parameter
--! rls rewrite both: 42501
--= rls: tells
--= rewrite: writes
--$ 2
UPDATE members SET tenant_id = $1, id = 99 WHERE {t} id = 1;

-- D11. MERGE that updates
--! rls: 42501
--= rls: tells
--= rewrite: writes
MERGE INTO members m USING countries c ON c.code = 'DE' WHEN MATCHED THEN UPDATE SET note = 'mine';

-- D11. MERGE that deletes
--! rls: 42501
--= rls: tells
--= rewrite: writes
MERGE INTO members m USING countries c ON c.code = 'DE' WHEN MATCHED THEN DELETE;

-- D11. MERGE that inserts with another tenant's key
--! rls rewrite both: 42501
--= rls: tells
--= rewrite: writes
MERGE INTO members m USING countries c ON m.name = 'nobody' WHEN NOT MATCHED AND c.code = 'DE' THEN INSERT VALUES (2, 99, 'planted', 'x', 1, true);

-- D11. MERGE that gives a row away
--! rls rewrite both: 42501
--= rls: tells
--= rewrite: writes
MERGE INTO members m USING countries c ON {m.t} c.code = 'DE' WHEN MATCHED THEN UPDATE SET tenant_id = 2, id = 99;

-- D11. MERGE whose predicate in ON makes others' rows unmatched
--= rls rewrite: harmless, PostgreSQL's parser refuses it
MERGE INTO members m USING countries c ON {m.t} c.code = 'DE' WHEN NOT MATCHED BY SOURCE THEN DELETE;

-- D12. DELETE in a common table expression
--= rls: harmless, policies hold
--= rewrite: writes
WITH d AS (DELETE FROM members RETURNING *) SELECT note FROM d;

-- D12. UPDATE in a common table expression
--= rls: harmless, policies hold
--= rewrite: writes
WITH u AS (UPDATE members SET credit = 0 RETURNING *) SELECT note FROM u;

-- D12. INSERT in a common table expression
--! rls rewrite both: 42501
--= rls: tells
--= rewrite: writes
WITH i AS (INSERT INTO members VALUES (2, 9, 'planted', 'x', 1, true) RETURNING *) SELECT * FROM i;

-- D12. a write behind a read of the same row
--= rls rewrite: harmless, PostgreSQL refuses the row
WITH a AS (SELECT * FROM members), d AS (DELETE FROM handles USING a WHERE a.name <> handle RETURNING handles.note) SELECT * FROM d;

-- D12. RETURNING all
--= rls: harmless, policies hold
--= rewrite: writes
UPDATE members SET credit = 1 RETURNING *;

-- D12. DELETE without condition
--= rls: harmless, policies hold
--= rewrite: writes
DELETE FROM members;

-- D12. UPDATE without condition
--= rls: harmless, policies hold
--= rewrite: writes
UPDATE members SET note = 'mine';

-- D12. UPDATE of a partitioned table
--= rls: harmless, policies hold
--= rewrite: writes
UPDATE events SET kind = 'mine';

-- D12. UPDATE FROM itself
--= rls: harmless, policies hold
--= rewrite: shows
UPDATE members m SET note = o.note FROM members o WHERE {m.t} o.name = 'victim' RETURNING m.note;

-- D12. DELETE USING itself
--= rls: harmless, policies hold
--= rewrite: shows
DELETE FROM members m USING members o WHERE {m.t} o.name = 'victim' RETURNING o.note;

-- D13. PREPARE and EXECUTE
--= rls: leaves
--= rewrite: shows
PREPARE q AS SELECT note FROM members;
EXECUTE q;

-- D13. PREPARE of a DELETE
--= rls: leaves
--= rewrite: writes
PREPARE q AS DELETE FROM members RETURNING note;
EXECUTE q;

-- D13. DECLARE and FETCH
--= rls: leaves
--= rewrite: shows
DECLARE "C" BINARY CURSOR FOR SELECT note FROM members;
FETCH FORWARD 10 FROM "C";

-- D13. DECLARE WITH HOLD
--= rls: leaves
--= rewrite: shows
DECLARE c CURSOR WITH HOLD FOR SELECT note FROM members;
FETCH ALL FROM c;

-- D13. MOVE counts
--= rls rewrite: leaves
DECLARE c CURSOR FOR SELECT note FROM members;
MOVE ALL FROM c;

-- D13. WHERE CURRENT OF
--! rewrite both: 0A000 statement.current_of
--= rls: harmless, policies hold
--= rewrite: writes
DECLARE c CURSOR FOR SELECT * FROM members FOR UPDATE;
MOVE 2 FROM c;
UPDATE members SET note = 'mine' WHERE CURRENT OF c;

-- D13. CREATE TABLE AS
--! rls rewrite both: 0A000 statement.create_table_as
--= rls: leaves
--= rewrite: shows
CREATE TEMP TABLE t AS SELECT note FROM members;
SELECT * FROM t;

-- D13. SELECT INTO
--! rls rewrite both: 0A000 statement.select_into
--= rls: leaves
--= rewrite: shows
SELECT note INTO TEMP t FROM members;
SELECT * FROM t;

-- D13. a view
--! rls rewrite both: 42501 statement.ddl
--= rls: leaves
--= rewrite: shows
CREATE TEMP VIEW v AS SELECT note FROM members;
SELECT * FROM v;

-- D13. a recursive view
--! rls rewrite both: 42501 statement.ddl
--= rls: leaves
--= rewrite: shows
CREATE TEMP RECURSIVE VIEW v (n) AS SELECT note FROM members;
SELECT * FROM v;

-- D13. a function in SQL's own form
--! rls rewrite both: 42501 statement.ddl
--= rls: leaves
--= rewrite: shows
CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT string_agg(note, ',') FROM members; END;
SELECT pg_temp.f();

-- D13. EXPLAIN ANALYZE
--! rls rewrite both: 0A000 statement.explain
--= rls rewrite: tells
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT * FROM members;

-- D13. EXPLAIN ANALYZE of a DELETE
--! rls rewrite both: 0A000 statement.explain
--= rls: tells
--= rewrite: writes
EXPLAIN ANALYZE DELETE FROM members;

-- D13. EXPLAIN of EXECUTE
--! rls rewrite both: 0A000 statement.explain
--= rls rewrite: leaves
PREPARE q AS SELECT note FROM members;
EXPLAIN ANALYZE EXECUTE q;

-- D13. DO
--! rls rewrite both: 42501 statement.do
--= rls: harmless, policies hold
--= rewrite: writes
DO $$ BEGIN DELETE FROM members; END $$;

-- D14. JSON_TABLE
--= rls rewrite: harmless, PostgreSQL's parser refuses it
SELECT * FROM json_table('[1]', '$[*]' PASSING (SELECT max(note) FROM members) AS x COLUMNS (a text PATH '$'));

-- D14. RETURNING of MERGE
--= rls rewrite: harmless, PostgreSQL's parser refuses it
MERGE INTO members m USING countries c ON c.code = 'DE' WHEN MATCHED THEN DELETE RETURNING m.note;

-- D14. RETURNING the old row
--= rls rewrite: harmless, there is no such relation
UPDATE members SET credit = 1 RETURNING old.note;

-- D15. a comment that hides
--= rls: harmless, policies hold
--= rewrite: shows
SELECT note /* FROM patients WHERE tenant_id = 1 */ FROM members -- WHERE tenant_id = 1;

-- D15. nested comments
--= rls: harmless, policies hold
--= rewrite: shows
SELECT note /* a /* b */ tenant_id = 1 */ FROM /**/ members;

-- D15. a dollar quote
--= rls: harmless, policies hold
--= rewrite: shows
SELECT note, $x$ ' FROM patients -- $x$ FROM members;

-- D15. an escape string
--= rls: harmless, policies hold
--= rewrite: shows
SELECT note, E'\' FROM patients -- ' FROM members;

-- D15. a backslash that is none
--= rls: harmless, policies hold
--= rewrite: shows
SELECT '\', note FROM members WHERE name <> '\';

-- D15. a Unicode escape
--= rls: harmless, policies hold
--= rewrite: shows
SELECT U&'\0027 FROM patients --', note FROM members;

-- D15. brackets and blanks
--= rls rewrite: harmless, PostgreSQL's parser refuses it
SELECT(note)FROM(members)where(1)=(1);

-- D15. a statement behind a statement
--= rls: harmless, PostgreSQL refuses the row
--= rewrite: shows
SELECT 1; SELECT note FROM members; DELETE FROM handles;

-- D15. statements without anything
--= rls: harmless, policies hold
--= rewrite: shows
;;; SELECT note FROM members;;;

-- D4. rows as an argument of GROUPING
--= rls: harmless, policies hold
--= rewrite: tells
SELECT name, GROUPING(name), count(*) FROM members GROUP BY ROLLUP (name) ORDER BY 1;

-- D4. a sub-select as the place of an array's element
--= rls: harmless, policies hold
--= rewrite: tells
SELECT (ARRAY['none', 'one', 'two', 'three', 'four'])[1 + (SELECT count(*) FROM members)];

-- D4. a sub-select as a slice's bound that is assigned to
--= rls: harmless, policies hold
--= rewrite: writes
UPDATE patients SET tags[(SELECT count(*)::int FROM members)] = 'x' WHERE id = 1 RETURNING tags;

-- D4. a range over all rows
--= rls: harmless, policies hold
--= rewrite: tells
SELECT range_agg(int4range(credit, credit + 1)) FROM members;

-- D4. a multirange made from a sub-select
--= rls: harmless, policies hold
--= rewrite: tells
SELECT int4multirange(VARIADIC ARRAY(SELECT int4range(credit, credit + 1) FROM members ORDER BY credit));

-- D4. a field of a row in an array
--= rls: harmless, policies hold
--= rewrite: shows
SELECT ((array_agg(m ORDER BY m.tenant_id DESC))[1]).note FROM members m;

-- D4. a field of a sub-select's row
--= rls: harmless, policies hold
--= rewrite: shows
SELECT ((SELECT m FROM members m ORDER BY tenant_id DESC LIMIT 1)).note;

-- D4. rows through json and back
--= rls: harmless, policies hold
--= rewrite: shows
SELECT (json_populate_record(NULL::members, row_to_json(m))).note FROM members m;

-- D4. rows through jsonb_path_query
--= rls: harmless, policies hold
--= rewrite: shows
SELECT jsonb_path_query(jsonb_agg(m), '$[*].note') FROM members m;

-- D4. a search order over a recursive query
--= rls: harmless, policies hold
--= rewrite: shows
WITH RECURSIVE t(id, note) AS (SELECT id, note FROM members UNION SELECT m.id, m.note FROM members m JOIN t ON m.id = t.id + 1) SEARCH DEPTH FIRST BY id SET seen CYCLE id SET looped USING path SELECT id, note FROM t ORDER BY seen, note;

-- D4. XMLSERIALIZE of rows
--= rls: harmless, policies hold
--= rewrite: shows
SELECT xmlserialize(CONTENT xmlagg(xmlelement(NAME n, note) ORDER BY note) AS text) FROM members;

-- D4. FETCH FIRST WITH TIES
--= rls: harmless, policies hold
--= rewrite: shows
SELECT note FROM members ORDER BY length(note) FETCH FIRST 1 ROWS WITH TIES;

-- D4. unnest of an aggregate
--= rls: harmless, policies hold
--= rewrite: shows
SELECT unnest(array_agg(note)) FROM members;

-- D8. INSERT under another name, with its own name in RETURNING
--! rls: 42501
--= rls: harmless, policies hold
--= rewrite: tells
INSERT INTO members AS patients (id, name, note, credit, active) SELECT 70 + id, name, note, 1, true FROM members RETURNING patients.note;

-- D10. the tenant column from a row
--! rls rewrite both: 42501
--= rls: harmless, policies hold
--= rewrite: tells
UPDATE members SET (tenant_id) = ROW (2) WHERE id = 1;

-- D10. the tenant column behind an alias of the same name as another table
--! rls rewrite both: 42501
--= rls: harmless, policies hold
--= rewrite: tells
UPDATE members AS countries SET tenant_id = 2 WHERE countries.id = 1;

-- D13. EXPLAIN of a cursor
--! rls rewrite both: 0A000 statement.explain
--= rls rewrite: tells
EXPLAIN DECLARE c CURSOR FOR SELECT note FROM members WHERE credit > 70;

-- D13. EXPLAIN of CREATE TABLE AS with a prepared statement
--! rls rewrite both: 0A000 statement.explain
--= rls rewrite: leaves
PREPARE q AS SELECT note FROM members;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) CREATE TABLE stolen AS EXECUTE q;

-- D13. a prepared statement with the proxy's name for one
--! rls rewrite both: 26000
--= rls rewrite: harmless, there is none
EXECUTE tenantgate_set ('app.tenant_id', '2');

-- D13. a prepared statement in the place of the proxy's
--= rls: leaves
--= rewrite: shows
PREPARE tenantgate_tenant (text) AS SELECT note, $1 FROM members;
EXECUTE tenantgate_tenant ('1');

-- D13. two prepared statements whose names are equal in 63 bytes
--= rls: leaves
--= rewrite: shows
PREPARE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab AS SELECT note FROM members;
EXECUTE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac;

-- D13. a cursor whose name is written in two ways
--= rls: leaves
--= rewrite: shows
DECLARE U&"\0063" CURSOR FOR SELECT note FROM members;
FETCH ALL FROM "c";
