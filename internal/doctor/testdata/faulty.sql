-- A database with every fault that the doctor looks for and that can be made
-- by SQL. The server connections' role is sick; landlord owns some tables.

CREATE EXTENSION dblink;
CREATE EXTENSION postgres_fdw;
CREATE EXTENSION pg_stat_statements;

-- Roles.
CREATE ROLE landlord CREATEDB;
CREATE ROLE sick LOGIN PASSWORD 'secret' CREATEROLE CREATEDB REPLICATION BYPASSRLS;
GRANT landlord TO sick;
CREATE TABLE owned_by_role (tenant_id int NOT NULL);
CREATE INDEX ON owned_by_role (tenant_id);
ALTER TABLE owned_by_role OWNER TO sick;

-- Row-level security. Those with a policy get it at the end.
CREATE TABLE rls_off (tenant_id int NOT NULL);
CREATE INDEX ON rls_off (tenant_id);
CREATE TABLE not_forced (tenant_id int NOT NULL);
CREATE INDEX ON not_forced (tenant_id);
CREATE TABLE nullable (tenant_id int);
CREATE INDEX ON nullable (tenant_id);
CREATE TABLE no_policy (tenant_id int NOT NULL);
CREATE INDEX ON no_policy (tenant_id);
CREATE TABLE wide (tenant_id int NOT NULL);
CREATE INDEX ON wide (tenant_id);
INSERT INTO wide VALUES (1), (2);
CREATE POLICY everybody ON wide USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int OR current_setting('app.tenant_id', true) IS NULL);
CREATE TABLE wide_update (tenant_id int NOT NULL);
CREATE INDEX ON wide_update (tenant_id);
CREATE POLICY whatever ON wide_update FOR UPDATE USING (true);
CREATE TABLE unclear (tenant_id int NOT NULL);
CREATE INDEX ON unclear (tenant_id);
INSERT INTO unclear VALUES (1), (2);
CREATE FUNCTION current_tenant() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE POLICY by_function ON unclear USING (tenant_id = current_tenant());

-- Keys.
CREATE TABLE parents (id int PRIMARY KEY, tenant_id int NOT NULL, code text);
CREATE INDEX ON parents (tenant_id);
CREATE UNIQUE INDEX parents_code ON parents USING btree (lower(code)) WHERE id > 0;
CREATE TABLE children (tenant_id int NOT NULL, parent int REFERENCES parents DEFERRABLE);
CREATE INDEX ON children (tenant_id);
CREATE TABLE cascading (tenant_id int NOT NULL, parent int REFERENCES parents ON DELETE SET NULL ON UPDATE CASCADE);
CREATE INDEX ON cascading (tenant_id);
CREATE TABLE bookings (tenant_id int NOT NULL, during int4range, EXCLUDE USING gist (during WITH &&));
CREATE INDEX ON bookings (tenant_id);
CREATE TABLE no_index (x int, tenant_id int NOT NULL);
CREATE INDEX ON no_index (x, tenant_id);

-- Views, and what the role may touch.
CREATE TABLE denied (secret text);
GRANT SELECT ON denied TO PUBLIC;
CREATE VIEW exempt AS SELECT * FROM parents;
CREATE TABLE owned (tenant_id int NOT NULL);
CREATE INDEX ON owned (tenant_id);
ALTER TABLE owned OWNER TO landlord;
CREATE VIEW not_invoker AS SELECT * FROM owned;
ALTER VIEW not_invoker OWNER TO landlord;
CREATE VIEW over_denied AS SELECT * FROM denied;
CREATE MATERIALIZED VIEW counts AS SELECT tenant_id, count(*) FROM parents GROUP BY tenant_id;
GRANT SELECT ON exempt, not_invoker, over_denied, counts TO sick;
CREATE TABLE countries (code text);
GRANT SELECT, INSERT ON countries TO sick;
CREATE TABLE too_much (tenant_id int NOT NULL);
CREATE INDEX ON too_much (tenant_id);
GRANT TRUNCATE, REFERENCES, TRIGGER ON too_much TO sick;
CREATE SEQUENCE counter;
GRANT SELECT, UPDATE ON SEQUENCE counter TO sick;

-- Privileges.
REVOKE CREATE ON SCHEMA public FROM PUBLIC; -- as PostgreSQL 15 and later have it
GRANT CREATE ON SCHEMA public TO sick;
ALTER DEFAULT PRIVILEGES FOR ROLE landlord IN SCHEMA public GRANT SELECT ON TABLES TO sick;
DO $$
BEGIN
    EXECUTE format('GRANT CREATE ON DATABASE %I TO sick', current_database());
    EXECUTE format('ALTER DATABASE %I SET search_path = public', current_database());
    IF current_setting('server_version_num')::int >= 150000 THEN
        EXECUTE 'GRANT SET ON PARAMETER log_statement TO sick';
    END IF;
END
$$;
ALTER ROLE sick SET app.tenant_id = '2';

-- Functions, and what calls them unseen.
CREATE FUNCTION definer() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM parents';
CREATE FUNCTION definer_allowed() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM parents';
CREATE FUNCTION setter(int) RETURNS text LANGUAGE sql AS 'SELECT set_config(''app.tenant_id'', $1::text, false)';
CREATE FUNCTION set_clause() RETURNS bigint LANGUAGE sql SET app.tenant_id = '2' AS 'SELECT count(*) FROM parents';
CREATE FUNCTION runs_text(text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE $1; END';
CREATE FUNCTION peers(parents) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM parents';
CREATE FUNCTION lower(varchar) RETURNS varchar LANGUAGE sql AS 'SELECT $1';
CREATE AGGREGATE total(int) (sfunc = int4pl, stype = int);
CREATE FUNCTION same(int, int) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR === (leftarg = int, rightarg = int, function = same);
CREATE TYPE note_ref AS (id int);
CREATE FUNCTION to_ref(int) RETURNS note_ref LANGUAGE sql AS 'SELECT ROW($1)::note_ref';
CREATE CAST (int AS note_ref) WITH FUNCTION to_ref(int);
CREATE FUNCTION days_of(date) RETURNS bigint LANGUAGE sql AS 'SELECT ($1 - DATE ''2000-01-01'')::bigint';
CREATE CAST (date AS bigint) WITH FUNCTION days_of(date) AS ASSIGNMENT;
CREATE FUNCTION good(text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE DOMAIN checked AS text CHECK (good(VALUE));
CREATE FUNCTION on_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION defaulted() RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''x''';
CREATE TABLE calling (
    tenant_id int NOT NULL,
    a text DEFAULT defaulted(),
    b text CONSTRAINT b_good CHECK (good(b)),
    c bool GENERATED ALWAYS AS (good('x'::text)) STORED
);
CREATE INDEX ON calling (tenant_id);
CREATE INDEX calling_good ON calling (good(a));
CREATE TRIGGER on_row BEFORE INSERT ON calling FOR EACH ROW EXECUTE FUNCTION on_row();
CREATE RULE also AS ON INSERT TO calling DO ALSO SELECT 1;

-- Beside the database.
SELECT lo_create(4711);
CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw;
GRANT USAGE ON FOREIGN SERVER elsewhere TO sick;
CREATE USER MAPPING FOR sick SERVER elsewhere OPTIONS (user 'x', password 'y');
CREATE USER MAPPING FOR PUBLIC SERVER elsewhere OPTIONS (user 'x', password 'y');
CREATE PUBLICATION one FOR TABLE parents;
CREATE PUBLICATION everything FOR ALL TABLES;
CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NULL; END';
CREATE EVENT TRIGGER on_ddl ON ddl_command_end EXECUTE FUNCTION on_ddl();

-- The view as clusters had it before the fix of 2024.
SET allow_system_table_mods = on;
DO $$
BEGIN
    EXECUTE 'CREATE OR REPLACE VIEW pg_catalog.pg_stats_ext AS '
        || regexp_replace(pg_get_viewdef('pg_stats_ext'::regclass), 'pg_has_role\([^)]*\)', 'true');
END
$$;

DO $$
DECLARE
    t regclass;
BEGIN
    FOR t IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
        AND relname NOT IN ('rls_off', 'denied', 'countries') LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t);
        IF t <> 'not_forced'::regclass THEN
            EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', t);
        END IF;
        IF NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = t AND polname <> 'whatever') AND t <> 'no_policy'::regclass THEN
            EXECUTE format('CREATE POLICY tenantgate ON %s USING (tenant_id = (SELECT nullif(current_setting(''app.tenant_id'', true), '''')::int AS key))', t);
        END IF;
        IF t <> 'too_much'::regclass THEN
            EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO sick', t);
        END IF;
    END LOOP;
END
$$;
