-- B. Functions that take SQL, names of tables or connection strings as text.

-- B1. query_to_xml
--! rls rewrite both: 42501 function.runs_sql
--= rls: harmless, policies hold
--= rewrite: shows
SELECT query_to_xml('SELECT name FROM patients WHERE tenant_id = 2', true, true, '');

-- B1. query_to_xml in FROM
--! rls rewrite both: 42501 function.runs_sql
--= rls rewrite: shows
SELECT * FROM query_to_xml('SELECT payload FROM jobs', true, true, '');

-- B1. query_to_xml with its schema, in quotes
--! rls rewrite both: 42501 function.runs_sql
--= rls rewrite: shows
SELECT "pg_catalog"."query_to_xml"('SELECT payload FROM jobs', true, true, '');

-- B1. query_to_xml_and_xmlschema
--! rls rewrite both: 42501 function.runs_sql
--= rls rewrite: shows
SELECT query_to_xml_and_xmlschema('SELECT payload FROM jobs', true, true, '');

-- B1. query_to_xmlschema
--! rls rewrite both: 42501 function.runs_sql
--= rls rewrite: tells
SELECT query_to_xmlschema('SELECT payload FROM jobs', true, true, '');

-- B1. query_to_xml of a parameter
--! rls rewrite both: 42501 function.runs_sql
--= rls rewrite: shows
--$ 'SELECT payload FROM jobs'
SELECT query_to_xml($1, true, true, '');

-- B1. query_to_xml in a condition
--! rls rewrite both: 42501 function.runs_sql
--= rls rewrite: tells
SELECT id FROM patients WHERE query_to_xml('SELECT payload FROM jobs', true, true, '')::text LIKE '%payload%';

-- B2. table_to_xml
--! rls rewrite both: 42501 function.runs_sql
--= rls rewrite: shows
SELECT table_to_xml('jobs', true, true, '');

-- B2. table_to_xml of a number
--! rls rewrite both: 42501 function.runs_sql
--= rls rewrite: shows
SELECT table_to_xml(c.oid, true, true, '') FROM pg_class c WHERE relname = 'jobs';

-- B2. table_to_xml_and_xmlschema
--! rls rewrite both: 42501 function.runs_sql
--= rls rewrite: shows
SELECT table_to_xml_and_xmlschema('backup', true, true, '');

-- B2. schema_to_xml
--! rls rewrite both: 42501 function.runs_sql
--= rls rewrite: shows
SELECT schema_to_xml('public', true, true, '');

-- B2. database_to_xml
--! rls rewrite both: 42501 function.runs_sql
--= rls rewrite: shows
SELECT database_to_xml(true, true, '');

-- B2. database_to_xml_and_xmlschema
--! rls rewrite both: 42501 function.runs_sql
--= rls rewrite: shows
SELECT database_to_xml_and_xmlschema(true, true, '');

-- B3. cursor_to_xml of a cursor of one's own
--! rls rewrite both: 42501 function.runs_sql
--= rls: leaves
--= rewrite: shows
DECLARE c CURSOR FOR SELECT name FROM patients;
SELECT cursor_to_xml('c', 100, true, true, '');

-- B3. FETCH of a cursor that a function opens
--! rls rewrite both: 42501 function.unlisted
--= rls: leaves
--= rewrite: shows
SELECT cursor_of();
FETCH ALL FROM opened;

-- B3. cursor_to_xml of a cursor that a function opens
--! rls rewrite both: 42501 function.runs_sql
--= rls: leaves
--= rewrite: shows
SELECT cursor_to_xml(cursor_of(), 100, true, true, '');

-- B4. ts_stat
--! rls rewrite both: 42501 function.runs_sql
--= rls: harmless, policies hold
--= rewrite: tells
SELECT word FROM ts_stat('SELECT to_tsvector(''simple'', replace(note, ''~'', ''tilde'')) FROM members');

-- B4. ts_stat of a vector made of a whole text
--! rls rewrite both: 42501 function.runs_sql
--= rls: harmless, policies hold
--= rewrite: shows
SELECT word FROM ts_stat('SELECT array_to_tsvector(ARRAY[note]) FROM members WHERE tenant_id = 2');

-- B4. ts_stat with weights
--! rls rewrite both: 42501 function.runs_sql
--= rls rewrite: unseen, the words have no weights
SELECT * FROM ts_stat('SELECT array_to_tsvector(ARRAY[payload]) FROM jobs', 'abcd');

-- B4. ts_stat of a parameter
--! rls rewrite both: 42501 function.runs_sql
--= rls rewrite: shows
--$ 'SELECT array_to_tsvector(ARRAY[payload]) FROM jobs'
SELECT word FROM ts_stat($1);

-- B5. ts_rewrite with a query
--! rls rewrite both: 42501 function.runs_sql
--= rls rewrite: shows
SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, quote_literal(max(payload))::tsquery FROM jobs');

-- B6. crosstab
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: shows
--@ extension tablefunc
SELECT * FROM crosstab('SELECT 1, 1, payload FROM jobs ORDER BY 1') AS c (a int, b text);

-- B6. crosstab with two texts
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: shows
--@ extension tablefunc
SELECT * FROM crosstab('SELECT 1, 1, payload FROM jobs', 'SELECT 1') AS c (a int, b text);

-- B6. crosstab2
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: shows
--@ extension tablefunc
SELECT * FROM crosstab2('SELECT payload, payload, payload FROM jobs ORDER BY 1');

-- B6. connectby with a table's name that is a query
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: unseen, no row begins with that value
--@ extension tablefunc
SELECT * FROM connectby('(SELECT payload AS k, NULL::text AS p FROM jobs) s', 'k', 'p', 'payload ~2', 0) AS t (k text, p text, l int);

-- B7. xpath_table
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: shows
--@ extension xml2
SELECT * FROM xpath_table('id', '''<a>'' || payload || ''</a>''', 'jobs', '/a', 'true') AS t (id int, payload text);

-- B8. dblink
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: harmless, the function may not SET
--@ extension dblink
SELECT * FROM dblink('dbname=' || current_database(), 'SELECT payload FROM jobs') AS t (a text);

-- B8. dblink_connect
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: harmless, the function may not SET
--@ extension dblink
SELECT dblink_connect('dbname=' || current_database());

-- B8. dblink_exec
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: harmless, the function may not SET
--@ extension dblink
SELECT dblink_exec('dbname=' || current_database(), 'DELETE FROM jobs');

-- B9. a foreign server
--= rls rewrite: harmless, the role may not
--@ extension postgres_fdw
CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw;

-- B9. passwords of user mappings
--= rls rewrite: unseen, there are none
SELECT * FROM pg_user_mappings;

-- B9. IMPORT FOREIGN SCHEMA
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: harmless, there is no such object
IMPORT FOREIGN SCHEMA public FROM SERVER s INTO public;

-- B9. CREATE USER MAPPING
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: harmless, there is no such object
CREATE USER MAPPING FOR CURRENT_USER SERVER s;

-- B9. a foreign table
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: harmless, there is no such object
CREATE FOREIGN TABLE f (a text) SERVER s;

-- B10. lo_get
--! rls rewrite both: 42501 function.large_object
--= rls rewrite: shows
SELECT encode(lo_get(4242), 'escape');

-- B10. loread
--! rls rewrite both: 42501 function.large_object
--= rls rewrite: shows
SELECT encode(loread(lo_open(4242, 262144), 100), 'escape');

-- B10. lo_put
--! rls rewrite both: 42501 function.large_object
--= rls rewrite: tells
SELECT lo_put(4242, 0, 'mine');

-- B10. lo_unlink
--! rls rewrite both: 42501 function.large_object
--= rls rewrite: tells
SELECT lo_unlink(4242);

-- B10. lo_create
--! rls rewrite both: 42501 function.large_object
--= rls rewrite: tells
SELECT lo_create(0);

-- B10. lo_from_bytea
--! rls rewrite both: 42501 function.large_object
--= rls rewrite: tells
SELECT lo_from_bytea(0, 'x');

-- B10. the numbers of large objects
--= rls rewrite: tells
SELECT oid FROM pg_largeobject_metadata;

-- B10. the pages of large objects
--= rls rewrite: harmless, the role may not
SELECT encode(data, 'escape') FROM pg_largeobject;

-- B10. GRANT ON LARGE OBJECT
--! rls rewrite both: 42501 statement.grant
--= rls rewrite: tells
GRANT SELECT ON LARGE OBJECT 4242 TO PUBLIC;

-- B10. ALTER LARGE OBJECT
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: tells
ALTER LARGE OBJECT 4242 OWNER TO clinic_app;

-- B10. COMMENT ON LARGE OBJECT
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: tells
COMMENT ON LARGE OBJECT 4242 IS 'mine';

-- B11. nextval
--! rls rewrite both: 42501 function.sequence
--= rls rewrite: leaves
SELECT nextval('tickets');

-- B11. nextval of a text from a table
--! rls rewrite both: 42501 function.sequence
--= rls rewrite: leaves
SELECT nextval(relname::regclass) FROM pg_class WHERE relname = 'tickets';

-- B11. setval
--! rls rewrite both: 42501 function.sequence
--= rls rewrite: leaves
SELECT setval('tickets', 1);

-- B11. currval
--! rls rewrite both: 42501 function.sequence
--= rls rewrite: harmless, PostgreSQL is not prepared for it
SELECT currval('tickets');

-- B11. lastval
--! rls rewrite both: 42501 function.sequence
--= rls rewrite: harmless, PostgreSQL is not prepared for it
SELECT lastval();

-- B12. pgrowlocks
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: unseen, nobody locks a row at the time
--@ extension pgrowlocks
SELECT * FROM pgrowlocks('members');

-- B12. pgstattuple
--= rls rewrite: harmless, the role may not
--@ extension pgstattuple
SELECT tuple_count FROM pgstattuple('members');

-- B12. pg_stat_statements
--= rls rewrite: harmless, there is no such relation
SELECT query FROM pg_stat_statements;

-- B14. pg_read_file
--= rls rewrite: harmless, the role may not
SELECT pg_read_file('/etc/passwd');

-- B14. pg_read_binary_file
--= rls rewrite: harmless, the role may not
SELECT pg_read_binary_file('PG_VERSION');

-- B14. pg_ls_dir
--= rls rewrite: harmless, the role may not
SELECT pg_ls_dir('.');

-- B14. pg_stat_file
--= rls rewrite: harmless, the role may not
SELECT * FROM pg_stat_file('PG_VERSION');

-- B14. lo_import
--= rls rewrite: harmless, the role may not
SELECT lo_import('/etc/passwd');

-- B14. lo_export
--= rls rewrite: harmless, the role may not
SELECT lo_export(4242, '/tmp/object');

-- B14. COPY from a program
--= rls rewrite: harmless, the role may not
COPY feature_flags FROM PROGRAM 'cat /etc/passwd';

-- B14. COPY to a program
--= rls rewrite: harmless, the role may not
COPY patients TO PROGRAM 'cat';

-- B14. COPY to a file
--= rls rewrite: harmless, the role may not
COPY patients TO '/tmp/patients';

-- B14. COPY from a file
--= rls rewrite: harmless, the role may not
COPY feature_flags FROM '/etc/passwd';

-- B14. a replication slot
--! rls rewrite both: 42501 function.replication
--= rls rewrite: harmless, the role may not
SELECT pg_create_logical_replication_slot('mine', 'test_decoding');

-- B14. a physical replication slot
--! rls rewrite both: 42501 function.replication
--= rls rewrite: harmless, the role may not
SELECT pg_create_physical_replication_slot('mine');

-- B14. the log file
--= rls rewrite: harmless, the role may not
SELECT pg_current_logfile(), pg_rotate_logfile();
