<?php // PDO in its three ways to prepare, and pgsql.
const ENDLESS = 'SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b'; // runs until it is cancelled
$mayCreate = getenv('CLIENT_LOGIN') !== 'tenant';
[$host, $port, $user, $password, $database] = array_map('getenv', ['PGHOST', 'PGPORT', 'PGUSER', 'PGPASSWORD', 'PGDATABASE']);
set_error_handler(function ($level, $message) { throw new ErrorException($message); });
ini_set('default_socket_timeout', '30');

function step(string $name, callable $run): void {
    try {
        $run();
        echo "ok $name\n";
    } catch (Throwable $e) {
        echo "not ok $name: " . strtok($e->getMessage(), "\n") . "\n";
    }
}

function equal(mixed $got, mixed $want): void {
    if ($got != $want) {
        throw new Exception('got ' . json_encode($got) . ', want ' . json_encode($want));
    }
}

function fails(callable $run): Throwable {
    try {
        $run();
    } catch (Throwable $e) {
        return $e;
    }
    throw new Exception('accepted');
}

function pdo(array $options = [], string $more = ''): PDO {
    global $host, $port, $user, $password, $database;
    return new PDO("pgsql:host=$host;port=$port;dbname=$database$more", $user, $password, $options + [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
}

$modes = ['native' => [], 'emulated' => [PDO::ATTR_EMULATE_PREPARES => true], 'unprepared' => [PDO::PGSQL_ATTR_DISABLE_PREPARES => true]];
foreach ($modes as $mode => $options) {
    step("PDO $mode prepared statements", function () use ($options) {
        $db = pdo($options);
        $db->exec('DELETE FROM items');
        $insert = $db->prepare('INSERT INTO items (name, n) VALUES (:name, :n)');
        for ($i = 0; $i < 30; $i++) {
            $insert->execute(['name' => "x$i", 'n' => $i]);
        }
        $select = $db->prepare('SELECT name FROM items WHERE n = ?');
        foreach ([7, 8, 9] as $n) {
            $select->execute([$n]);
            equal($select->fetchColumn(), "x$n");
        }
    });
    step("PDO $mode two connections prepare the same names", function () use ($options) {
        $a = pdo($options)->prepare("SELECT 'a' || ?::text");
        $b = pdo($options)->prepare("SELECT 'b' || ?::text");
        for ($i = 0; $i < 10; $i++) {
            foreach (['a' => $a, 'b' => $b] as $letter => $statement) {
                $statement->execute([$i]);
                equal($statement->fetchColumn(), "$letter$i");
            }
        }
    });
    step("PDO $mode transactions", function () use ($options) {
        $db = pdo($options);
        $db->beginTransaction();
        $db->exec("INSERT INTO items (name) VALUES ('undone')");
        $db->rollBack();
        equal($db->query("SELECT count(*) FROM items WHERE name = 'undone'")->fetchColumn(), 0);
    });
    step("PDO $mode errors have their SQLSTATE", function () use ($options) {
        $db = pdo($options);
        equal(fails(fn () => $db->query('SELECT * FROM nowhere_to_be_found'))->getCode(), '42P01');
        equal($db->query('SELECT 1')->fetchColumn(), 1);
    });
    step("PDO $mode COPY", function () use ($options) {
        $db = pdo($options);
        $db->exec('DELETE FROM moods');
        $db->pgsqlCopyFromArray('moods', array_map(fn ($i) => "$i\tglad\n", range(1, 500)), "\t", '\\\\N', 'id, mood');
        equal(count($db->pgsqlCopyToArray('moods', "\t", '\\\\N', 'id, mood')), 500);
        $db->exec('DELETE FROM moods');
    });
    step("PDO $mode a scrollable cursor", function () use ($options) {
        $db = pdo($options);
        $db->beginTransaction();
        $rows = $db->prepare('SELECT g FROM generate_series(1, 50) g', [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
        $rows->execute();
        $n = 0;
        while ($rows->fetch()) {
            $n++;
        }
        equal($n, 50);
        $db->commit();
    });
    step("PDO $mode bytes", function () use ($options) {
        $select = pdo($options)->prepare('SELECT ?::bytea');
        $select->bindValue(1, "\x00\xff'\\", PDO::PARAM_LOB);
        $select->execute();
        equal(bin2hex(stream_get_contents($select->fetchColumn())), '00ff275c');
    });
    if ($mayCreate) {
        step("PDO $mode a table of its own", function () use ($options) {
            $db = pdo($options);
            $db->exec('DROP TABLE IF EXISTS made_php; CREATE TABLE made_php (i int); INSERT INTO made_php VALUES (1)');
            equal($db->query('SELECT i FROM made_php')->fetchColumn(), 1);
            $db->exec('DROP TABLE made_php');
        });
    } else {
        echo "skip PDO $mode a table of its own: creates objects\n";
    }
}

step('PDO settings at start-up', function () {
    equal(pdo(more: ";options='-c statement_timeout=4321'")->query('SHOW statement_timeout')->fetchColumn(), '4321ms');
});

$where = "host=$host port=$port dbname=$database user=$user password=$password";
$c = pg_connect($where);
step('pgsql parameters', fn () => equal(pg_fetch_result(pg_query_params($c, 'SELECT $1::int + 1', [4]), 0, 0), 5));
step('pgsql prepared statements', function () use ($c) {
    pg_prepare($c, 'php', 'SELECT $1::text');
    for ($i = 0; $i < 20; $i++) {
        equal(pg_fetch_result(pg_execute($c, 'php', [$i]), 0, 0), $i);
    }
});
step('pgsql asynchronous', function () use ($c) {
    pg_send_query_params($c, 'SELECT $1::int', [9]);
    equal(pg_fetch_result(pg_get_result($c), 0, 0), 9);
    while (pg_get_result($c));
});
step('pgsql several statements', function () use ($c) {
    pg_send_query($c, 'SELECT 1; SELECT 2');
    equal([pg_fetch_result(pg_get_result($c), 0, 0), pg_fetch_result(pg_get_result($c), 0, 0)], [1, 2]);
    while (pg_get_result($c));
});
step('pgsql cancel', function () use ($c) {
    pg_send_query($c, ENDLESS);
    usleep(300000);
    pg_cancel_query($c);
    equal(pg_fetch_result(pg_query($c, 'SELECT 3'), 0, 0), 3);
});
step('pgsql copy', function () use ($c) {
    pg_query($c, 'DELETE FROM moods');
    pg_query($c, 'COPY moods (id, mood) FROM STDIN');
    pg_put_line($c, "1\tglad\n");
    pg_put_line($c, "\\.\n");
    pg_end_copy($c);
    equal(pg_fetch_result(pg_query($c, 'SELECT mood FROM moods'), 0, 0), 'glad');
});
step('pgsql meta data and helpers', function () use ($c) {
    equal(count(pg_meta_data($c, 'items')), 9);
    pg_insert($c, 'items', ['n' => 77, 'name' => "it's"]);
    equal(pg_select($c, 'items', ['n' => 77])[0]['name'], "it's");
});
step('pgsql LISTEN and NOTIFY', function () use ($c, $where) {
    pg_query($c, 'LISTEN php');
    pg_query(pg_connect($where, PGSQL_CONNECT_FORCE_NEW), "NOTIFY php, 'word'");
    for ($i = 0; $i < 50; $i++) {
        pg_query($c, 'SELECT 1');
        if ($got = pg_get_notify($c)) {
            break;
        }
        usleep(100000);
    }
    equal($got['payload'], 'word');
});
