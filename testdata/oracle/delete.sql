-- DELETE.
DELETE FROM log_lines;
DELETE FROM log_lines WHERE level = 'info' RETURNING line;
DELETE FROM notes n USING patients p WHERE p.id = n.patient_id AND p.country IS NULL RETURNING n.patient_id;
DELETE FROM notes USING patients p JOIN appointments a ON a.patient_id = p.id WHERE p.id = notes.patient_id AND a.status = 'no_show';
DELETE FROM log_lines WHERE ctid IN (SELECT ctid FROM log_lines ORDER BY line LIMIT 2);
DELETE FROM notes WHERE patient_id IN (SELECT id FROM patients WHERE 'vip' = ANY (tags)) RETURNING 1;
WITH old AS (SELECT id FROM events WHERE at < '2026-01-10') DELETE FROM events WHERE id IN (SELECT id FROM old) RETURNING id;
WITH log_lines AS (SELECT 1 AS one) DELETE FROM log_lines WHERE level = 'warn';
DELETE FROM invoices WHERE paid;
DELETE FROM patients WHERE id = 1;
DELETE FROM nosuch;

-- More of DELETE.
DELETE FROM settings RETURNING *;
DELETE FROM settings AS s WHERE s.name = 'fax' RETURNING s.*, 1;
DELETE FROM settings WHERE tenant_id = 2;
DELETE FROM settings WHERE tenant_id <> 1 OR name = 'fax' RETURNING name;
DELETE FROM settings WHERE NOT (name = 'fax' AND value IS NULL) RETURNING name;
DELETE FROM legacy_codes WHERE meaning IS NULL RETURNING code;
DELETE FROM ONLY log_lines WHERE true;
DELETE FROM events WHERE kind = 'login' RETURNING id;
DELETE FROM events_2026_02 RETURNING id;
DELETE FROM documents d WHERE EXISTS (SELECT FROM patients p WHERE p.id = d.id AND p.born IS NULL) RETURNING id;
DELETE FROM documents d WHERE NOT EXISTS (SELECT FROM patients p WHERE p.id = d.id + 8) RETURNING id;
DELETE FROM documents WHERE id NOT IN (SELECT id FROM documents ORDER BY id DESC LIMIT 3) RETURNING id;
DELETE FROM "Order" WHERE "user" IS NULL RETURNING "Id";
DELETE FROM billing.payments p USING invoices i WHERE i.id = p.invoice_id AND i.paid RETURNING p.id, i.number;
DELETE FROM billing.payments p USING invoices i LEFT JOIN invoice_lines l ON l.invoice_id = i.id WHERE i.id = p.invoice_id AND l.line IS NULL RETURNING p.id;
DELETE FROM notes n USING practitioners d, patients p WHERE d.id = n.author AND p.id = n.patient_id AND p.country = 'DE' RETURNING n.body;
DELETE FROM notes USING (SELECT id FROM patients WHERE id < 4) s WHERE s.id = patient_id RETURNING body;
DELETE FROM notes WHERE id = md5('note 2 1')::uuid RETURNING id;
DELETE FROM notes WHERE (patient_id, author) IN (SELECT patient_id, practitioner_id FROM appointments) RETURNING patient_id;
DELETE FROM invoice_lines WHERE invoice_id NOT IN (SELECT id FROM invoices) RETURNING line;
DELETE FROM invoices i WHERE NOT EXISTS (SELECT FROM billing.payments p WHERE p.invoice_id = i.id) RETURNING i.number;
DELETE FROM appointments WHERE patient_id = (SELECT max(id) FROM patients) RETURNING id;
DELETE FROM patients WHERE id IN (SELECT id FROM patients EXCEPT SELECT patient_id FROM appointments);
DELETE FROM tenants;
DELETE FROM countries;
DELETE FROM feature_flags WHERE NOT enabled RETURNING name;
DELETE FROM log_lines a USING log_lines b WHERE a.ctid < b.ctid AND a.line = b.line AND a.level = b.level;
WITH p AS (SELECT id FROM patients WHERE country IS NULL) DELETE FROM notes WHERE patient_id IN (TABLE p) RETURNING patient_id;
--? 3
DELETE FROM documents WHERE id < $1 RETURNING id;
--? {1,2,3}
DELETE FROM documents WHERE id = ANY ($1) AND id <> 2 RETURNING id;
--? 1, 4
DELETE FROM documents WHERE tenant_id = $1 AND id = $2 RETURNING id;
