-- COPY.
COPY patients TO STDOUT;
COPY patients (id, name) TO STDOUT (FORMAT csv, HEADER);
COPY (SELECT id, name FROM patients ORDER BY id) TO STDOUT WITH CSV;
COPY settings TO STDOUT (DELIMITER '|', NULL 'nil');
COPY log_lines TO STDOUT;
COPY legacy_codes (code, meaning) TO STDOUT WITH (FORMAT csv, DELIMITER ';', HEADER, FORCE_QUOTE (code));
COPY billing.payments TO STDOUT CSV;
COPY "Order" ("Id", "Total Amount") TO STDOUT;
COPY events_2026_01 TO STDOUT;
COPY (SELECT p.id, count(n.id) FROM patients p LEFT JOIN notes n ON n.patient_id = p.id GROUP BY p.id ORDER BY 1) TO STDOUT;
COPY (WITH a AS (SELECT * FROM settings) SELECT * FROM a ORDER BY name) TO STDOUT (FORMAT text, NULL '-');
COPY (UPDATE settings SET value = 'x' RETURNING name) TO STDOUT;
COPY (TABLE settings) TO STDOUT;
COPY (VALUES (1, 'a'), (2, NULL)) TO STDOUT;
COPY countries TO STDOUT;
COPY nosuch TO STDOUT;
--! rewrite both: 0A000
COPY patients (nosuch) TO STDOUT;
COPY (SELECT nosuch FROM patients) TO STDOUT;
