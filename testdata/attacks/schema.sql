-- What a careless operator adds to the clinic: privileges on everything, and
-- objects that read past policies and predicates. A superuser runs it, in each
-- database. Every text of tenant 2 holds its mark, which no answer to tenant 1
-- may.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'clinic_admin') THEN
        CREATE ROLE clinic_admin BYPASSRLS;
    END IF;
END
$$;

-- Tables that oracles of errors ask. The index makes what PostgreSQL evaluates
-- first depend on the condition.
CREATE TABLE members (
    tenant_id int NOT NULL, id int NOT NULL, name text NOT NULL, note text NOT NULL, credit int NOT NULL, active boolean NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX ON members (name);
INSERT INTO members VALUES (1, 1, 'own', 'note ~1~', 5, true), (2, 1, 'victim', 'note ~2~', 77, false), (2, 2, 'other', 'note ~2~', 8, true);
CREATE TABLE handles (tenant_id int NOT NULL, handle text NOT NULL UNIQUE, note text);
INSERT INTO handles VALUES (1, 'mine', 'handle ~1~'), (2, 'taken', 'handle ~2~');
CREATE TYPE span AS RANGE (subtype = text);
CREATE TABLE stays (tenant_id int NOT NULL, guest text, during span NOT NULL, EXCLUDE USING gist (during WITH &&));
INSERT INTO stays VALUES (1, 'guest ~1~', '[a,b)'), (2, 'guest ~2~', '[m~2~,n)');
CREATE TABLE visits (tenant_id int NOT NULL, id int PRIMARY KEY, handle text REFERENCES handles (handle), minutes int CHECK (minutes < 100));
INSERT INTO visits VALUES (1, 1, 'mine', 1), (2, 2, 'taken', 2);

-- A line of tenant 2's on an invoice of tenant 1's, which its key allows.
INSERT INTO invoice_lines (invoice_id, line, tenant_id, item, price) VALUES (1010, 99, 2, 'stray ~2~', 1);

-- A tenanted table with the name of a shared one.
CREATE SCHEMA attic;
CREATE TABLE attic.countries (tenant_id int NOT NULL, code char(2), name text);
INSERT INTO attic.countries VALUES (1, 'XX', 'attic ~1~'), (2, 'YY', 'attic ~2~');

-- Without the tenant column, and not listed by the configuration.
UPDATE jobs SET payload = 'payload ~2~';
CREATE TABLE backup AS SELECT name, note FROM members;
CREATE MATERIALIZED VIEW patient_names AS SELECT name FROM patients;
CREATE VIEW every_patient AS SELECT id, name FROM patients; -- a superuser's
CREATE VIEW every_job AS SELECT * FROM jobs;
CREATE VIEW owners_patients AS SELECT id, name FROM patients;
ALTER VIEW owners_patients OWNER TO clinic_owner;

-- Functions that change the tenant, run text, read past policies.
CREATE FUNCTION set_tenant(text) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT set_config('app.tenant_id', $1, false) $$;
CREATE FUNCTION run_text(text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE $1; END $$;
CREATE FUNCTION as_two() RETURNS bigint LANGUAGE sql SET app.tenant_id = '2' AS $$ SELECT max(id) FROM invoices $$;
CREATE FUNCTION spy() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT string_agg(note, ',') FROM members $$;
CREATE FUNCTION spy(int) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT string_agg(note, ',') FROM members WHERE id >= $1 $$;
CREATE FUNCTION spies() RETURNS SETOF members LANGUAGE sql SECURITY DEFINER AS $$ SELECT * FROM members $$;
CREATE FUNCTION peers(members) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(note, ',') FROM members $$;
CREATE FUNCTION trick(int, int) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(note, ',') FROM members $$;
CREATE OPERATOR @+@ (LEFTARG = int, RIGHTARG = int, FUNCTION = trick);
CREATE TYPE note_ref AS (id int, note text);
CREATE FUNCTION note_ref(int) RETURNS note_ref LANGUAGE sql AS $$ SELECT $1, string_agg(note, ',') FROM members $$;
CREATE CAST (int AS note_ref) WITH FUNCTION note_ref(int);
CREATE TYPE peek AS (id int, note text);
CREATE FUNCTION peek(int) RETURNS peek LANGUAGE sql AS $$ SELECT $1, string_agg(note, ',') FROM members $$;
CREATE CAST (int AS peek) WITH FUNCTION peek(int) AS ASSIGNMENT;
CREATE TABLE sights (tenant_id int NOT NULL, id int NOT NULL, p peek, ps peek[], PRIMARY KEY (tenant_id, id));
INSERT INTO sights VALUES (1, 1, NULL), (2, 2, '(2,sight ~2~)');
CREATE TYPE glance AS (note text);
CREATE FUNCTION glanced(glance) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(note, ',') FROM members $$;
CREATE CAST (glance AS text) WITH FUNCTION glanced(glance) AS IMPLICIT;
CREATE TABLE glances (tenant_id int NOT NULL, id int NOT NULL, g glance);
INSERT INTO glances VALUES (1, 1, '(mine)'), (2, 2, '(glance ~2~)');
CREATE FUNCTION spy_step(text, int) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(note, ',') FROM members $$;
CREATE AGGREGATE spy_sum(int) (SFUNC = spy_step, STYPE = text);
CREATE PROCEDURE commit_all() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;
CREATE PROCEDURE erase(int) LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN DELETE FROM members WHERE tenant_id = $1; END $$;
CREATE FUNCTION cursor_of() RETURNS refcursor LANGUAGE plpgsql AS $$ DECLARE c refcursor := 'opened'; BEGIN OPEN c FOR SELECT note FROM members; RETURN c; END $$;
CREATE FUNCTION lower(name) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(note, ',') FROM members $$;

SELECT lo_from_bytea(4242, 'object ~2~');
GRANT SELECT, UPDATE ON LARGE OBJECT 4242 TO clinic_app;
CREATE SEQUENCE tickets;
SELECT setval('tickets', 100);

GRANT ALL ON ALL TABLES IN SCHEMA public, billing, attic TO clinic_app, clinic_admin;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public, billing TO clinic_app;
GRANT ALL ON SCHEMA attic TO clinic_app;
GRANT CREATE ON SCHEMA public TO clinic_app;
GRANT clinic_admin TO clinic_app;

DO $$
DECLARE extension text;
BEGIN
    FOREACH extension IN ARRAY ARRAY['dblink', 'tablefunc', 'xml2', 'pgrowlocks', 'pgstattuple', 'postgres_fdw'] LOOP
        IF EXISTS (SELECT FROM pg_available_extensions e WHERE e.name = extension) THEN
            EXECUTE format('CREATE EXTENSION %I', extension);
        END IF;
    END LOOP;
END
$$;
