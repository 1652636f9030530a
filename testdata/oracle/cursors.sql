-- Cursors.
DECLARE c CURSOR FOR SELECT id, name FROM patients ORDER BY id;
DECLARE c NO SCROLL CURSOR FOR SELECT count(*) FROM patients;
DECLARE c SCROLL CURSOR FOR SELECT p.id FROM patients p JOIN notes n ON n.patient_id = p.id;
