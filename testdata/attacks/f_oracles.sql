-- F. Oracles: a difference in an answer that tells of rows which are not there.
-- PROBE stands for a value that another tenant's row has, then for one that no
-- row has: the answer must be the same.

-- F1. a leakproof comparison, and a sub-select that fails
--! rls: open, a policy does not always come first; rewriting closes it
--= rls rewrite: tells
--? victim / nobody
SELECT id FROM members WHERE {t} name BETWEEN 'PROBE' AND 'PROBE' AND credit > (SELECT 1 / (length(code) - 2) FROM countries LIMIT 1);

-- F1. a comparison with greater-than, and a sub-select that fails
--! rls: open, a policy does not always come first; rewriting closes it
--= rls rewrite: tells
--? u / w
SELECT id FROM members WHERE {t} name > 'PROBE' AND credit > (SELECT 1 / (length(code) - 2) FROM countries LIMIT 1);

-- F1. CASE of an equality, and a sub-select that fails
--= rls rewrite: unseen, this plan evaluates the tenant's condition first, which others need not
--? 77 / 78
SELECT id FROM members WHERE {t} CASE WHEN credit = PROBE THEN (SELECT 1 / (length(code) - 2) FROM countries LIMIT 1) = 1 END;

-- F1. CASE of a boolean column
--! rls: open, a policy does not always come first; rewriting closes it
--= rls rewrite: tells
--? NOT / NULL AND
SELECT id FROM members WHERE {t} CASE WHEN PROBE active THEN (SELECT length(code) / 0 = 1 FROM countries LIMIT 1) END;

-- F1. OR of a comparison
--= rls rewrite: unseen, this plan evaluates the tenant's condition first, which others need not
--? victim / nobody
SELECT id FROM members WHERE {t} (name <> 'PROBE' OR credit > (SELECT 1 / (length(code) - 2) FROM countries LIMIT 1)) AND name > 'p';

-- F1. a volatile function that counts
--= rls rewrite: unseen, this plan evaluates the tenant's condition first, which others need not
--? victim / nobody
SELECT id FROM members WHERE {t} name = 'PROBE' AND 1 / (0 * random())::int > 0;

-- F1. a volatile function in CASE
--= rls rewrite: unseen, this plan evaluates the tenant's condition first, which others need not
--? 77 / 78
SELECT id FROM members WHERE {t} CASE WHEN credit = PROBE THEN 1 / (0 * random())::int > 0 END;

-- F1. a leakproof comparison in an UPDATE
--! rls: open, a policy does not always come first; rewriting closes it
--= rls rewrite: tells
--? victim / nobody
UPDATE members SET credit = 1 WHERE {t} name BETWEEN 'PROBE' AND 'PROBE' AND credit > (SELECT 1 / (length(code) - 2) FROM countries LIMIT 1);

-- F1. a leakproof comparison in a DELETE
--! rls: open, a policy does not always come first; rewriting closes it
--= rls rewrite: tells
--? victim / nobody
DELETE FROM members WHERE {t} name BETWEEN 'PROBE' AND 'PROBE' AND credit > (SELECT 1 / (length(code) - 2) FROM countries LIMIT 1);

-- F1. a leakproof comparison in a sub-select
--! rls: open, a policy does not always come first; rewriting closes it
--= rls rewrite: tells
--? victim / nobody
SELECT count(*) FROM (SELECT * FROM members WHERE {t} true) m WHERE m.name BETWEEN 'PROBE' AND 'PROBE' AND m.credit > (SELECT 1 / (length(code) - 2) FROM countries LIMIT 1);

-- F1. a leakproof comparison in EXISTS
--! rls: open, a policy does not always come first; rewriting closes it
--= rls rewrite: tells
--? victim / nobody
SELECT code FROM countries WHERE EXISTS (SELECT FROM members WHERE {t} name BETWEEN 'PROBE' AND 'PROBE' AND credit > (SELECT 1 / (length(code) - 2) FROM countries LIMIT 1));

-- F1. a leakproof comparison of a parameter
--! rls: open, a policy does not always come first; rewriting closes it
--= rls rewrite: tells
--? victim / nobody
--$ 0
SELECT id FROM members WHERE {t} name BETWEEN 'PROBE' AND 'PROBE' AND credit > (SELECT 1 / ($1 * length(code)) FROM countries LIMIT 1);

-- F1. set_config in a condition
--! rls rewrite both: 42501 function.set_config
--= rls rewrite: harmless, PostgreSQL refuses the value
--? victim / nobody
SELECT id FROM members WHERE {t} name = 'PROBE' AND set_config('TimeZone', 'nowhere', true) IS NOT NULL;

-- F1. an advisory lock in a condition
--! rls rewrite both: 42501 function.advisory_lock
--= rls rewrite: unseen, this plan evaluates the tenant's condition first, which others need not
--? 77 / 78
SELECT id FROM members WHERE {t} CASE WHEN credit = PROBE THEN pg_try_advisory_lock(43) END;

-- F2. a cast that prints its argument
--= rls: harmless, policies hold
--= rewrite: tells
--? victim / nobody
SELECT id FROM members WHERE {t} name BETWEEN 'PROBE' AND 'PROBE' AND note::regclass IS NOT NULL;

-- F2. a cast in HAVING
--= rls: harmless, policies hold
--= rewrite: tells
--? victim / nobody
SELECT name FROM members WHERE {t} true GROUP BY name, note HAVING name BETWEEN 'PROBE' AND 'PROBE' AND note::regclass IS NOT NULL;

-- F2. a cast in an inner target list
--= rls: harmless, policies hold
--= rewrite: tells
--? victim / nobody
SELECT count(*) FROM (SELECT name, note::regclass AS x FROM members WHERE {t} true) s WHERE s.name BETWEEN 'PROBE' AND 'PROBE' AND s.x IS NOT NULL;

-- F2. a cast in ON
--= rls: harmless, policies hold
--= rewrite: tells
--? victim / nobody
SELECT count(*) FROM countries c JOIN members m ON {m.t} m.name BETWEEN 'PROBE' AND 'PROBE' AND m.note::regclass IS NOT NULL;

-- F2. a cast in a DELETE
--= rls: harmless, policies hold
--= rewrite: tells
--? victim / nobody
DELETE FROM members m WHERE {m.t} m.name BETWEEN 'PROBE' AND 'PROBE' AND m.note::regclass IS NOT NULL;

-- F2. a cast in a condition of MERGE
--= rls: harmless, policies hold
--= rewrite: tells
--? victim / nobody
MERGE INTO members m USING countries c ON {m.t} m.name BETWEEN 'PROBE' AND 'PROBE' AND m.note::regclass IS NOT NULL WHEN MATCHED THEN DO NOTHING;

-- F2. pg_size_bytes prints its argument
--! rls rewrite both: 42501 function.catalog_only
--= rls rewrite: unseen, this plan evaluates the tenant's condition first, which others need not
--? victim / nobody
SELECT id FROM members WHERE {t} name BETWEEN 'PROBE' AND 'PROBE' AND pg_size_bytes(note) > 0;

-- F2. has_table_privilege prints its argument
--! rls rewrite both: 42501 function.catalog_only
--= rls: harmless, policies hold
--= rewrite: tells
--? victim / nobody
SELECT id FROM members WHERE {t} name BETWEEN 'PROBE' AND 'PROBE' AND has_table_privilege(note, 'SELECT');

-- F2. current_setting prints its argument
--! rls rewrite both: 42501 function.current_setting
--= rls: harmless, policies hold
--= rewrite: shows
--? victim / nobody
SELECT id FROM members WHERE {t} name BETWEEN 'PROBE' AND 'PROBE' AND current_setting(note) IS NOT NULL;

-- F2. XMLPARSE prints its argument
--= rls: harmless, policies hold
--= rewrite: shows
--? victim / nobody
SELECT id FROM members WHERE {t} name BETWEEN 'PROBE' AND 'PROBE' AND xmlparse(DOCUMENT note) IS NOT NULL;

-- F2. a cast of a name put together
--= rls rewrite: unseen, this plan evaluates the tenant's condition first, which others need not
--? victim / nobody
SELECT id FROM members WHERE {t} name BETWEEN 'PROBE' AND 'PROBE' AND ('tenant.' || name || '.' || note)::regclass IS NOT NULL;

-- F3. an overflow
--= rls rewrite: unseen, this plan evaluates the tenant's condition first, which others need not
--? victim / nobody
SELECT id FROM members WHERE {t} name BETWEEN 'PROBE' AND 'PROBE' AND credit * 2000000000 > 0;

-- F3. a division
--= rls rewrite: unseen, this plan evaluates the tenant's condition first, which others need not
--? 77 / 78
SELECT id FROM members WHERE {t} credit > 70 AND 1 / (credit - PROBE) > 0;

-- F3. a pattern that ends in its escape character
--= rls: harmless, policies hold
--= rewrite: tells
--? vi / xx
SELECT id FROM members WHERE {t} name LIKE 'PROBE\';

-- F3. a pattern from a parameter
--= rls: harmless, policies hold
--= rewrite: tells
--? vi / xx
--$ '\'
SELECT id FROM members WHERE {t} name LIKE 'PROBE' || $1;

-- F3. a regular expression
--= rls rewrite: unseen, this plan evaluates the tenant's condition first, which others need not
--? victim / nobody
SELECT id FROM members WHERE {t} name BETWEEN 'PROBE' AND 'PROBE' AND note ~ ('(' || left(note, 0));

-- F3. a length
--= rls rewrite: unseen, this plan evaluates the tenant's condition first, which others need not
--? 6 / 99
SELECT id FROM members WHERE {t} name > 'p' AND repeat('x', 1000000000 * (length(name) / PROBE)) IS NOT NULL;

-- F4. a unique key of all tenants
--! rls rewrite both: open, a key without the tenant column tells that a row exists
--= rls rewrite: tells
--? taken / free
INSERT INTO handles (tenant_id, handle) VALUES (1, 'PROBE');

-- F4. a unique key of all tenants, by UPDATE
--! rls rewrite both: open, a key without the tenant column tells that a row exists
--= rls rewrite: tells
--? taken / free
UPDATE handles SET handle = 'PROBE' WHERE {t} handle = 'mine';

-- F4. a primary key of all tenants
--! rls rewrite both: open, a key without the tenant column tells that a row exists
--= rls rewrite: tells
--? 2001 / 99
INSERT INTO practitioners (id, name, tenant_id) VALUES (PROBE, 'x', 1);

-- F5. an exclusion constraint, whose message prints the other row
--! rls rewrite both: open, a key without the tenant column tells that a row exists
--= rls: tells
--= rewrite: shows
--? m,n / x,y
INSERT INTO stays (tenant_id, guest, during) VALUES (1, 'x', '[PROBE)');

-- F6. ON CONFLICT DO NOTHING
--! rls rewrite both: open, a key without the tenant column tells that a row exists
--= rls rewrite: tells
--? taken / free
INSERT INTO handles (tenant_id, handle) VALUES (1, 'PROBE') ON CONFLICT DO NOTHING;

-- F6. ON CONFLICT DO UPDATE that never updates
--! rls rewrite both: open, a key without the tenant column tells that a row exists
--= rls rewrite: tells
--? taken / free
INSERT INTO handles (tenant_id, handle) VALUES (1, 'PROBE') ON CONFLICT (handle) DO UPDATE SET note = 'x' WHERE false;

-- F7. a foreign key to a table of all
--! rls rewrite both: open, a key without the tenant column tells that a row exists
--= rls rewrite: tells
--? taken / free
INSERT INTO visits (tenant_id, id, handle) VALUES (1, 9, 'PROBE');

-- F7. a foreign key that refers to itself
--! rls rewrite both: open, a key without the tenant column tells that a row exists
--= rls rewrite: tells
--? 2001 / 999
UPDATE practitioners SET supervisor = PROBE WHERE {t} id = 1001;

-- F8. a CHECK prints the row
--= rls rewrite: harmless, PostgreSQL refuses the row
INSERT INTO visits (tenant_id, id, handle, minutes) VALUES (1, 9, 'mine', 100);

-- F8. a CHECK prints others' rows
--= rls: harmless, policies hold
--= rewrite: tells
UPDATE visits SET minutes = 100 WHERE id > 1;

-- F8. NOT NULL prints others' rows
--= rls: harmless, policies hold
--= rewrite: shows
UPDATE members SET name = NULL WHERE name = 'victim';

-- F8. a CHECK in a partition
--= rls rewrite: harmless, PostgreSQL refuses the row
UPDATE events_2026_01 SET at = '2027-01-01';

-- F9. rows removed by a filter
--! rls rewrite both: 0A000 statement.explain
--= rls rewrite: tells
EXPLAIN (ANALYZE, TIMING off, SUMMARY off) SELECT id FROM members WHERE {t} name > 'p';

-- F9. buffers
--! rls rewrite both: 0A000 statement.explain
--= rls rewrite: tells
EXPLAIN (BUFFERS, ANALYZE) SELECT id FROM patients WHERE {t} true;

-- F9. ANALYZE in lower case, quoted
--! rls rewrite both: 0A000 statement.explain
--= rls rewrite: tells
EXPLAIN ("analyze", "timing" false) SELECT id FROM members WHERE {t} true;

-- F10. estimates of a plan
--! rls rewrite both: 0A000 statement.explain
--= rls rewrite: tells
EXPLAIN SELECT id FROM appointments WHERE {t} room = 'R1';

-- F10. estimates as JSON
--! rls rewrite both: 0A000 statement.explain
--= rls rewrite: tells
EXPLAIN (FORMAT json) SELECT id FROM members WHERE {t} name = 'victim';

-- F11. a plan shows the policy
--! rls rewrite both: 0A000 statement.explain
--= rls: tells
--= rewrite: harmless, there is no policy
EXPLAIN (VERBOSE, COSTS off) SELECT id FROM members;

-- F13. a notice tells what a function has read
--! rls rewrite both: 42501 statement.do
--= rls: harmless, policies hold
--= rewrite: shows
DO $$ BEGIN RAISE NOTICE '%', (SELECT string_agg(note, ',') FROM members); END $$;
