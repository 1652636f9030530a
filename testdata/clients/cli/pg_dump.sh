# pg_dump and pg_restore; for logins that may, of whole schemas and with jobs,
# and the maintenance commands.
. "$(dirname "$0")/steps.sh"

q -c "DELETE FROM items WHERE name LIKE 'dumped%'" -c "INSERT INTO items (name, n) SELECT 'dumped' || g, g FROM generate_series(1, 200) g"

dump_and_restore() {
	pg_dump --data-only --enable-row-security -t items "$@" -f items.sql &&
		q -c 'DELETE FROM items' &&
		q -f items.sql >/dev/null &&
		prints 200 q -c "SELECT count(*) FROM items WHERE name LIKE 'dumped%'"
}
export -f dump_and_restore
step 'data of a table, with COPY' bash -c 'dump_and_restore'
step 'data of a table, with INSERT' bash -c 'dump_and_restore --inserts --rows-per-insert=50'
custom() {
	pg_dump --data-only --enable-row-security -t items -Fc -f items.dump &&
		q -c 'DELETE FROM items' &&
		pg_restore --data-only --enable-row-security -d "$PGDATABASE" items.dump &&
		prints 200 q -c "SELECT count(*) FROM items WHERE name LIKE 'dumped%'"
}
export -f custom
step 'data in the custom format, with pg_restore' bash -c custom

made() { q -c 'SET client_min_messages = warning; DROP SCHEMA IF EXISTS made_cli CASCADE' && q -1 -f "$here/objects.sql"; }
gone() { q -c 'SET client_min_messages = warning; DROP SCHEMA IF EXISTS made_cli CASCADE'; }
export -f made gone
export here
creates 'a schema, as SQL' bash -c 'made && pg_dump -n made_cli -f all.sql && gone && q -f all.sql >/dev/null && prints 500 q -c "SELECT count(*) FROM made_cli.a"'
creates 'a schema, in the custom format' bash -c 'pg_dump -Fc -n made_cli -f d.fc && gone && pg_restore -1 --no-owner -d "$PGDATABASE" d.fc'
creates 'a directory, two jobs with one snapshot' bash -c 'pg_dump -Fd -j2 -n made_cli -f d.dir && gone && pg_restore -j2 --no-owner -d "$PGDATABASE" d.dir'
creates 'the whole schema' pg_dump -s -f s.sql
creates 'pg_dumpall of the globals' pg_dumpall -g --no-role-passwords -f g.sql
creates 'vacuumdb' vacuumdb -q -z -t made_cli.a
creates 'reindexdb' reindexdb -q -t made_cli.a
creates 'clusterdb' clusterdb -q -t made_cli.a
creates 'createdb and dropdb' bash -c 'createdb -T template0 made_cli_db && dropdb made_cli_db'
step 'no search_path is left behind' bash -c 'for i in 1 2 3 4 5 6; do q -c "SHOW search_path"; done | grep -c public | grep -qx 6'
creates 'the schema is dropped' bash -c gone
