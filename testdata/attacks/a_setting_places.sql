-- A. set_config in every place where an expression can stand.

-- A3. set_config in the target list beside a row
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT set_config('app.tenant_id', '2', true), name FROM patients;

-- A3. set_config in WHERE
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
SELECT name FROM patients WHERE set_config('app.tenant_id', '2', true) IS NOT NULL;

-- A3. set_config in a materialized common table expression
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
WITH a AS MATERIALIZED (SELECT set_config('app.tenant_id', '2', true)) SELECT name FROM a, patients;

-- A3. set_config in a nested common table expression
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
WITH a AS MATERIALIZED (WITH b AS MATERIALIZED (SELECT set_config('app.tenant_id', '2', true) AS x) SELECT x FROM b) SELECT name FROM a, patients;

-- A3. set_config in FROM
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
SELECT name FROM set_config('app.tenant_id', '2', true) AS a, patients;

-- A3. set_config in ROWS FROM
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
SELECT name FROM ROWS FROM (set_config('app.tenant_id', '2', true)) AS a, patients;

-- A3. set_config in a sub-select in FROM
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
SELECT name FROM (SELECT set_config('app.tenant_id', '2', true) OFFSET 0) a, patients;

-- A3. set_config in LATERAL
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
SELECT name FROM patients, LATERAL (SELECT set_config('app.tenant_id', '2', true) OFFSET 0) a;

-- A3. set_config in a scalar sub-select
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT (SELECT set_config('app.tenant_id', '2', true)), name FROM patients;

-- A3. set_config in EXISTS
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
SELECT name FROM patients WHERE EXISTS (SELECT FROM countries WHERE set_config('app.tenant_id', '2', true) <> code);

-- A3. set_config in IN
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
SELECT name FROM patients WHERE '2' IN (SELECT set_config('app.tenant_id', '2', true));

-- A3. set_config in ANY of an array
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT name FROM patients WHERE '2' = ANY (ARRAY[set_config('app.tenant_id', '2', true)]);

-- A3. set_config in CASE
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
SELECT name FROM patients WHERE CASE WHEN true THEN set_config('app.tenant_id', '2', true) END IS NOT NULL;

-- A3. set_config in COALESCE
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT name FROM patients WHERE coalesce(NULL, set_config('app.tenant_id', '2', true)) IS NOT NULL;

-- A3. set_config in NULLIF
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT name FROM patients WHERE nullif(set_config('app.tenant_id', '2', true), 'x') IS NOT NULL;

-- A3. set_config in UNION
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
SELECT set_config('app.tenant_id', '2', true) UNION ALL SELECT name FROM patients;

-- A3. set_config in EXCEPT
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT name FROM patients EXCEPT SELECT set_config('app.tenant_id', '2', true);

-- A3. set_config in VALUES
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
SELECT name FROM (VALUES (set_config('app.tenant_id', '2', true))) v, patients;

-- A3. set_config in LIMIT
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
SELECT name FROM patients LIMIT length(set_config('app.tenant_id', '2', true)) + 100;

-- A3. set_config in OFFSET
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
SELECT name FROM patients OFFSET length(set_config('app.tenant_id', '2', true)) - 1;

-- A3. set_config in FETCH FIRST
--! rls rewrite both: 42501 function.set_config
--= rls: shows
--= rewrite: leaves
SELECT name FROM patients FETCH FIRST (length(set_config('app.tenant_id', '2', true)) + 9) ROWS ONLY;

-- A3. set_config in HAVING
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT max(name) FROM patients HAVING set_config('app.tenant_id', '2', true) IS NOT NULL;

-- A3. set_config in GROUP BY
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT max(name) FROM patients GROUP BY set_config('app.tenant_id', '2', true);

-- A3. set_config in ORDER BY
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT name FROM patients ORDER BY set_config('app.tenant_id', '2', true);

-- A3. set_config in DISTINCT ON
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: leaves
SELECT DISTINCT ON (set_config('app.tenant_id', '2', true)) name FROM patients;

-- A3. set_config in FILTER
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: leaves
SELECT count(*) FILTER (WHERE set_config('app.tenant_id', '2', true) <> '') FROM patients;

-- A3. set_config in a window's partition
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT name, count(*) OVER (PARTITION BY set_config('app.tenant_id', '2', true)) FROM patients;

-- A3. set_config in a window's frame
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
SELECT name, sum(id) OVER (ORDER BY id ROWS BETWEEN length(set_config('app.tenant_id', '2', true)) PRECEDING AND CURRENT ROW) FROM patients;

-- A3. set_config in JOIN ON
--= rls: leaves
--= rewrite: shows
--! rls rewrite both: 42501 function.set_config
SELECT p.name FROM countries c JOIN patients p ON set_config('app.tenant_id', '2', true) IS NOT NULL;

-- A3. set_config in a subscript
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT (ARRAY['a', 'b'])[length(set_config('app.tenant_id', '2', true))], name FROM patients;

-- A3. set_config in the argument of an aggregate
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT string_agg(name, set_config('app.tenant_id', '2', true)) FROM patients;

-- A3. set_config in an aggregate's order
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT array_agg(name ORDER BY set_config('app.tenant_id', '2', true)) FROM patients;

-- A3. set_config in WITHIN GROUP
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: leaves
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY set_config('app.tenant_id', '2', true)) FROM patients;

-- A3. set_config in a default of XMLTABLE
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
SELECT name FROM patients, XMLTABLE('/a' PASSING '<a/>' COLUMNS b text PATH 'c' DEFAULT set_config('app.tenant_id', '2', true)) x;

-- A3. set_config in XMLELEMENT
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT xmlelement(NAME a, set_config('app.tenant_id', '2', true))::text, name FROM patients;

-- A3. set_config in TABLESAMPLE
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
SELECT name FROM patients TABLESAMPLE BERNOULLI (length(set_config('app.tenant_id', '2', true)) * 100);

-- A3. set_config in a variadic argument
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT concat(VARIADIC ARRAY[set_config('app.tenant_id', '2', true)]), name FROM patients;

-- A3. set_config in a named argument
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT make_interval(secs => length(set_config('app.tenant_id', '2', true))), name FROM patients;

-- A3. set_config in a row
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT ROW(set_config('app.tenant_id', '2', true), name) FROM patients;

-- A3. set_config in AT TIME ZONE
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT name FROM patients WHERE now() AT TIME ZONE (set_config('app.tenant_id', '2', true) || ':00') IS NOT NULL;

-- A3. set_config in RETURNING
--! rls rewrite both: 42501 function.set_config
--= rls: shows
--= rewrite: writes
UPDATE settings SET value = 'x' RETURNING set_config('app.tenant_id', '2', true), (SELECT max(name) FROM patients);

-- A3. set_config in an assignment
--! rls rewrite both: 42501 function.set_config
--= rls: tells
--= rewrite: writes
UPDATE settings SET value = set_config('app.tenant_id', '2', true) || (SELECT max(name) FROM patients) RETURNING value;

-- A3. set_config in a multiple assignment
--! rls rewrite both: 42501 function.set_config
--= rls: tells
--= rewrite: shows
UPDATE settings SET (value, name) = (SELECT set_config('app.tenant_id', '2', true), max(name) FROM patients) RETURNING value;

-- A3. set_config in VALUES of INSERT
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: tells
INSERT INTO settings (name, value) VALUES ('k', set_config('app.tenant_id', '2', true)) RETURNING (SELECT max(name) FROM patients);

-- A3. set_config in ON CONFLICT
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: tells
INSERT INTO settings (name, value) VALUES ('fax', 'x') ON CONFLICT (tenant_id, name) DO UPDATE SET value = set_config('app.tenant_id', '2', true);

-- A3. set_config in DELETE's condition
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: writes
DELETE FROM log_lines WHERE set_config('app.tenant_id', '2', true) = '2' RETURNING line;

-- A3. set_config in a condition of MERGE
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: leaves
MERGE INTO settings s USING countries c ON set_config('app.tenant_id', '2', true) = c.code WHEN MATCHED THEN DELETE;

-- A3. set_config in COPY of a query
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
COPY (SELECT name, set_config('app.tenant_id', '2', true) FROM patients) TO STDOUT;

-- A3. set_config in a cursor
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
DECLARE c CURSOR FOR SELECT set_config('app.tenant_id', '2', true), name FROM patients;
FETCH ALL FROM c;

-- A3. set_config in EXPLAIN ANALYZE
--! rls rewrite both: 0A000 statement.explain
--= rls rewrite: leaves
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT set_config('app.tenant_id', '2', true) FROM patients;

-- A3. set_config in an argument of EXECUTE
--! rls rewrite both: 0A000 statement.execute
--= rls rewrite: shows
PREPARE q (text) AS SELECT name, $1 FROM patients;
EXECUTE q (set_config('app.tenant_id', '2', true));

-- A3. set_config in a recursive common table expression
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
WITH RECURSIVE r (n, x) AS (SELECT 1, set_config('app.tenant_id', '2', true) UNION ALL SELECT n + 1, x FROM r WHERE n < 3) SELECT name FROM r, patients;

-- A3. set_config in a common table expression that writes
--! rls rewrite both: 42501 function.set_config
--= rls: tells
--= rewrite: writes
WITH u AS (UPDATE settings SET value = set_config('app.tenant_id', '2', true) RETURNING value) SELECT u.value, p.name FROM u, patients p;
