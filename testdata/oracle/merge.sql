-- MERGE.
MERGE INTO patients p USING appointments a ON a.patient_id = p.id AND a.id = 3 WHEN MATCHED THEN UPDATE SET balance = p.balance + a.minutes;
MERGE INTO patients USING (VALUES (1, 'One'), (500, 'New')) AS s (id, name) ON patients.id = s.id WHEN MATCHED THEN UPDATE SET name = s.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name);
MERGE INTO patients p USING patients q ON p.id = q.id + 5 WHEN MATCHED AND q.balance > 0 THEN DELETE WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED AND q.id > 0 THEN INSERT VALUES (DEFAULT, q.id + 1000, q.name);
MERGE INTO patients p USING patients q ON p.id = q.id + 5 AND p.tenant_id = q.tenant_id WHEN MATCHED THEN UPDATE SET tenant_id = q.tenant_id, name = 'moved' WHEN NOT MATCHED THEN INSERT (tenant_id, id, name) VALUES (q.tenant_id, q.id + 2000, q.name);
MERGE INTO log_lines l USING (SELECT DISTINCT level FROM log_lines) s ON l.level = s.level AND l.line LIKE 'line 1 %' WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1, s.level, 'none');
MERGE INTO settings USING legacy_codes ON settings.name = legacy_codes.code WHEN NOT MATCHED THEN INSERT (name, value) VALUES (code, meaning);
MERGE INTO legacy_codes AS t (key, owner, text) USING settings AS s (a, b, c) ON t.key = s.a WHEN NOT MATCHED THEN INSERT (code, meaning) VALUES (s.a, s.c);
MERGE INTO "Order" o USING patients p LEFT JOIN appointments a ON a.patient_id = p.id AND a.id < 4 ON o."Id" = p.id WHEN MATCHED AND a.id IS NULL THEN DELETE WHEN NOT MATCHED AND a.id IS NULL THEN INSERT ("Id", "user") VALUES (p.id, p.name);
MERGE INTO events e USING (SELECT id FROM events WHERE id < 4) s ON e.id = s.id WHEN MATCHED THEN UPDATE SET kind = 'merged';
WITH big AS (SELECT * FROM invoices WHERE net > 50) MERGE INTO billing.payments p USING big ON big.id = p.invoice_id WHEN MATCHED THEN UPDATE SET amount = 1 WHEN NOT MATCHED THEN INSERT (id, invoice_id, received, amount) VALUES (big.id + 7, big.id, big.issued, big.gross);
MERGE INTO feature_flags f USING patients p ON f.name = 'p' || p.id WHEN NOT MATCHED AND p.id < 3 THEN INSERT (name, note) VALUES ('p' || p.id, p.name);
MERGE INTO patients p USING patients p ON true WHEN MATCHED THEN DELETE;
MERGE INTO patients p USING appointments a ON a.patient_id = p.id WHEN MATCHED THEN UPDATE SET name = 'twice';
MERGE INTO patients p USING appointments a ON nosuch = 1 WHEN MATCHED THEN DELETE;
MERGE INTO patients p USING appointments a ON a.patient_id = p.id AND a.id = 3 WHEN MATCHED THEN UPDATE SET nosuch = 1;
MERGE INTO notes n USING (SELECT id FROM patients WHERE id = 1) p ON false WHEN NOT MATCHED THEN INSERT DEFAULT VALUES;
