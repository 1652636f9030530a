-- H. What stays on a server connection for the session that comes next.

-- H1. a temporary table
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: leaves
CREATE TEMP TABLE patients (tenant_id int, name text);

-- H1. a temporary table for the transaction
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: leaves
CREATE TEMP TABLE patients (tenant_id int) ON COMMIT DROP;

-- H1. a temporary view
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: leaves
CREATE TEMP VIEW patients AS SELECT 1 AS tenant_id;

-- H1. a temporary function
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: leaves
CREATE FUNCTION pg_temp.count(int) RETURNS int LANGUAGE sql AS 'SELECT 1';

-- H1. a temporary type
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: leaves
CREATE TYPE pg_temp.int4 AS (a text);

-- H1. a temporary sequence
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: leaves
CREATE TEMPORARY SEQUENCE tickets;

-- H1. a table made temporary by its schema
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: leaves
CREATE TABLE pg_temp.t (a int);

-- H2. PREPARE that takes a name
--= rls rewrite: leaves
--@ alone
PREPARE tenantgate AS SELECT note FROM members;

-- H2. PREPARE with the text of a statement that the proxy prepares
--= rls rewrite: harmless, it is deallocated
--@ alone
PREPARE s AS SELECT 1;
DEALLOCATE ALL;

-- H2. pg_prepared_statements
--! rls rewrite both: 42501 relation.system
--= rls rewrite: leaves
PREPARE q AS SELECT 1;
SELECT name, statement FROM pg_prepared_statements;

-- H2. pg_prepared_statement
--! rls rewrite both: 42501 function.activity
--= rls rewrite: unseen, nothing is prepared
SELECT * FROM pg_prepared_statement();

-- H2. DEALLOCATE of another's name
--= rls rewrite: harmless, there is no such statement
DEALLOCATE tenantgate;

-- H3. a cursor that is held
--= rls: leaves
--= rewrite: shows
--@ alone
BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT note FROM members; COMMIT;
FETCH ALL FROM c;

-- H3. cursors of the session
--! rls rewrite both: 42501 relation.system
--= rls rewrite: leaves
DECLARE c CURSOR FOR SELECT 1;
SELECT name, statement FROM pg_cursors;

-- H3. CLOSE ALL
--= rls rewrite: harmless, no cursor is open
--@ alone
CLOSE ALL;

-- H4. a run-time parameter that is permitted
--= rls rewrite: leaves
--@ alone
SET TimeZone = 'Pacific/Auckland';

-- H4. a run-time parameter for all that follows
--= rls rewrite: leaves
--@ alone
SET default_transaction_read_only = on;

-- H4. a time limit
--= rls rewrite: leaves
--@ alone
SET statement_timeout = '7s';

-- H4. SET in a transaction that commits
--= rls rewrite: leaves
--@ alone
BEGIN; SET lock_timeout = 5; COMMIT;

-- H4. SET in a transaction that fails
--= rls rewrite: harmless, it is undone
--@ alone
BEGIN; SET DateStyle = 'SQL, DMY'; SELECT 1 / 0; COMMIT;

-- H4. SET LOCAL and SET of one parameter
--= rls rewrite: leaves
--@ alone
BEGIN; SET LOCAL TimeZone = 'UTC'; SET TimeZone = 'Asia/Tokyo'; COMMIT;

-- H4. SET SESSION CHARACTERISTICS
--= rls rewrite: leaves
--@ alone
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;

-- H4. SET TIME ZONE
--= rls rewrite: leaves
--@ alone
SET TIME ZONE 'Asia/Tokyo';

-- H4. application_name with a line's end
--= rls rewrite: leaves
--@ alone
SET application_name = E'victim\n';

-- H5. an advisory lock for the session
--= rls rewrite: leaves
--@ alone
SELECT pg_advisory_lock(99);

-- H5. LISTEN for the session
--= rls rewrite: leaves
--@ alone
LISTEN victims;

-- H6. currval after an INSERT
--! rls rewrite both: 42501 function.sequence
--= rls rewrite: harmless, PostgreSQL is not prepared for it
SELECT currval('practitioners_id_seq');

-- H8. setseed
--! rls rewrite both: 42501 function.session_state
--= rls rewrite: unseen, the answer does not show it
SELECT setseed(0.5);
SELECT random() >= 0;

-- H8. a connection that survives DISCARD ALL
--= rls rewrite: unseen, the connection is not a thing of the server's session
--! rls rewrite both: 42501 function.unlisted
--@ extension dblink
--@ alone
SELECT dblink_connect('left', 'dbname=postgres');

-- H9. a transaction that is left open
--= rls: leaves
--= rewrite: writes
--@ alone
BEGIN;
UPDATE settings SET value = 'mine';

-- H9. a transaction that has failed
--= rls rewrite: harmless, after an error the transaction is over
--@ alone
BEGIN;
SELECT 1 / 0;
SELECT name FROM patients;

-- H9. COMMIT without a transaction
--= rls rewrite: harmless, PostgreSQL warns
--@ alone
COMMIT;

-- H9. ROLLBACK without a transaction
--= rls rewrite: harmless, PostgreSQL warns
--@ alone
ROLLBACK; SELECT count(*) FROM patients;

-- H9. SET TRANSACTION outside
--= rls rewrite: harmless, PostgreSQL warns
--@ alone
SET TRANSACTION READ ONLY;
SELECT count(*) FROM patients;

-- H10. COPY that is given rubbish
--= rls rewrite: harmless, PostgreSQL refuses the row
--@ alone
--< rubbish
COPY feature_flags FROM STDIN;
