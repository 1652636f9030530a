-- The schema of the golden cases. Ids overlap between tenants, and some rows
-- refer to rows of other tenants.
CREATE SCHEMA audit;
CREATE DOMAIN tenant_key AS int;

CREATE TABLE customers (
    tenant_id int NOT NULL,
    id bigint NOT NULL,
    name text,
    note text,
    meta jsonb,
    PRIMARY KEY (tenant_id, id)
);
CREATE TABLE orders (
    id bigint NOT NULL,
    tenant_id int NOT NULL,
    customer_id bigint,
    total numeric(10,2),
    state text DEFAULT 'open',
    tags text[],
    placed date,
    PRIMARY KEY (tenant_id, id)
);
CREATE TABLE order_lines (
    order_id bigint NOT NULL,
    line int NOT NULL,
    tenant_id int NOT NULL,
    sku text,
    qty int,
    price numeric(10,2),
    amount numeric GENERATED ALWAYS AS (qty * price) STORED,
    PRIMARY KEY (tenant_id, order_id, line)
);
CREATE TABLE archive (
    id bigint NOT NULL,
    tenant_id int NOT NULL,
    customer_id bigint,
    total numeric(10,2),
    state text,
    tags text[],
    placed date
);
CREATE TABLE audit.orders (id int NOT NULL, what text, tenant_id int NOT NULL);
CREATE TABLE labels (id int PRIMARY KEY, tenant_id int NOT NULL, name text UNIQUE);
CREATE TABLE notes (id int NOT NULL, body text, tenant_id text NOT NULL, PRIMARY KEY (tenant_id, id));
CREATE TABLE metrics (tenant_id bigint NOT NULL, at int NOT NULL, value double precision);
CREATE TABLE visits (id int NOT NULL, tenant_id tenant_key NOT NULL, page text);
CREATE TABLE "Mixed Case" ("Id" int NOT NULL, tenant_id int NOT NULL, "select" text);
CREATE TABLE "select" (tenant_id int NOT NULL, "from" int);
CREATE TABLE special_orders (extra text) INHERITS (orders);
CREATE TABLE events (tenant_id int NOT NULL, id int NOT NULL, day date NOT NULL, kind text) PARTITION BY RANGE (day);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE tenants (id int PRIMARY KEY, name text);
CREATE TABLE devices (id int NOT NULL, tenant_id uuid NOT NULL);

CREATE TABLE countries (code text PRIMARY KEY, name text);
CREATE TABLE feature_flags (name text PRIMARY KEY, enabled boolean);
CREATE TABLE secrets (id int, token text);

CREATE VIEW open_orders AS SELECT * FROM orders WHERE state = 'open';
CREATE MATERIALIZED VIEW order_totals AS SELECT tenant_id, sum(total) AS total FROM orders GROUP BY tenant_id;
CREATE VIEW open_totals AS SELECT customer_id, count(*) AS orders, sum(total) AS total FROM open_orders GROUP BY customer_id;
CREATE VIEW order_states AS SELECT DISTINCT state FROM orders ORDER BY state;
CREATE VIEW all_orders AS WITH o AS (SELECT * FROM orders) SELECT id, tenant_id, total FROM o UNION ALL SELECT id, tenant_id, total FROM archive;
CREATE VIEW label_countries AS SELECT l.id, l.name, c.name AS country FROM labels l LEFT JOIN countries c ON c.code = l.name;
CREATE VIEW big_orders WITH (security_barrier) AS SELECT * FROM orders WHERE total > 10;
CREATE VIEW "Mixed View" AS SELECT "Id", upper("select") AS "Upper" FROM "Mixed Case";
CREATE VIEW class_names AS SELECT relname FROM pg_class WHERE relname = 'orders';
CREATE VIEW secret_orders AS SELECT o.id FROM orders o JOIN secrets s ON s.id = o.id;
CREATE VIEW password_hashes AS SELECT rolpassword FROM pg_authid;
CREATE VIEW country_names AS SELECT name FROM countries;
CREATE SEQUENCE ticket_seq;
