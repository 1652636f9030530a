-- The rows of one tenant; :tenant stands for its key. Run with foreign keys
-- off, for some rows refer to other tenants' rows, as happens in databases
-- whose foreign keys do not have the tenant column. Every text of a tenant
-- holds its mark, ~key~.
INSERT INTO tenants VALUES (:tenant, 'practice-:tenant', 'Practice ~:tenant~',
    (ARRAY['DE', 'AT', 'CH'])[:tenant % 3 + 1], date '2020-01-01' + :tenant);

INSERT INTO patients
SELECT :tenant, n,
    (ARRAY['Ada', 'Ben', 'Cleo', 'Dora', 'Emil', 'Fay', 'Gus'])[(n * 3 + :tenant) % 7 + 1] || ' ~:tenant~',
    CASE WHEN n % 5 <> 0 THEN date '1950-01-01' + (n * 997 + :tenant * 31) % 20000 END,
    CASE WHEN n % 4 <> 0 THEN 'p' || n || '@example.org' END,
    (ARRAY['DE', 'AT', 'CH', NULL, 'FR'])[(n + :tenant) % 5 + 1],
    ((n * 37 + :tenant * 11) % 400 - 100)::numeric / 4,
    CASE n % 3 WHEN 0 THEN '{}' WHEN 1 THEN ARRAY['vip'] ELSE ARRAY['child', '~:tenant~'] END
FROM generate_series(1, 12 + :tenant % 4) n;

-- The last one is supervised by another tenant's practitioner.
INSERT INTO practitioners (id, name, speciality, supervisor, tenant_id, active)
SELECT :tenant * 1000 + n, 'Dr. ' || chr(64 + n) || ' ~:tenant~',
    (ARRAY['general', 'dental', 'ear', NULL])[(n + :tenant) % 4 + 1],
    CASE WHEN n = 5 THEN (:tenant + 1) * 1000 + 1 WHEN n > 1 THEN :tenant * 1000 + 1 END,
    :tenant, n <> 3
FROM generate_series(1, 5) n;

-- Every seventh is with another tenant's practitioner.
INSERT INTO appointments
SELECT n, :tenant, n % (12 + :tenant % 4) + 1,
    CASE WHEN n % 7 = 0 THEN (:tenant + 1) * 1000 + 2 WHEN n % 5 <> 0 THEN :tenant * 1000 + n % 5 + 1 END,
    timestamptz '2026-01-05 08:00+00' + n * interval '7 hours',
    10 + n % 4 * 10,
    (enum_range(NULL::appointment_status))[(n * 2 + :tenant) % 5 + 1],
    CASE WHEN n % 3 <> 0 THEN 'R' || n % 4 END
FROM generate_series(1, 40) n;

INSERT INTO invoices (id, tenant_id, number, patient_id, issued, net, vat, paid)
OVERRIDING SYSTEM VALUE
SELECT :tenant * 1000 + n, :tenant, '2026-' || lpad(n::text, 3, '0'), n % (12 + :tenant % 4) + 1,
    date '2026-01-01' + n * 3, (n * 17 + :tenant * 5) % 90 + 10, ((n * 17 + :tenant * 5) % 90 + 10) / 5,
    CASE n % 3 WHEN 0 THEN NULL WHEN 1 THEN true ELSE false END
FROM generate_series(1, 15) n;

INSERT INTO invoice_lines
SELECT :tenant * 1000 + n, l, :tenant, 'item ' || l || ' ~:tenant~', l, (n * 5 + l + :tenant) % 20
FROM generate_series(1, 15) n, generate_series(1, 3) l WHERE (n + l) % 4 <> 0;
-- Lines on an invoice of another tenant.
INSERT INTO invoice_lines
SELECT (:tenant + 1) * 1000 + n, 90 + :tenant, :tenant, 'stray ~:tenant~', 1, 5 FROM generate_series(1, 2) n;

INSERT INTO notes
SELECT md5('note :tenant ' || n)::uuid, :tenant, n % 12 + 1,
    CASE WHEN n % 4 <> 0 THEN :tenant * 1000 + n % 5 + 1 END,
    (ARRAY['slept well', 'blood pressure 120/80', 'it''s better', E'two\nlines', 'allergic to \latex'])[n % 5 + 1]
        || ' ~:tenant~', n % 6 = 0
FROM generate_series(1, 14) n;

INSERT INTO documents
SELECT :tenant, n, 'Letter ' || n || ' ~:tenant~',
    jsonb_build_object('lang', (ARRAY['de', 'fr', 'it'])[(n + :tenant) % 3 + 1], 'pages', n,
        'owner', jsonb_build_object('name', '~:tenant~', 'ids', jsonb_build_array(n, n + 1))),
    ARRAY(SELECT generate_series(1, n % 4)), decode(md5('doc :tenant ' || n), 'hex')
FROM generate_series(1, 10) n;

INSERT INTO events
SELECT n, date '2025-12-28' + n * 4, (ARRAY['login', 'print', 'export'])[(n + :tenant) % 3 + 1],
    CASE WHEN n % 4 <> 0 THEN jsonb_build_object('by', '~:tenant~', 'n', n) END, :tenant
FROM generate_series(1, 30) n;

INSERT INTO legacy_codes
SELECT 'C' || n, ':tenant', CASE WHEN n <> 4 THEN 'code ' || n || ' ~:tenant~' END FROM generate_series(1, 6) n;

INSERT INTO settings (name, tenant_id, value) VALUES
    ('language', :tenant, 'de'), ('letterhead', :tenant, 'Practice ~:tenant~'), ('fax', :tenant, NULL);

INSERT INTO log_lines
SELECT :tenant, (ARRAY['info', 'warn'])[n % 2 + 1], 'line ' || n / 2 || ' ~:tenant~' FROM generate_series(1, 12) n;
INSERT INTO log_lines SELECT :tenant, 'info', 'line 1 ~:tenant~' FROM generate_series(1, 2);

INSERT INTO "Order"
SELECT n, :tenant, CASE WHEN n % 3 <> 0 THEN 'user ' || n || ' ~:tenant~' END, (n * 7 + :tenant) % 30 + 0.5
FROM generate_series(1, 8) n;

INSERT INTO billing.payments
SELECT n, CASE WHEN n % 4 <> 0 THEN :tenant * 1000 + n END, date '2026-02-01' + n, n * 3 + :tenant,
    (enum_range(NULL::billing.method))[n % 3 + 1], :tenant
FROM generate_series(1, 9) n;

INSERT INTO audit_log (tenant_id, what) VALUES (:tenant, 'imported ~:tenant~');
