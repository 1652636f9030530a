# psql: scripts, meta-commands, variables, COPY, interrupts.
. "$(dirname "$0")/steps.sh"

step 'one statement' prints 1 q -c 'SELECT 1'
step 'several -c of several statements' prints $'1\n2\n3' q -c 'SELECT 1' -c 'SELECT 2; SELECT 3'
# All meta-commands in one session; \warn tells whose the errors behind it are.
commands=(d d+ 'd items' 'd+ items' dt dt+ di dv dm ds df dT dD dn dn+ du dg dx db dp ddp dL dC dO do dE dF dFd dFp dFt dAc dAf
	dRp dRs des deu dew dX dP dP+ di+ dm+ dv+ ds+ l l+ conninfo encoding z)
for command in "${commands[@]}"; do
	printf '\\warn == %s\n\\%s\n' "$command" "$command"
done | psql -X -q >/dev/null 2>errors
for command in "${commands[@]}"; do
	step "\\$command" awk -v wanted="== $command" '
		/^== / { mine = $0 == wanted }
		mine && /ERROR/ { print; failed = 1 }
		END { exit failed }' errors
done

copying() {
	q -c "DELETE FROM items WHERE name = 'copied'" &&
		seq 1 5000 | sed 's/$/\tcopied/' >in.txt &&
		q -c '\copy items (n, name) FROM in.txt' -c "\copy (SELECT n FROM items WHERE name = 'copied') TO out.txt" &&
		prints 5000 grep -c . out.txt
}
export -f copying
step '\copy in and out' bash -c copying
step 'COPY FROM STDIN in a script' prints 2 fed "COPY items (n, name) FROM STDIN;
-1	script
-2	script
\\.
SELECT count(*) FROM items WHERE name = 'script';
DELETE FROM items WHERE name = 'script';
" q
step '\gdesc' prints 'a|integer
b|timestamp with time zone' fed 'SELECT 1 AS a, now() AS b \gdesc
' q
step '\gset and \if' prints 5 fed 'SELECT 1 AS v \gset
\if :v
SELECT 5;
\endif
' q
step '\gexec' prints $'1\n2' fed "SELECT 'SELECT ' || g FROM generate_series(1, 2) g \\gexec
" q
step '\crosstabview' fed "SELECT * FROM (VALUES ('a', 'x', 1), ('b', 'y', 2)) v \\crosstabview
" q
step '\watch' bash -c 'fed "SELECT 1 \\watch 0.2
" timeout 2 psql -X -q -At | grep -q 1'
step 'AUTOCOMMIT off' prints 0 fed "\\set AUTOCOMMIT off
INSERT INTO items (n) VALUES (-77);
ROLLBACK;
SELECT count(*) FROM items WHERE n = -77;
" q
step 'ON_ERROR_ROLLBACK' bash -c 'prints 42 fed "\\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT 1/0;
SELECT 42;
COMMIT;
" psql -X -q -At 2>/dev/null'
step 'FETCH_COUNT' prints 500500 bash -c 'fed "\\set FETCH_COUNT 100
SELECT g FROM generate_series(1, 1000) g;
" q | awk "{ s += \$1 } END { print s }"'
step 'single transaction of two files' bash -c 'echo "INSERT INTO items (n) VALUES (-78);" >a.sql; echo "DELETE FROM items WHERE n = -78;" >b.sql; q -1 -f a.sql -f b.sql'
step 'PREPARE and EXECUTE across transactions' prints 5 fed 'PREPARE q (int) AS SELECT $1 + 1;
SELECT 1 \g /dev/null
EXECUTE q (4);
DEALLOCATE q;
' q
step 'a temporary table across transactions' prints 9 fed 'CREATE TEMP TABLE scratch AS SELECT 9 AS x;
SELECT x FROM scratch;
DROP TABLE scratch;
' q
step 'SET across transactions' prints 'Asia/Tokyo' fed "SET TimeZone = 'Asia/Tokyo';
SHOW TimeZone;
" q
step 'PGOPTIONS' prints 4321ms env PGOPTIONS='-c statement_timeout=4321' bash -c "q -c 'SHOW statement_timeout'"
step 'PGTZ and PGDATESTYLE' prints $'Asia/Tokyo\nGerman, DMY' env PGTZ=Asia/Tokyo PGDATESTYLE=German bash -c "q -c 'SHOW TimeZone' -c 'SHOW DateStyle'"
step 'a connection URI with application_name' prints 'cli x' bash -c "psql 'postgresql:///?application_name=cli%20x' -X -q -At -c 'SHOW application_name'"
step 'client_encoding' prints UTF8 env PGCLIENTENCODING=UTF8 bash -c "q -c 'SHOW client_encoding'"
step 'another client_encoding' prints LATIN1 env PGCLIENTENCODING=LATIN1 bash -c "q -c 'SHOW client_encoding'"
step 'a large result' prints 20020000 bash -c "q -c \"SELECT repeat('x', 1000) FROM generate_series(1, 20000)\" | wc -c"
interrupted() {
	q -c 'SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b' >out 2>&1 &
	local running=$! status
	sleep 0.5
	kill -INT -- -$running
	wait $running
	status=$?
	grep -q 'canceling statement due to user request' out || { echo "status $status: $(cat out)"; return 1; }
}
export -f interrupted
step 'an interrupt cancels' bash -c 'set -m; interrupted'
step 'pg_isready' pg_isready
creates 'every kind of object' q -1 -f "$here/objects.sql"
creates 'they are gone again' q -c 'SET client_min_messages = warning; DROP SCHEMA made_cli CASCADE'
