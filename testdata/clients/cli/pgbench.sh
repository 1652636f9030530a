# pgbench in every query mode, with scripts that transactions, savepoints and
# pipelines are in. A thread for each client: pgbench prepares statements and
# connects without looking at its other clients, and one of those may be in the
# transaction that the server connection is needed for.
. "$(dirname "$0")/steps.sh"

step 'rows' q -c 'DELETE FROM items' -c "INSERT INTO items (name, n, price) SELECT 'bench', g, 0 FROM generate_series(1, 100) g"
for mode in simple extended prepared; do
	step "$mode, a script of all kinds" pgbench -n -M $mode -c 6 -j 6 -t 20 -f "$here/mixed.pgbench"
	step "$mode, more clients than server connections" pgbench -n -M $mode -c 30 -j 30 -t 10 -f "$here/mixed.pgbench"
	step "$mode, a connection for each transaction" pgbench -n -C -M $mode -c 4 -j 4 -t 5 -f "$here/mixed.pgbench"
done
for mode in extended prepared; do
	step "$mode, pipelines" pgbench -n -M $mode -c 6 -j 6 -t 20 -f "$here/pipeline.pgbench"
done
step 'serializable, with retries' pgbench -n -c 4 -j 4 -t 20 --max-tries=30 -f "$here/serializable.pgbench"
step 'at a rate' pgbench -n -R 100 -c 4 -j 4 -T 2 -f "$here/mixed.pgbench"
for mode in simple extended prepared; do
	creates "$mode, initialised and TPC-B-like" bash -c "pgbench -i -q -s 1 && pgbench -n -M $mode -c 8 -j 8 -t 20 && pgbench -n -S -M $mode -c 20 -j 20 -t 20"
done
creates 'initialised by the server' pgbench -i -q -I dtGvp -s 1
creates 'its tables are dropped' q -c 'DROP TABLE pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers'
