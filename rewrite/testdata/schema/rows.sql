-- Rows of tenants 1 to 3. What a tenant alone would have is what is left after
-- the rows of the others are gone.
INSERT INTO tenants VALUES (1, 'acme'), (2, 'globex'), (3, 'hooli');
INSERT INTO countries VALUES ('fr', 'France'), ('no', 'Norway'), ('pe', 'Peru');
INSERT INTO feature_flags VALUES ('search', true), ('export', false);
INSERT INTO secrets VALUES (1, 'token');

INSERT INTO customers
SELECT t, i, 'customer ' || chr(64 + i) || t, CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN '5' ELSE 'note' END,
       jsonb_build_object('country', (ARRAY['fr', 'no', 'xx'])[1 + i % 3], 'rank', i * t)
FROM generate_series(1, 3) t, generate_series(1, 6) i;
-- Orders of customers 7 and 8 exist for tenants that have no such customers.
INSERT INTO customers VALUES (2, 7, 'only globex', NULL, '{}'), (3, 8, 'only hooli', NULL, '{}');

INSERT INTO orders
SELECT i, t, 1 + (i * t) % 8, i * 10 + t, (ARRAY['open', 'paid', 'void'])[1 + (i + t) % 3],
       ARRAY['t' || t, 'i' || i], date '2024-01-01' + i
FROM generate_series(1, 3) t, generate_series(1, 9) i;
INSERT INTO special_orders
SELECT 100 + i, t, i, 5, 'open', NULL, date '2024-06-01', 'extra ' || t
FROM generate_series(1, 3) t, generate_series(1, 2) i;
INSERT INTO order_lines
SELECT 1 + (i * t) % 12, i, t, 'sku' || i % 4, i, t + i / 10.0
FROM generate_series(1, 3) t, generate_series(1, 12) i;
INSERT INTO archive SELECT id, tenant_id, customer_id, total, state, tags, placed FROM orders WHERE id IN (1, 2);
INSERT INTO audit.orders SELECT i, 'audit ' || i || ' of ' || t, t FROM generate_series(1, 3) t, generate_series(1, 4) i;
INSERT INTO labels VALUES (1, 1, 'red'), (2, 2, 'green'), (3, 3, 'blue'), (4, 1, 'black'), (5, 2, 'white');
INSERT INTO notes SELECT i, 'note ' || i || ' of ' || t, t::text FROM generate_series(1, 3) t, generate_series(1, 3) i;
INSERT INTO metrics SELECT t, i, i * t FROM generate_series(1, 3) t, generate_series(1, 5) i;
INSERT INTO visits SELECT i, t, '/p' || i * t FROM generate_series(1, 3) t, generate_series(1, 3) i;
INSERT INTO "Mixed Case" SELECT i, t, 's' || i * t FROM generate_series(1, 3) t, generate_series(1, 3) i;
INSERT INTO "select" SELECT t, i * t FROM generate_series(1, 3) t, generate_series(1, 3) i;
INSERT INTO events
SELECT t, i, date '2024-11-01' + 30 * i, 'kind' || (i + t) % 2
FROM generate_series(1, 3) t, generate_series(1, 5) i;
REFRESH MATERIALIZED VIEW order_totals;
