-- Locking.
SELECT id FROM patients WHERE id < 4 ORDER BY id FOR UPDATE;
SELECT p.id FROM patients p JOIN appointments a ON a.patient_id = p.id WHERE p.id = 1 ORDER BY a.id FOR UPDATE OF p SKIP LOCKED;
SELECT id FROM invoices ORDER BY id LIMIT 1 FOR SHARE NOWAIT;
SELECT id FROM patients WHERE id = 2 FOR NO KEY UPDATE;
SELECT id FROM appointments WHERE status = 'booked' ORDER BY starts LIMIT 1 FOR UPDATE SKIP LOCKED;
SELECT p.id FROM patients p LEFT JOIN notes n ON n.patient_id = p.id ORDER BY p.id, n.id FOR UPDATE OF p;
SELECT p.id FROM patients p LEFT JOIN notes n ON n.patient_id = p.id ORDER BY p.id, n.id FOR UPDATE;
SELECT a.id FROM appointments a, patients p WHERE p.id = a.patient_id ORDER BY a.id FOR UPDATE OF a FOR SHARE OF p NOWAIT;
SELECT s.id FROM (SELECT id FROM patients WHERE id < 3 FOR UPDATE) s ORDER BY 1;
SELECT s.id FROM (SELECT * FROM patients WHERE id < 3) s ORDER BY 1 FOR UPDATE;
SELECT id FROM patients WHERE id = 1 FOR KEY SHARE;
SELECT count(*) FROM patients FOR UPDATE;
SELECT DISTINCT country FROM patients FOR UPDATE;
SELECT id FROM patients FOR UPDATE OF nosuch;
SELECT id FROM patients p FOR UPDATE OF patients;
SELECT id FROM feature_flags, patients WHERE id = 1 FOR UPDATE OF feature_flags;
SELECT name FROM countries FOR UPDATE;
UPDATE appointments SET status = 'arrived' WHERE id = (SELECT id FROM appointments WHERE status = 'booked' ORDER BY starts, id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id;
DELETE FROM log_lines WHERE ctid = ANY (ARRAY(SELECT ctid FROM log_lines ORDER BY level, line LIMIT 3 FOR UPDATE SKIP LOCKED)) RETURNING level, line;
WITH next AS (SELECT id FROM appointments WHERE status = 'booked' ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED) UPDATE appointments a SET status = 'done' FROM next WHERE next.id = a.id RETURNING a.id;
--? 1
SELECT id FROM invoices WHERE patient_id = $1 ORDER BY id FOR NO KEY UPDATE SKIP LOCKED;
