-- E. Writes to and disturbance of other tenants.

-- E1. TRUNCATE
--! rls rewrite both: 42501 statement.truncate
--= rls rewrite: writes
TRUNCATE members;

-- E1. TRUNCATE with all that refers to it
--! rls rewrite both: 42501 statement.truncate
--= rls rewrite: writes
TRUNCATE TABLE patients CASCADE;

-- E1. TRUNCATE of several tables, with their sequences
--! rls rewrite both: 42501 statement.truncate
--= rls rewrite: writes
TRUNCATE ONLY log_lines, notes RESTART IDENTITY;

-- E1. TRUNCATE in DO
--! rls rewrite both: 42501 statement.do
--= rls rewrite: writes
DO $$ BEGIN TRUNCATE members; END $$;

-- E2. a row that refers to another tenant's
--! rls rewrite both: open, a key without the tenant column tells that a row exists
--= rls rewrite: tells
INSERT INTO visits (tenant_id, id, handle, minutes) VALUES (1, 99, 'taken', 1);

-- E3. a DELETE that cascades to another tenant's row
--! rls rewrite both: open, a key without the tenant column cascades to others' rows
--= rls rewrite: writes
DELETE FROM invoices WHERE id = 1010;

-- E4. REFERENCES to a table of all
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: leaves
CREATE TABLE probe (handle text REFERENCES handles (handle));
INSERT INTO probe VALUES ('taken');

-- E4. a temporary table with a foreign key
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: harmless, PostgreSQL refuses it
CREATE TEMP TABLE probe (handle text REFERENCES handles (handle));

-- E5. INSERT into a shared table
--! rls rewrite both: 42501 relation.shared_read_only
--= rls rewrite: writes
INSERT INTO countries VALUES ('ZZ', 'Nowhere', 1);

-- E5. UPDATE of a shared table
--! rls rewrite both: 42501 relation.shared_read_only
--= rls rewrite: writes
UPDATE countries SET vat = 0;

-- E5. DELETE from a shared table
--! rls rewrite both: 42501 relation.shared_read_only
--= rls rewrite: writes
DELETE FROM countries WHERE code = 'LI';

-- E5. a write to a shared table in a common table expression
--! rls rewrite both: 42501 relation.shared_read_only
--= rls rewrite: writes
WITH u AS (UPDATE countries SET name = 'mine' RETURNING code) SELECT * FROM u;

-- E5. COPY into a shared table
--! rls rewrite both: 42501 relation.shared_read_only
--= rls rewrite: writes
--< ZZ	Nowhere	1
COPY countries FROM STDIN;

-- E5. MERGE into a shared table
--! rls rewrite both: 42501 relation.shared_read_only
--= rls rewrite: writes
MERGE INTO countries c USING patients p ON p.country = c.code WHEN MATCHED THEN UPDATE SET vat = 0;

-- E5. ON CONFLICT on a shared table
--! rls rewrite both: 42501 relation.shared_read_only
--= rls rewrite: writes
INSERT INTO countries VALUES ('DE', 'x', 1) ON CONFLICT (code) DO UPDATE SET vat = 0;

-- E5. UPDATE of a system catalog
--= rls rewrite: harmless, the role may not
UPDATE pg_class SET relname = 'mine' WHERE relname = 'members';

-- E5. DELETE from a system catalog
--= rls rewrite: harmless, the role may not
DELETE FROM pg_policy;

-- E7. a trigger on a table of all, with a temporary function
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: leaves
CREATE FUNCTION pg_temp.f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER mine BEFORE INSERT ON members FOR EACH ROW EXECUTE FUNCTION pg_temp.f();

-- E8. a rule
--= rls rewrite: harmless, the role may not
CREATE RULE mine AS ON SELECT TO members DO INSTEAD SELECT * FROM members;

-- E8. a policy
--= rls rewrite: harmless, the role may not
CREATE POLICY mine ON members USING (true);

-- E8. row-level security taken away
--= rls rewrite: harmless, the role may not
ALTER TABLE members DISABLE ROW LEVEL SECURITY;

-- E8. an index
--= rls rewrite: harmless, the role may not
CREATE INDEX ON members (note);

-- E8. a column dropped
--= rls rewrite: harmless, the role may not
ALTER TABLE members DROP COLUMN note;

-- E8. a table dropped
--= rls rewrite: harmless, the role may not
DROP TABLE members CASCADE;

-- E8. a function replaced
--= rls rewrite: harmless, the role may not
CREATE OR REPLACE FUNCTION slugify(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'mine' $$;

-- E8. a function in the public schema, in the place of PostgreSQL's
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: leaves
CREATE FUNCTION public.upper(varchar) RETURNS text LANGUAGE sql AS $$ SELECT 'mine' $$;

-- E8. an operator in the public schema
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: harmless, there is no such function
CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = trick);

-- E8. a table in the public schema
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: leaves
CREATE TABLE public.drop_box (a text);

-- E8. a schema
--= rls rewrite: harmless, the role may not
CREATE SCHEMA mine;

-- E8. an extension
--= rls rewrite: harmless, the role may not
CREATE EXTENSION citext;

-- E8. a publication
--= rls rewrite: harmless, the role may not
CREATE PUBLICATION mine FOR TABLE members;

-- E8. an event trigger
--= rls rewrite: harmless, the role may not
CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION trick();

-- E8. statistics
--= rls rewrite: harmless, the role may not
CREATE STATISTICS mine ON name, note FROM members;

-- E8. a type
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: leaves
CREATE TYPE public.mine AS ENUM ('a');

-- E8. a language
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: harmless, PostgreSQL does not do that
CREATE LANGUAGE plperl;

-- E9. setval far ahead
--! rls rewrite both: 42501 function.sequence
--= rls rewrite: leaves
SELECT setval('practitioners_id_seq', 9223372036854775807);

-- E9. nextval many times
--! rls rewrite both: 42501 function.sequence
--= rls rewrite: leaves
SELECT count(nextval('tickets')) FROM generate_series(1, 1000);

-- E9. setval in a condition
--! rls rewrite both: 42501 function.sequence
--= rls rewrite: leaves
SELECT id FROM patients WHERE setval('tickets', id) > 0;

-- E9. ALTER SEQUENCE
--= rls rewrite: harmless, the role may not
ALTER SEQUENCE tickets RESTART;

-- E9. a sequence of one's own
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: leaves
CREATE TEMP SEQUENCE mine;

-- E10. LOCK TABLE
--! rls rewrite both: 0A000 statement.lock
--= rls rewrite: leaves
LOCK TABLE members;

-- E10. LOCK without waiting
--! rls rewrite both: 0A000 statement.lock
--= rls rewrite: leaves
LOCK members IN SHARE ROW EXCLUSIVE MODE NOWAIT;

-- E10. LOCK of a view
--! rls rewrite both: 0A000 statement.lock
--= rls rewrite: leaves
LOCK TABLE own_patients IN ACCESS EXCLUSIVE MODE;

-- E10. rows of a shared table locked
--! rls rewrite both: 42501 relation.shared_read_only
--= rls rewrite: unseen, the locks are in the rows; nobody waits for them here
SELECT * FROM countries FOR UPDATE;

-- E10. rows of a shared table locked in a join
--! rls rewrite both: 42501 relation.shared_read_only
--= rls rewrite: unseen, the locks are in the rows; nobody waits for them here
SELECT p.id FROM patients p JOIN countries c ON c.code = p.country WHERE {p.t} true FOR UPDATE;

-- E10. rows of a shared table locked for sharing
--! rls rewrite both: 42501 relation.shared_read_only
--= rls rewrite: unseen, the locks are in the rows; nobody waits for them here
SELECT * FROM countries FOR KEY SHARE;

-- E10. rows locked through a view
--! rewrite both: 42501 relation.shared_read_only
--= rls rewrite: harmless, PostgreSQL does not do that
SELECT * FROM patient_countries FOR UPDATE;

-- E11. an advisory lock
--= rls rewrite: leaves
SELECT pg_advisory_lock(7);

-- E11. an advisory lock for the transaction
--= rls rewrite: leaves
SELECT pg_advisory_xact_lock(7);

-- E11. an advisory lock that is tried
--= rls rewrite: tells
SELECT pg_try_advisory_lock(42);

-- E11. an advisory lock for sharing
--= rls rewrite: tells
SELECT pg_try_advisory_lock_shared(42);

-- E11. an advisory lock of two numbers
--= rls rewrite: leaves
SELECT pg_advisory_lock(1, 2);

-- E11. an advisory lock for each row
--= rls rewrite: leaves
SELECT pg_try_advisory_lock(id) FROM patients;

-- E11. advisory locks released
--= rls rewrite: harmless, locks of others are not released
SELECT pg_advisory_unlock(42);

-- E12. PREPARE TRANSACTION
--= rls: leaves
--= rewrite: writes
--! rls rewrite both: 0A000 transaction.prepared
--@ alone
BEGIN;
UPDATE settings SET value = 'x';
PREPARE TRANSACTION 'mine';

-- E12. COMMIT PREPARED
--= rls rewrite: harmless, there is no such transaction
--! rls rewrite both: 0A000 transaction.prepared
--@ alone
COMMIT PREPARED 'theirs';

-- E12. ROLLBACK PREPARED
--= rls rewrite: harmless, there is no such transaction
--! rls rewrite both: 0A000 transaction.prepared
--@ alone
ROLLBACK PREPARED 'theirs';

-- E13. pg_terminate_backend
--! rls rewrite both: 42501 function.backend
--= rls rewrite: unseen, no session has that text
SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE 'nothing') a;

-- E13. pg_terminate_backend of a number
--! rls rewrite both: 42501 function.backend
--= rls rewrite: harmless, no process has the number
SELECT pg_terminate_backend(2147483647);

-- E13. pg_cancel_backend
--! rls rewrite both: 42501 function.backend
--= rls rewrite: harmless, no process has the number
SELECT pg_cancel_backend(2147483647);

-- E13. pg_reload_conf
--= rls rewrite: harmless, the role may not
SELECT pg_reload_conf();

-- E14. DROP OWNED
--! rls rewrite both: 42501 statement.role
--= rls rewrite: harmless, the role owns nothing here, and what it drops is back before it is looked at
DROP OWNED BY CURRENT_USER;

-- E14. GRANT
--! rls rewrite both: 42501 statement.grant
--= rls rewrite: harmless, the role has no grant option: PostgreSQL warns
GRANT SELECT ON backup TO PUBLIC;

-- E14. REVOKE
--! rls rewrite both: 42501 statement.grant
--= rls rewrite: harmless, the role has no grant option: PostgreSQL warns
REVOKE SELECT ON members FROM clinic_app;

-- E14. GRANT of the role
--= rls rewrite: harmless, the role may not
GRANT clinic_admin TO CURRENT_USER;

-- E14. ALTER DEFAULT PRIVILEGES
--! rls rewrite both: 42501 statement.grant
--= rls rewrite: leaves
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;

-- E14. COMMENT
--= rls rewrite: harmless, the role may not
COMMENT ON TABLE members IS 'mine';

-- E14. CREATE ROLE
--= rls rewrite: harmless, the role may not
CREATE ROLE mine LOGIN;

-- E14. CREATE DATABASE
--= rls rewrite: harmless, the role may not
--@ alone
CREATE DATABASE mine;

-- E14. SECURITY LABEL
--! rls rewrite both: 42501 statement.ddl
--= rls rewrite: harmless, PostgreSQL refuses the value
SECURITY LABEL ON TABLE members IS 'mine';

-- E16. VACUUM VERBOSE counts
--= rls rewrite: harmless, the role does not own the table: PostgreSQL warns
--! rls rewrite both: 42501 statement.maintenance
--@ alone
VACUUM VERBOSE members;

-- E16. ANALYZE
--! rls rewrite both: 42501 statement.maintenance
--= rls rewrite: harmless, the role does not own the table: PostgreSQL warns
ANALYZE VERBOSE members;

-- E16. CLUSTER
--= rls rewrite: harmless, the role does not own the table
--@ alone
CLUSTER VERBOSE members USING members_pkey;

-- E16. REINDEX
--= rls rewrite: harmless, the role may not
REINDEX TABLE members;

-- E16. CHECKPOINT
--= rls rewrite: harmless, the role may not
CHECKPOINT;

-- E16. statistics of a relation forged
--! rls rewrite both: 42501 function.backend
--= rls rewrite: harmless, there is no such function
SELECT pg_restore_relation_stats('schemaname', 'public', 'relname', 'members', 'reltuples', 1e9::real);

-- E16. statistics reset
--= rls rewrite: harmless, the role may not
SELECT pg_stat_reset();

-- E17. pg_sleep
--! rls rewrite both: 42501 function.sleep
--= rls rewrite: unseen, it takes time
SELECT pg_sleep(0.01);

-- E17. pg_sleep in a condition
--! rls rewrite both: 42501 function.sleep
--= rls rewrite: unseen, it takes time
SELECT id FROM members WHERE {t} CASE WHEN credit = 77 THEN pg_sleep(0.01) IS NULL END;

-- E17. pg_sleep_for
--! rls rewrite both: 42501 function.sleep
--= rls rewrite: unseen, it takes time
SELECT pg_sleep_for('10 ms');

-- E17. LISTEN
--= rls rewrite: unseen, it takes effect when the transaction commits; H5 does
LISTEN victims;

-- E17. NOTIFY
--= rls rewrite: unseen, it takes effect when the transaction commits
NOTIFY victims, 'x';

-- E17. pg_notify of what is read
--= rls: unseen, it takes effect when the transaction commits
--= rewrite: tells
SELECT pg_notify('victims', note) FROM members;

-- E17. UNLISTEN
--= rls rewrite: harmless, of the session itself
UNLISTEN *;
