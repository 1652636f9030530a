-- A. The tenant's run-time parameter, and others that decide what is read.

-- A1. SET in a transaction
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
SET app.tenant_id = 2;
SELECT name FROM patients;

-- A1. SET before a query in one message
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
SET app.tenant_id = 2; SELECT name FROM patients;

-- A1. SET SESSION
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
SET SESSION app.tenant_id TO '2';
SELECT name FROM patients;

-- A1. SET LOCAL
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
SET LOCAL app.tenant_id = '2';
SELECT name FROM patients;

-- A1. SET LOCAL in a transaction that one message makes
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
--@ alone
BEGIN; SET LOCAL app.tenant_id = '2'; SELECT name FROM patients; COMMIT;

-- A1. SET outside a transaction, for whoever comes next
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: leaves
--@ alone
SET app.tenant_id = '2';

-- A2. the name in quotes
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
SET "app.tenant_id" = '2';
SELECT name FROM patients;

-- A2. the name in capitals
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
SET APP.Tenant_ID = '2';
SELECT name FROM patients;

-- A2. the name in capitals and quotes
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
SET "APP"."TENANT_ID" = '2';
SELECT name FROM patients;

-- A2. the name in Unicode escapes
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
SET U&"app\002Etenant_id" = '2';
SELECT name FROM patients;

-- A2. the name in Unicode escapes of another sign
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
SET U&"app!002Etenant!005Fid" UESCAPE '!' = '2';
SELECT name FROM patients;

-- A2. comments between the parts of the name
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
SET app /* of the proxy */ . /* the */ tenant_id = '2';
SELECT name FROM patients;

-- A2. the value in an escape string
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
SET app.tenant_id = E'\x32';
SELECT name FROM patients;

-- A2. set_config with the name in capitals
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
SELECT set_config('APP.TENANT_ID', '2', true);
SELECT name FROM patients;

-- A2. set_config in quotes with its schema
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
SELECT "pg_catalog"."set_config"('app.tenant_id', '2', true);
SELECT name FROM patients;

-- A2. set_config in Unicode escapes
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT U&"set\005Fconfig"('app.tenant_id', '2', true), name FROM patients;

-- A3. set_config alone
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
SELECT set_config('app.tenant_id', '2', true);
SELECT name FROM patients;

-- A3. set_config for the session
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: leaves
--@ alone
SELECT set_config('app.tenant_id', '2', false);

-- A3. set_config twice in one target list, the second to go back
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
SELECT set_config('app.tenant_id', '2', true), (SELECT max(name) FROM patients), set_config('app.tenant_id', '1', true);

-- A3. set_config behind one that is permitted
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
SELECT set_config('TimeZone', 'UTC', true), set_config('app.tenant_id', '2', true);
SELECT name FROM patients;

-- A3. current_setting tells the setting
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: tells
SELECT current_setting('app.tenant_id');

-- A3. SHOW tells the setting
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: tells
SHOW app.tenant_id;

-- A3. SHOW ALL
--! rls rewrite both: other, the parameters that tenants may set
--= rls rewrite: harmless, SHOW ALL leaves out parameters of nobody's
SHOW ALL;

-- A4. a name put together
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT set_config('app.' || 'tenant_id', '2', true), name FROM patients;

-- A4. a name from bytes
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT set_config(convert_from('\x6170702e74656e616e745f6964', 'UTF8'), '2', true), name FROM patients;

-- A4. a name in an escape string
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT set_config(E'app.t\x65nant_id', '2', true), name FROM patients;

-- A4. a name from VALUES
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT set_config(v.n, '2', true), name FROM (VALUES ('app.tenant_id')) v (n), patients;

-- A4. a name reversed
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT set_config(reverse('di_tnanet.ppa'), '2', true), name FROM patients;

-- A4. a name from a table
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
SELECT set_config(replace(name, 'language', 'app.tenant_id'), '2', true), (SELECT max(p.name) FROM patients p) FROM settings WHERE name = 'language';

-- A4. a name from a parameter
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
--$ 'app.tenant_id'
SELECT set_config($1, '2', true), name FROM patients;

-- A4. a name from a parameter with a cast
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
--$ 'app.tenant_id'
SELECT set_config($1::text, '2', true), (SELECT max(name) FROM patients);

-- A4. a name from a parameter that is the whole statement
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: leaves
--$ 'app.tenant_id'
SELECT set_config($1, '2', true);

-- A4. named arguments
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: harmless, there is no such function
SELECT set_config(new_value => '2', is_local => true, setting_name => 'app.tenant_id'), name FROM patients;

-- A4. a dollar-quoted name
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT set_config($n$app.tenant_id$n$, '2', true), name FROM patients;

-- A5. CREATE TABLE AS
--! rls rewrite both: 0A000 statement.create_table_as
--= rls rewrite: shows
CREATE TEMP TABLE t AS SELECT set_config('app.tenant_id', '2', true);
SELECT name FROM patients;

-- A5. SELECT INTO
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
SELECT set_config('app.tenant_id', '2', true) INTO TEMP t;
SELECT name FROM patients;

-- A5. CREATE TABLE AS EXECUTE
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
PREPARE q AS SELECT set_config('app.tenant_id', '2', true);
CREATE TEMP TABLE t AS EXECUTE q;
SELECT name FROM patients;

-- A5. a view of set_config
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: shows
CREATE TEMP VIEW v AS SELECT set_config('app.tenant_id', '2', true) AS x;
SELECT v.x, p.name FROM v, patients p;

-- A5. PREPARE of set_config
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
PREPARE q AS SELECT set_config('app.tenant_id', '2', true);
EXECUTE q;
SELECT name FROM patients;

-- A5. COPY of set_config
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
COPY (SELECT set_config('app.tenant_id', '2', true)) TO STDOUT;
SELECT name FROM patients;

-- A6. a default of a temporary table
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: shows
CREATE TEMP TABLE t (a int, b text DEFAULT set_config('app.tenant_id', '2', true));
INSERT INTO t VALUES (1);
SELECT name FROM patients;

-- A6. a check of a temporary table
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: shows
CREATE TEMP TABLE t (a int CHECK (set_config('app.tenant_id', '2', true) IS NOT NULL));
INSERT INTO t VALUES (1);
SELECT name FROM patients;

-- A6. ALTER TABLE ... USING
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: shows
CREATE TEMP TABLE t (a int);
INSERT INTO t VALUES (1);
ALTER TABLE t ALTER a TYPE text USING set_config('app.tenant_id', '2', true);
SELECT name FROM patients;

-- A6. a check of a domain
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: shows
CREATE DOMAIN pg_temp.d AS text CHECK (set_config('app.tenant_id', '2', true) IS NOT NULL);
SELECT 'x'::pg_temp.d, (SELECT max(name) FROM patients);

-- A6. a rule
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: shows
CREATE TEMP TABLE t (a int);
CREATE RULE r AS ON INSERT TO t DO INSTEAD SELECT set_config('app.tenant_id', '2', true);
INSERT INTO t VALUES (1);
SELECT name FROM patients;

-- A6. a temporary SQL function
--! rls rewrite both: 42501 statement.ddl
--= rls: leaves
--= rewrite: shows
CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql AS $$ SELECT set_config('app.tenant_id', '2', true) $$;
SELECT pg_temp.f(), name FROM patients;

-- A6. a temporary PL/pgSQL function
--! rls rewrite both: 42501 statement.ddl
--= rls: leaves
--= rewrite: shows
CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN SET app.tenant_id = '2'; RETURN 1; END $$;
SELECT pg_temp.f(), name FROM patients;

-- A6. a trigger on a temporary table
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: shows
CREATE FUNCTION pg_temp.f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN SET app.tenant_id = '2'; RETURN NEW; END $$;
CREATE TEMP TABLE t (a int);
CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION pg_temp.f();
INSERT INTO t VALUES (1);
SELECT name FROM patients;

-- A6. a procedure
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: shows
CREATE PROCEDURE pg_temp.p() LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('app.tenant_id', '2', true); END $$;
CALL pg_temp.p();
SELECT name FROM patients;

-- A6. an aggregate
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: shows
CREATE FUNCTION pg_temp.f(text, int) RETURNS text LANGUAGE sql AS $$ SELECT set_config('app.tenant_id', '2', true) $$;
CREATE AGGREGATE pg_temp.g (int) (SFUNC = pg_temp.f, STYPE = text);
SELECT pg_temp.g(1), (SELECT max(name) FROM patients);

-- A6. an expression of an index
--! rls rewrite both: 42501 statement.ddl
--= rls: leaves
--= rewrite: shows
CREATE TEMP TABLE t (a text);
CREATE FUNCTION pg_temp.f(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT max(name) FROM patients WHERE tenant_id = 2 $$;
INSERT INTO t VALUES ('x');
CREATE INDEX ON t (pg_temp.f(a));
SELECT pg_temp.f('x');

-- A7. DO with SET
--! rls rewrite both: 42501 statement.do
--= rls rewrite: shows
DO $$ BEGIN SET app.tenant_id = '2'; END $$;
SELECT name FROM patients;

-- A7. DO with set_config
--! rls rewrite both: 42501 statement.do
--= rls rewrite: shows
DO $$ BEGIN PERFORM set_config('app.tenant_id', '2', true); END $$;
SELECT name FROM patients;

-- A7. DO with text put together
--! rls rewrite both: 42501 statement.do
--= rls rewrite: shows
DO $$ BEGIN EXECUTE 'set app.' || 'tenant_id = 2'; END $$;
SELECT name FROM patients;

-- A7. DO with its body in an escape string
--! rls rewrite both: 42501 statement.do
--= rls rewrite: shows
DO E'BEGIN SET app.\x74enant_id = 2; END';
SELECT name FROM patients;

-- A7. DO with the language first, in quotes
--! rls rewrite both: 42501 statement.do
--= rls rewrite: shows
DO LANGUAGE "plpgsql" $b$ BEGIN SET app.tenant_id = 2; END $b$;
SELECT name FROM patients;

-- A7. DO that raises what it has read
--! rls rewrite both: 42501 statement.do
--= rls: harmless, there is nothing to raise
--= rewrite: shows
DO $$ BEGIN RAISE EXCEPTION '%', (SELECT string_agg(name, ',') FROM patients WHERE set_config('app.tenant_id', '2', true) <> ''); END $$;

-- A7. DO that tells by a notice
--! rls rewrite both: 42501 statement.do
--= rls rewrite: shows
DO $$ BEGIN SET app.tenant_id = 2; RAISE NOTICE '%', (SELECT max(name) FROM patients); END $$;

-- A8. a function that sets the tenant
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: shows
SELECT set_tenant('2');
SELECT name FROM patients;

-- A8. a function that sets the tenant, beside rows
--! rls rewrite both: 42501 function.unlisted
--= rls: leaves
--= rewrite: shows
SELECT public.set_tenant('2'), name FROM patients;

-- A8. a function with a SET clause
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: tells
SELECT as_two();

-- A8. a function that runs text
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: shows
SELECT run_text('SELECT set_config(''app.tenant_id'', ''2'', true)');
SELECT name FROM patients;

-- A8. a function that runs text, in FROM
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: shows
SELECT * FROM run_text('SELECT name FROM patients WHERE set_config(''app.tenant_id'', ''2'', true) IS NOT NULL');

-- A9. query_to_xml sets the tenant
--! rls rewrite both: 42501 function.runs_sql
--= rls rewrite: shows
SELECT query_to_xml('SELECT set_config(''app.tenant_id'', ''2'', true)', true, true, '');
SELECT name FROM patients;

-- A9. query_to_xml of a parameter
--! rls rewrite both: 42501 function.runs_sql
--= rls rewrite: shows
--$ 'SELECT name FROM patients WHERE set_config(chr(97)||$$pp.tenant_id$$, $$2$$, true) IS NOT NULL'
SELECT query_to_xml($1, true, true, '');

-- A10. RESET of the setting
--! rls rewrite both: 42501 setting.tenant
--= rls: leaves
--= rewrite: shows
RESET app.tenant_id;
SELECT name FROM patients;

-- A10. RESET ALL
--= rls: leaves
--= rewrite: shows
RESET ALL;
SELECT name FROM patients;

-- A10. SET TO DEFAULT
--! rls rewrite both: 42501 setting.tenant
--= rls: leaves
--= rewrite: shows
SET app.tenant_id TO DEFAULT;
SELECT name FROM patients;

-- A10. the setting made empty
--! rls rewrite both: 42501 setting.tenant
--= rls: leaves
--= rewrite: shows
SELECT set_config('app.tenant_id', '', true);
SELECT name FROM patients;

-- A10. the setting made NULL
--! rls rewrite both: 42501 function.set_config
--= rls: leaves
--= rewrite: shows
SELECT set_config('app.tenant_id', NULL, true), name FROM patients;

-- A10. DISCARD ALL
--= rls: leaves
--= rewrite: shows
--@ alone
DISCARD ALL;
SELECT name FROM patients;

-- A11. COMMIT and a query in one message
--! rls rewrite both: 42501 setting.tenant
--= rls: harmless, SET LOCAL ends with the transaction, and without a setting there are no rows
--= rewrite: shows
--@ alone
BEGIN; SET LOCAL app.tenant_id = '2'; COMMIT; SELECT name FROM patients;

-- A11. COMMIT AND CHAIN
--! rls rewrite both: 0A000 transaction.chain
--= rls rewrite: shows
--@ alone
BEGIN;
COMMIT AND CHAIN;
SET LOCAL app.tenant_id = 2;
SELECT name FROM patients;
ROLLBACK;

-- A11. ROLLBACK AND CHAIN
--! rls rewrite both: 0A000 transaction.chain
--= rls: harmless, the setting was read before it was written
--= rewrite: shows
--@ alone
BEGIN;
ROLLBACK AND CHAIN;
SELECT set_config('app.tenant_id', '2', true), name FROM patients;
ROLLBACK;

-- A11. ABORT AND CHAIN in one message
--! rls rewrite both: 0A000 transaction.chain
--= rls rewrite: shows
--@ alone
BEGIN; ABORT AND CHAIN; SET LOCAL app.tenant_id = 2; SELECT name FROM patients; ROLLBACK;

-- A11. transactions that follow each other in one message
--= rls: harmless, a setting of the session stays
--= rewrite: tells
--@ alone
BEGIN; SELECT count(*) FROM patients; COMMIT; BEGIN; SELECT count(*) FROM patients; ROLLBACK; SELECT count(*) FROM patients; SELECT DISTINCT tenant_id FROM patients;

-- A12. a procedure that commits
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
--@ alone
BEGIN; SET LOCAL app.tenant_id = 1; COMMIT;
CALL commit_all();
SET app.tenant_id = 2;
SELECT name FROM patients;

-- A12. DO that commits
--! rls rewrite both: 42501 statement.do
--= rls rewrite: shows
--@ alone
DO $$ BEGIN COMMIT; SET app.tenant_id = 2; END $$;
SELECT name FROM patients;

-- A13. SAVEPOINT and ROLLBACK TO around the setting
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
SAVEPOINT a;
SET app.tenant_id = 2;
SELECT name FROM patients;
ROLLBACK TO a;
SELECT name FROM patients;

-- A13. ROLLBACK gives back a setting from before
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
--@ alone
SET app.tenant_id = 2;
BEGIN;
SELECT set_config('app.tenant_id', '1', false);
ROLLBACK;
SELECT name FROM patients;

-- A13. RELEASE keeps what a savepoint set
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
SAVEPOINT a;
SET LOCAL app.tenant_id = 2;
RELEASE a;
SELECT name FROM patients;

-- A14. the setting and a query in one pipeline
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
SELECT set_config('app.tenant_id', '2', false);
SELECT name FROM patients;
SELECT set_config('app.tenant_id', '1', false);

-- A14. an error in a pipeline, and a query behind it
--! rls rewrite both: other, PostgreSQL passes over what follows an error
--= rls rewrite: harmless, after an error the transaction is over
SELECT 1 / 0;
SELECT name FROM patients;
SELECT set_config('app.tenant_id', '2', false);

-- A18. ALTER ROLE for the setting of all who come later
--= rls rewrite: harmless, the role may not
ALTER ROLE CURRENT_USER SET app.tenant_id = '2';

-- A18. ALTER ROLE for the search path
--! rls rewrite both: 42501 statement.role
--= rls rewrite: leaves
ALTER ROLE CURRENT_USER SET search_path = attic, public;

-- A18. ALTER ROLE in this database alone
--! rls rewrite both: 42501 statement.role
--= rls rewrite: leaves
ALTER ROLE clinic_app IN DATABASE postgres SET statement_timeout = 1;

-- A18. ALTER USER with a password
--! rls rewrite both: 42501 statement.role
--= rls rewrite: unseen, a role may change its own password
ALTER USER CURRENT_USER PASSWORD 'mine';

-- A18. ALTER DATABASE
--= rls rewrite: harmless, the role may not
ALTER DATABASE postgres SET app.tenant_id = '2';

-- A18. ALTER SYSTEM
--= rls rewrite: harmless, the role may not
--@ alone
ALTER SYSTEM SET app.tenant_id = '2';

-- A19. a function that is created with a SET clause
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: harmless, the role may not
CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql SET app.tenant_id = '2' AS $$ SELECT max(name) FROM patients $$;
SELECT pg_temp.f();

-- A20. pg_settings can be written
--! rls rewrite both: 42501 relation.denied
--= rls: leaves
--= rewrite: shows
UPDATE pg_settings SET setting = 'attic' WHERE name = 'search_path';
SELECT name FROM countries;

-- A20. pg_settings in its schema
--! rls rewrite both: 42501 relation.denied
--= rls rewrite: leaves
UPDATE pg_catalog.pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings';

-- A20. pg_settings for the encoding
--! rls rewrite both: 42501 relation.denied
--= rls rewrite: leaves
UPDATE pg_settings SET setting = 'SJIS' WHERE name = 'client_encoding';

-- A20. pg_settings in a common table expression
--! rls rewrite both: 42501 relation.denied
--= rls rewrite: harmless, PostgreSQL does not do that
WITH u AS (UPDATE pg_settings SET setting = '1' WHERE name = 'statement_timeout' RETURNING *) SELECT * FROM u;

-- A20. pg_settings read
--! rls rewrite both: 42501 relation.system
--= rls rewrite: harmless, parameters of nobody's are not in the view
SELECT name, setting FROM pg_settings WHERE name LIKE 'app.%' OR source = 'session';

-- A21. SET ROLE
--! rls rewrite both: 42501 setting.role
--= rls rewrite: shows
SET ROLE clinic_admin;
SELECT name FROM patients;

-- A21. SET LOCAL ROLE
--! rls rewrite both: 42501 setting.role
--= rls rewrite: shows
SET LOCAL ROLE clinic_admin;
SELECT name FROM patients;

-- A21. the role as a run-time parameter
--! rls rewrite both: 42501 setting.role
--= rls rewrite: shows
SET "role" = clinic_admin;
SELECT name FROM patients;

-- A21. the role by set_config
--! rls rewrite both: 42501 setting.role
--= rls rewrite: shows
SELECT set_config('role', 'clinic_admin', true);
SELECT name FROM patients;

-- A21. the role by set_config beside rows
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: shows
SELECT set_config('role', 'clinic_admin', true), (SELECT max(name) FROM patients);
SELECT name FROM patients;

-- A21. the role in DO
--! rls rewrite both: 42501 statement.do
--= rls rewrite: shows
DO $$ BEGIN SET LOCAL ROLE clinic_admin; END $$;
SELECT name FROM patients;

-- A21. RESET ROLE
--! rls rewrite both: 42501 setting.role
--= rls rewrite: harmless, the role is the one that logged in
RESET ROLE;

-- A22. a view that is given to another role
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: harmless, the role may not
CREATE TEMP VIEW v AS SELECT name FROM patients;
ALTER VIEW v OWNER TO clinic_admin;
SELECT * FROM v;

-- A22. REASSIGN OWNED
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: harmless, the role may not
CREATE TEMP VIEW v AS SELECT name FROM patients;
GRANT SELECT ON v TO PUBLIC;
REASSIGN OWNED BY clinic_app TO clinic_admin;
SELECT * FROM v;

-- A22. a function of the other role's
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: shows
CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT max(name) FROM patients $$;
ALTER FUNCTION pg_temp.f() OWNER TO clinic_admin;
SELECT pg_temp.f();

-- A23. SET SESSION AUTHORIZATION
--= rls rewrite: harmless, the role may not
SET SESSION AUTHORIZATION clinic_admin;
SELECT name FROM patients;

-- A23. the authorization as a run-time parameter
--= rls rewrite: harmless, the role may not
SET session_authorization = 'clinic_owner';
SELECT name FROM patients;

-- A23. RESET SESSION AUTHORIZATION
--! rls rewrite both: 42501 setting.role
--= rls rewrite: harmless, the role is the one that logged in
RESET SESSION AUTHORIZATION;

-- A24. row_security
--! rls both: 42501 setting.row_security
--= rls: tells
--= rewrite: shows
SET row_security = off;
SELECT name FROM patients;

-- A24. row_security by set_config
--! rls both: 42501 setting.row_security
--= rls: tells
--= rewrite: shows
SELECT set_config('row_security', 'off', true);
SELECT name FROM patients;

-- A25. session_replication_role
--= rls rewrite: harmless, the role may not
SET session_replication_role = replica;
DELETE FROM members;

-- A25. lo_compat_privileges
--= rls rewrite: harmless, the role may not
SET lo_compat_privileges = on;

-- A25. allow_system_table_mods
--= rls rewrite: harmless, the role may not
SET allow_system_table_mods = on;

-- A25. a library
--= rls rewrite: harmless, the role may not
LOAD 'auto_explain';

-- A25. session_preload_libraries
--= rls rewrite: harmless, the role may not
SET session_preload_libraries = 'auto_explain';

-- A25. how the planner goes about it
--! rls rewrite both: 42501 setting.unlisted
--= rls rewrite: leaves
SET enable_seqscan = off;

-- A25. how much memory is taken
--! rls rewrite both: 42501 setting.unlisted
--= rls rewrite: leaves
SET work_mem = '2GB';

-- A25. what the server prints of its inner life
--! rls rewrite both: 42501 setting.value
--= rls rewrite: leaves
SET client_min_messages = debug5;
SELECT count(*) FROM patients;

-- A25. a parameter of another extension
--! rls rewrite both: 42501 setting.unlisted
--= rls rewrite: harmless, no extension has it
SET other.setting = 'x';

-- A2. the name in pieces of Unicode escapes with another escape
--! rls rewrite both: 42501 setting.tenant
--= rls rewrite: shows
SET U&"app" . U&"!0074enant_id" UESCAPE '!' = '2';
SELECT note FROM members;

-- A4. the names of pg_settings as the function's arguments
--! rls rewrite both: 42501
--= rls rewrite: harmless, they get what they have
SELECT set_config(name, setting, false) FROM pg_settings WHERE name = 'app.tenant_id';

-- A20. MERGE into pg_settings
--! rls rewrite both: 42501
--= rls rewrite: harmless, PostgreSQL refuses it
MERGE INTO pg_settings USING (SELECT 1) x ON name = 'search_path' WHEN MATCHED THEN UPDATE SET setting = 'attic';

-- A20. UPDATE pg_settings by its schema, in capitals
--! rls rewrite both: 42501
--= rls rewrite: leaves
UPDATE PG_CATALOG.PG_SETTINGS AS s SET setting = 'attic' FROM (VALUES ('search_path')) AS v(n) WHERE s.name = v.n;

-- A18. ALTER ROLE ALL
--! rls rewrite both: 42501
--= rls rewrite: harmless, PostgreSQL refuses it
ALTER ROLE ALL SET search_path = attic;

-- A18. ALTER DATABASE
--! rls rewrite both: 42501
--= rls rewrite: harmless, PostgreSQL refuses it
ALTER DATABASE postgres SET search_path = attic;

-- A18. ALTER SYSTEM
--! rls rewrite both: 42501
--= rls rewrite: harmless, PostgreSQL refuses it
ALTER SYSTEM SET standard_conforming_strings = off;
