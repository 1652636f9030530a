-- UPDATE.
UPDATE patients SET balance = balance + 1;
UPDATE patients SET balance = 0, country = DEFAULT WHERE id < 4 RETURNING *;
UPDATE patients AS p SET name = upper(p.name) WHERE p.id = 2 RETURNING p.name;
UPDATE patients SET (name, born) = ('x', '2000-01-01') WHERE id = 1 RETURNING name, born;
UPDATE patients p SET (name, balance) = (SELECT max(number), sum(net) FROM invoices i WHERE i.patient_id = p.id) WHERE EXISTS (SELECT FROM invoices i WHERE i.patient_id = p.id);
UPDATE patients SET tenant_id = 1, name = 'own key' WHERE id = 1 RETURNING tenant_id, name;
UPDATE patients SET tenant_id = tenant_id WHERE id = 1;
UPDATE patients SET tenant_id = DEFAULT WHERE id = 1 RETURNING tenant_id;
UPDATE invoices i SET paid = true FROM patients p WHERE p.id = i.patient_id AND p.country = 'DE' RETURNING i.number;
UPDATE invoices i SET net = net + 1 FROM patients p LEFT JOIN notes n ON n.patient_id = p.id WHERE p.id = i.patient_id AND n.id IS NULL;
UPDATE appointments SET room = (SELECT 'R' || count(*) FROM practitioners) WHERE room IS NULL RETURNING id, room;
UPDATE only patients SET name = 'only' WHERE id = 1;
UPDATE events SET kind = 'seen' WHERE at < '2026-02-01' RETURNING id;
UPDATE "Order" SET "user" = "user" || '!' WHERE "Id" < 4 RETURNING "user";
UPDATE documents SET meta = meta || '{"seen": true}', pages[1] = 9 WHERE id = 3 RETURNING meta, pages;
WITH best AS (SELECT patient_id FROM invoices GROUP BY 1 ORDER BY sum(net) DESC, 1 LIMIT 2) UPDATE patients SET tags = tags || '{best}' WHERE id IN (SELECT patient_id FROM best) RETURNING id;
UPDATE patients SET id = 2 WHERE id = 1;
UPDATE patients SET balance = 1 / 0;
UPDATE patients SET nosuch = 1;
UPDATE feature_flags SET note = 'seen' RETURNING name;

-- More of UPDATE.
UPDATE settings SET value = 'x' RETURNING *;
UPDATE settings SET value = NULL WHERE name = 'language' RETURNING tenant_id, name, value;
UPDATE settings s SET value = s.name WHERE s.value IS NULL RETURNING s;
UPDATE settings SET (value) = ROW ('a') WHERE name = 'fax' RETURNING value;
UPDATE settings SET (name, value) = (name || '2', DEFAULT) RETURNING name;
UPDATE settings SET value = t.name FROM tenants t RETURNING settings.value;
UPDATE settings SET value = t.n FROM (SELECT max(name) AS n FROM patients) t WHERE settings.name = 'fax' RETURNING value, t.n;
UPDATE settings SET value = (SELECT count(*) FROM patients), tenant_id = 1 RETURNING value;
UPDATE patients SET balance = balance * 2, tags = tags || ARRAY['x'] WHERE 'vip' = ANY (tags) RETURNING id, balance, tags;
UPDATE patients SET name = 'x' WHERE tenant_id = 2;
UPDATE patients SET name = 'x' WHERE tenant_id = 2 OR id = 1;
UPDATE patients SET name = 'x' WHERE id = 1 OR true RETURNING id;
UPDATE patients SET name = 'x' WHERE (id = 1 OR id = 2) IS NOT NULL RETURNING id;
UPDATE patients p SET balance = s.n FROM (SELECT patient_id, sum(net) AS n FROM invoices GROUP BY 1) s WHERE s.patient_id = p.id RETURNING p.id, p.balance, s.n;
UPDATE patients p SET balance = 0 FROM invoices i LEFT JOIN billing.payments y ON y.invoice_id = i.id WHERE i.patient_id = p.id AND y.id IS NULL RETURNING p.id;
UPDATE patients p SET balance = 0 FROM LATERAL (SELECT 1) x;
UPDATE patients p SET balance = (SELECT count(*) FROM notes n WHERE n.patient_id = p.id) WHERE EXISTS (SELECT FROM notes n WHERE n.patient_id = p.id) RETURNING id, balance;
UPDATE patients a SET name = b.name FROM patients b WHERE b.id = a.id + 1 AND a.id < 4 RETURNING a.id, a.name, b.id;
UPDATE appointments a SET practitioner_id = NULL FROM practitioners d WHERE d.id = a.practitioner_id AND NOT d.active RETURNING a.id;
UPDATE appointments SET status = 'done', room = NULL WHERE starts < '2026-01-10' RETURNING id;
UPDATE appointments SET starts = starts + interval '1 hour' WHERE id IN (SELECT id FROM appointments ORDER BY id LIMIT 3) RETURNING id, starts;
UPDATE appointments SET minutes = minutes - 100;
UPDATE appointments SET patient_id = 9999 WHERE id = 1;
UPDATE invoices SET net = 100 WHERE number = '2026-001' RETURNING gross, revision;
UPDATE invoices SET gross = 1;
UPDATE invoices SET id = 5;
UPDATE invoices SET number = '2026-002' WHERE number = '2026-001';
UPDATE invoices SET paid = NOT coalesce(paid, false) RETURNING number, paid;
UPDATE invoice_lines l SET price = l.price + 1 FROM invoices i WHERE i.id = l.invoice_id AND i.paid RETURNING l.line, l.price;
UPDATE invoice_lines SET item = upper(item) WHERE invoice_id NOT IN (SELECT id FROM invoices) RETURNING item;
UPDATE notes SET body = body || '.', pinned = NOT pinned WHERE author IS NULL RETURNING body, pinned;
UPDATE documents SET meta = jsonb_set(meta, '{lang}', '"en"'), pages = array_append(pages, 1) WHERE meta ->> 'lang' = 'de' RETURNING id, meta, pages;
UPDATE documents SET meta['x'] = '1' WHERE id = 1 RETURNING meta;
UPDATE events SET at = at + 31 WHERE id < 4 RETURNING id, at;
UPDATE events_2026_01 SET kind = 'direct' RETURNING id;
UPDATE legacy_codes SET meaning = upper(meaning), tenant_id = '1' RETURNING *;
UPDATE log_lines SET line = line || level RETURNING line;
UPDATE "Order" AS "o" SET "Total Amount" = "o"."Total Amount" + 1 RETURNING "o"."Total Amount";
UPDATE billing.payments SET amount = amount + 1, method = DEFAULT WHERE id < 3 RETURNING method, amount;
UPDATE billing.payments SET amount = -1;
UPDATE tenants SET name = name || '!' RETURNING id, name;
UPDATE countries SET vat = 0;
UPDATE practitioners SET supervisor = 9999 WHERE id = 1001;
UPDATE practitioners SET active = false WHERE id = 2001 RETURNING id;
WITH a AS (SELECT 1 AS id) UPDATE patients SET name = 'x' FROM a WHERE a.id = patients.id RETURNING patients.id;
--? 'x', 3
UPDATE patients SET name = $1 WHERE id = $2 RETURNING name;
--? 1, 3
UPDATE patients SET tenant_id = $1 WHERE id = $2 RETURNING tenant_id;
--? 5, {1,2}
UPDATE patients SET balance = balance + $1 WHERE id = ANY ($2) RETURNING id, balance;
--? 'x'
UPDATE settings SET value = $1, name = $1 || name WHERE value IS DISTINCT FROM $1 RETURNING name;
