-- pgbench's tables with a tenant column. Ids are unique over all tenants, so
-- that the same statement finds the same row with and without tenancy. Each of
-- the :tenants tenants has as many rows.
CREATE TABLE pgbench_branches (tenant_id int NOT NULL, bid int PRIMARY KEY, bbalance int NOT NULL DEFAULT 0, filler char(88)) WITH (fillfactor = 90);
CREATE TABLE pgbench_tellers (tenant_id int NOT NULL, tid int PRIMARY KEY, bid int NOT NULL, tbalance int NOT NULL DEFAULT 0, filler char(84)) WITH (fillfactor = 90);
CREATE TABLE pgbench_accounts (tenant_id int NOT NULL, aid int PRIMARY KEY, bid int NOT NULL, abalance int NOT NULL DEFAULT 0, filler char(84)) WITH (fillfactor = 90);
CREATE TABLE pgbench_history (tenant_id int NOT NULL, tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));

INSERT INTO pgbench_branches (tenant_id, bid) SELECT t, (t - 1) * 20 + i FROM generate_series(1, :tenants) t, generate_series(1, 20) i;
INSERT INTO pgbench_tellers (tenant_id, tid, bid) SELECT t, (t - 1) * 200 + i, (t - 1) * 20 + 1 + i % 20 FROM generate_series(1, :tenants) t, generate_series(1, 200) i;
INSERT INTO pgbench_accounts (tenant_id, aid, bid, filler)
	SELECT t, (t - 1) * 5000 + i, (t - 1) * 20 + 1 + i % 20, '' FROM generate_series(1, :tenants) t, generate_series(1, 5000) i;
CREATE INDEX ON pgbench_branches (tenant_id, bid);
CREATE INDEX ON pgbench_tellers (tenant_id, tid);
CREATE INDEX ON pgbench_accounts (tenant_id, aid);
CREATE INDEX ON pgbench_history (tenant_id, mtime);

-- What crowds read: :crowdRows rows for a crowd of 1, of 50 and of :tenants tenants
-- each. Crowds that read more rows, or more of a larger table, would find fewer of
-- them in the processor's cache, whoever they are of.
CREATE TABLE crowd_accounts (tenant_id int NOT NULL, aid int PRIMARY KEY, abalance int NOT NULL DEFAULT 0, filler char(84));
INSERT INTO crowd_accounts (tenant_id, aid, filler)
	SELECT (i - 1) * crowd / :crowdRows + 1, crowd * 1000000 + i, '' FROM unnest(ARRAY[1, 50, :tenants]) crowd, generate_series(1, :crowdRows) i;
CREATE INDEX ON crowd_accounts (tenant_id, aid);

-- What is read in bulk and copied out is the first tenant's: 64 MiB in rows of
-- about 128 bytes.
CREATE TABLE lines (tenant_id int NOT NULL, id int PRIMARY KEY, placed date NOT NULL, amount numeric NOT NULL, note text NOT NULL);
INSERT INTO lines SELECT 1, i, date '2026-01-01' + i % 365, i / 100.0, repeat(md5(i::text), 3) FROM generate_series(1, 524288) i;
INSERT INTO lines SELECT 2, i, date '2026-01-01', 0, 'another tenant''s' FROM generate_series(600001, 601000) i;
CREATE INDEX ON lines (tenant_id, id);

-- What is copied in and inserted.
CREATE TABLE lines_in (tenant_id int NOT NULL, id int NOT NULL, placed date NOT NULL, amount numeric NOT NULL, note text NOT NULL);
CREATE INDEX ON lines_in (tenant_id, id);
