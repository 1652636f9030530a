-- G. Statistics, catalogs and counters.

-- G1. pg_stats
--! rls rewrite both: 42501 relation.system
--= rls: harmless, the view hides tables with policies
--= rewrite: shows
SELECT most_common_vals, histogram_bounds FROM pg_stats WHERE tablename = 'members';

-- G1. pg_stats in its schema
--! rls rewrite both: 42501 relation.system
--= rls: tells
--= rewrite: shows
SELECT * FROM pg_catalog.pg_stats WHERE tablename = 'patients';

-- G2. pg_stats of a table without policies
--! rls rewrite both: 42501 relation.system
--= rls rewrite: shows
SELECT most_common_vals FROM pg_stats WHERE tablename = 'jobs';

-- G2. pg_stats of a materialized view
--! rls rewrite both: 42501 relation.system
--= rls rewrite: tells
SELECT histogram_bounds FROM pg_stats WHERE tablename = 'patient_names';

-- G3. pg_stats_ext
--! rls rewrite both: 42501 relation.system
--= rls rewrite: harmless, the view shows the owner alone what is in it
SELECT * FROM pg_stats_ext;

-- G3. pg_stats_ext_exprs
--! rls rewrite both: 42501 relation.system
--= rls rewrite: harmless, the view shows the owner alone what is in it
SELECT * FROM pg_stats_ext_exprs;

-- G4. pg_statistic
--= rls rewrite: harmless, the role may not
SELECT * FROM pg_statistic;

-- G4. pg_shadow
--= rls rewrite: harmless, the role may not
SELECT * FROM pg_shadow;

-- G4. pg_authid
--= rls rewrite: harmless, the role may not
SELECT rolpassword FROM pg_authid;

-- G4. pg_hba_file_rules
--= rls rewrite: harmless, the role may not
SELECT * FROM pg_hba_file_rules;

-- G4. pg_subscription
--= rls rewrite: harmless, the role may not
SELECT * FROM pg_subscription;

-- G5. pg_stat_activity
--! rls rewrite both: 42501 relation.system
--= rls rewrite: shows
SELECT query FROM pg_stat_activity;

-- G5. pg_stat_get_activity
--! rls rewrite both: 42501 function.activity
--= rls rewrite: shows
SELECT query FROM pg_stat_get_activity(NULL);

-- G5. pg_stat_get_backend_activity
--! rls rewrite both: 42501 function.activity
--= rls rewrite: shows
SELECT pg_stat_get_backend_activity(n) FROM pg_stat_get_backend_idset() n;

-- G5. pg_stat_get_backend_activity as a column
--! rls rewrite both: 42501 function.column_notation
--= rls rewrite: shows
SELECT n.pg_stat_get_backend_activity FROM generate_series(1, 20) n;

-- G5. pg_stat_activity in a sub-select
--! rls rewrite both: 42501 relation.system
--= rls rewrite: unseen, it gives no rows either way
SELECT count(*) FROM patients WHERE {t} EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%2%');

-- G5. pg_stat_ssl
--! rls rewrite both: 42501 relation.system
--= rls: unseen, there is one session, as with the tenant alone
--= rewrite: tells
SELECT pid FROM pg_stat_ssl;

-- G6. pg_stat_statements_reset
--! rls rewrite both: 42501 function.unlisted
--= rls rewrite: harmless, there is no such function
SELECT pg_stat_statements_reset();

-- G7. the size of a table
--! rls rewrite both: other, sizes are told as NULL
--= rls rewrite: unseen, so few rows take one page in both databases
SELECT pg_relation_size('members');

-- G7. the size of a table with all that belongs to it
--! rls rewrite both: other, sizes are told as NULL
--= rls rewrite: unseen, so few rows take one page in both databases
SELECT pg_total_relation_size('members'), pg_table_size('members'), pg_indexes_size('members');

-- G7. the size of the database
--! rls rewrite both: other, sizes are told as NULL
--= rls rewrite: tells
SELECT pg_database_size(current_database());

-- G7. the size of a schema's tables, by psql's \d+
--! rls rewrite both: other, sizes are told as NULL
--= rls rewrite: unseen, so few rows take one page in both databases
SELECT pg_catalog.pg_size_pretty(pg_catalog.pg_table_size(c.oid)) FROM pg_class c WHERE relname = 'members';

-- G7. pg_stat_user_tables
--! rls rewrite both: 42501 relation.system
--= rls rewrite: tells
SELECT relname, n_live_tup FROM pg_stat_user_tables;

-- G7. pg_stat_get_live_tuples
--! rls rewrite both: 42501 function.activity
--= rls rewrite: tells
SELECT pg_stat_get_live_tuples('members'::regclass);

-- G7. pg_stat_get_tuples_inserted
--! rls rewrite both: 42501 function.activity
--= rls rewrite: tells
SELECT pg_stat_get_tuples_inserted('members'::regclass);

-- G7. pg_statio_user_tables
--! rls rewrite both: 42501 relation.system
--= rls rewrite: tells
SELECT * FROM pg_statio_user_tables;

-- G7. pg_stat_database
--! rls rewrite both: 42501 relation.system
--= rls: unseen, the statistics are not there yet
--= rewrite: tells
SELECT xact_commit FROM pg_stat_database;

-- G7. pg_stat_user_indexes
--! rls rewrite both: 42501 relation.system
--= rls rewrite: tells
SELECT * FROM pg_stat_user_indexes;

-- G7. pg_stat_progress_copy
--! rls rewrite both: 42501 relation.system
--= rls rewrite: unseen, nothing is in progress
SELECT * FROM pg_stat_progress_copy;

-- G8. pg_locks
--! rls rewrite both: 42501 relation.system
--= rls rewrite: tells
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database());

-- G8. pg_lock_status
--! rls rewrite both: 42501 function.activity
--= rls rewrite: tells
SELECT * FROM pg_lock_status();

-- G8. pg_blocking_pids
--! rls rewrite both: 42501 function.activity
--= rls rewrite: unseen, nobody waits
SELECT pg_blocking_pids(1);

-- G9. a sequence as a table
--! rls rewrite both: 42501 relation.denied
--= rls rewrite: tells
SELECT last_value FROM tickets;

-- G9. pg_sequences
--! rls rewrite both: 42501 relation.system
--= rls rewrite: tells
SELECT last_value FROM pg_sequences;

-- G9. pg_sequence_last_value
--! rls rewrite both: 42501 function.sequence
--= rls rewrite: tells
SELECT pg_sequence_last_value('tickets');

-- G10. ctid
--= rls: unseen, the first row is the tenant's own
--= rewrite: tells
SELECT ctid FROM members;

-- G10. xmin
--! rls rewrite both: open, transactions are counted for all tenants
--= rls rewrite: tells
SELECT xmin, xmax, cmin FROM members;

-- G10. a row by its ctid
--= rls: harmless, policies hold
--= rewrite: shows
SELECT note FROM members WHERE ctid IN ('(0,2)', '(0,3)');

-- G10. tableoid
--= rls: harmless, policies hold
--= rewrite: tells
SELECT tableoid::regclass FROM events;

-- G10. currtid2
--! rls rewrite both: 42501 function.position
--= rls rewrite: unseen, the first row is the tenant's own
SELECT currtid2('members', '(0,1)');

-- G10. the transaction's number
--! rls rewrite both: 42501 function.position
--= rls rewrite: tells
SELECT txid_current();

-- G10. pg_current_xact_id
--! rls rewrite both: 42501 function.position
--= rls rewrite: tells
SELECT pg_current_xact_id();

-- G10. a transaction's state
--! rls rewrite both: 42501 function.position
--= rls rewrite: unseen, it is too long ago
SELECT txid_status(3);

-- G10. the snapshot
--! rls rewrite both: 42501 function.position
--= rls: unseen, the counter stands where it stands alone
--= rewrite: tells
SELECT pg_current_snapshot();

-- G10. the snapshot exported
--! rls rewrite both: 42501 function.position
--= rls rewrite: tells
SELECT pg_export_snapshot();

-- G10. a snapshot imported
--= rls rewrite: harmless, there is no such snapshot
--! rls rewrite both: 0A000 transaction.snapshot
--@ alone
BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '00000003-0000001B-1'; COMMIT;

-- G10. the log's position
--! rls rewrite both: 42501 function.position
--= rls: unseen, the position is that of the server
--= rewrite: tells
SELECT pg_current_wal_lsn();

-- G10. a transaction's time
--! rls rewrite both: 42501 function.position
--= rls rewrite: harmless, PostgreSQL is not prepared for it
SELECT pg_xact_commit_timestamp('3'::xid);

-- G11. privileges of the role
--= rls rewrite: harmless, roles are those of the server
SELECT rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid WHERE pg_has_role('clinic_app', m.member, 'MEMBER');

-- G11. settings stored for roles
--= rls rewrite: unseen, there are none
SELECT * FROM pg_db_role_setting;

-- G11. options of foreign servers
--= rls rewrite: unseen, there are none
SELECT srvoptions FROM pg_foreign_server;

-- G11. pg_file_settings
--= rls rewrite: harmless, the role may not
SELECT * FROM pg_file_settings;

-- G11. pg_config
--= rls rewrite: harmless, the role may not
SELECT * FROM pg_config;

-- G12. temporary tables of other sessions
--= rls rewrite: harmless, there is no such relation
SELECT * FROM pg_temp_3.t;

-- G13. prepared transactions
--! rls rewrite both: 42501 relation.system
--= rls rewrite: unseen, there are none
SELECT gid FROM pg_prepared_xacts;

-- G13. replication slots
--! rls rewrite both: 42501 relation.system
--= rls rewrite: unseen, there are none
SELECT slot_name FROM pg_replication_slots;

-- G13. pg_stat_replication
--! rls rewrite both: 42501 relation.system
--= rls rewrite: unseen, there is none
SELECT * FROM pg_stat_replication;

-- G13. pg_publication_tables
--! rls rewrite both: 42501 relation.system
--= rls rewrite: unseen, there are none
SELECT * FROM pg_publication_tables;

-- G13. a relation of another extension
--= rls rewrite: harmless, there is no such relation
SELECT * FROM pg_buffercache;

-- G2. what a statistics object holds
--! rls rewrite both: 42501
--= rls rewrite: harmless, PostgreSQL refuses it
SELECT i.* FROM pg_statistic_ext_data d, LATERAL pg_mcv_list_items(d.stxdmcv) i;

-- G5. the server's memory
--! rls rewrite both: 42501
--= rls rewrite: harmless, PostgreSQL refuses it
SELECT sum(total_bytes) > 0 FROM pg_backend_memory_contexts;

-- G5. the server's shared memory
--! rls rewrite both: 42501
--= rls rewrite: harmless, PostgreSQL refuses it
SELECT count(*) > 0 FROM pg_shmem_allocations;

-- G5. another session's memory in the server's log
--! rls rewrite both: 42501
--= rls rewrite: harmless, PostgreSQL refuses it
SELECT pg_log_backend_memory_contexts(pg_backend_pid());

-- G10. a message in the write-ahead log
--! rls rewrite both: 42501
--= rls rewrite: unseen, nobody decodes it
SELECT pg_logical_emit_message(false, 'x', 'y') IS NOT NULL;

-- G7. maintenance of an index by a function
--! rls rewrite both: 42501
--= rls rewrite: harmless, PostgreSQL refuses it
SELECT gin_clean_pending_list('members_name_idx'), brin_summarize_new_values('members_name_idx');

-- G11. the server's address
--= rls rewrite: unseen, it is the same for all
SELECT inet_server_port() IS NOT NULL, pg_postmaster_start_time() IS NOT NULL;
