# DBD::Pg.
use strict;
use warnings;
use DBI;
use DBD::Pg qw(:async :pg_types);

my $dsn = "dbi:Pg:dbname=$ENV{PGDATABASE};host=$ENV{PGHOST};port=$ENV{PGPORT}";
my $may_create = $ENV{CLIENT_LOGIN} ne 'tenant';
my $endless = 'SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b';    # runs until it is cancelled
$| = 1;

sub connect_with {
    return DBI->connect($dsn, $ENV{PGUSER}, $ENV{PGPASSWORD}, { RaiseError => 1, PrintError => 0, AutoCommit => 1, @_ });
}

sub step {
    my ($name, $run) = @_;
    my $ok = eval {
        local $SIG{ALRM} = sub { die "timed out\n" };
        alarm 30;
        $run->();
        1;
    };
    my $why = $@;
    alarm 0;
    return print "ok $name\n" if $ok;
    $why =~ s/\n.*//s;
    print "not ok $name: $why\n";
}

sub equal {
    my ($got, $want) = @_;
    die "got $got, want $want\n" unless $got eq $want;
}

my $db = connect_with();
step 'rows' => sub {
    $db->do('DELETE FROM items');
    my $insert = $db->prepare('INSERT INTO items (name, n) VALUES (?, ?) RETURNING n');
    for (1 .. 30) { $insert->execute("x$_", $_); equal(($insert->fetchrow_array)[0], $_) }
    equal($db->do('UPDATE items SET name = ? WHERE n <= ?', undef, 'y', 10), 10);
};
step 'bytes' => sub {
    my $insert = $db->prepare('INSERT INTO items (n, raw) VALUES (99, ?)');
    $insert->bind_param(1, "\x00\xff'\\", { pg_type => PG_BYTEA });
    $insert->execute;
    equal(unpack('H*', ($db->selectrow_array('SELECT raw FROM items WHERE n = 99'))[0]), '00ff275c');
};
step 'arrays' => sub {
    my ($tags) = $db->selectrow_array('SELECT ?::int[]', undef, [ 1, 2, 3 ]);
    equal("@$tags", '1 2 3');
};
step 'without server-side preparation' => sub {
    my $e = connect_with(pg_server_prepare => 0);
    equal(($e->selectrow_array('SELECT ?::int + 1', undef, 3))[0], 4) for 1 .. 5;
};
step 'prepared at once' => sub {
    my $e = connect_with(pg_switch_prepared => 1);
    my $select = $e->prepare('SELECT ?::int');
    for (1 .. 20) { $select->execute($_); equal(($select->fetchrow_array)[0], $_) }
};
step 'statements end in two connections' => sub {
    for my $round (1 .. 3) {
        my ($e, $f) = map { connect_with(pg_switch_prepared => 1) } 1 .. 2;
        my $x = $e->prepare("SELECT 'e' || ?::text");
        my $y = $f->prepare("SELECT 'f' || ?::text");
        for (1 .. 4) {
            $x->execute($_); equal(($x->fetchrow_array)[0], "e$_");
            $y->execute($_); equal(($y->fetchrow_array)[0], "f$_");
        }
        undef $x;    # DEALLOCATE
        undef $y;
        $_->disconnect for $e, $f;
    }
};
step 'transactions' => sub {
    my $e = connect_with(AutoCommit => 0);
    $e->do("INSERT INTO items (name) VALUES ('undone')");
    $e->rollback;
    equal(($e->selectrow_array("SELECT count(*) FROM items WHERE name = 'undone'"))[0], 0);
    $e->commit;
    $e->disconnect;
};
step 'savepoints' => sub {
    $db->begin_work;
    $db->pg_savepoint('s');
    eval { $db->do('SELECT 1/0') };
    equal($db->state, '22012');
    $db->pg_rollback_to('s');
    equal(($db->selectrow_array('SELECT 1'))[0], 1);
    $db->commit;
};
step 'COPY in and out' => sub {
    $db->do('COPY items (name) FROM STDIN');
    $db->pg_putcopydata("copied$_\n") for 1 .. 2000;
    $db->pg_putcopyend;
    $db->do("COPY (SELECT name FROM items WHERE name LIKE 'copied%') TO STDOUT");
    my ($n, $line) = (0, '');
    $n++ while $db->pg_getcopydata($line) >= 0;
    equal($n, 2000);
};
step 'an asynchronous statement is cancelled' => sub {
    $db->do($endless, { pg_async => PG_ASYNC });
    select(undef, undef, undef, 0.3);
    equal($db->pg_cancel ? 1 : 0, 1);
    equal(($db->selectrow_array('SELECT 7'))[0], 7);
};
step 'a cursor' => sub {
    $db->begin_work;
    $db->do('DECLARE k CURSOR FOR SELECT g FROM generate_series(1, 100) g');
    equal(scalar @{ $db->selectall_arrayref('FETCH 10 FROM k') }, 10);
    $db->commit;
};
step 'metadata' => sub {
    $db->table_info('', 'public', 'items', 'TABLE')->fetchall_arrayref;
    equal(scalar @{ $db->column_info('', 'public', 'items', '%')->fetchall_arrayref }, 9);
    equal(join(' ', $db->primary_key('', 'public', 'items')), 'tenant_id id');
    $db->foreign_key_info(undef, undef, 'items', undef, undef, undef);
    $db->statistics_info(undef, 'public', 'items', 0, 0)->fetchall_arrayref;
};
step 'a ping, in and outside a transaction' => sub {
    equal($db->pg_ping > 0 ? 1 : 0, 1);
    $db->begin_work;
    equal($db->ping > 0 ? 1 : 0, 1);
    $db->rollback;
};
step 'LISTEN and NOTIFY' => sub {
    my $e = connect_with();
    $db->do('LISTEN dbd');
    $e->do("NOTIFY dbd, 'word'");
    my $got;
    for (1 .. 50) {
        $db->do('SELECT 1');
        last if $got = $db->pg_notifies;
        select(undef, undef, undef, 0.1);
    }
    equal($got->[2], 'word');
};
if ($may_create) {
    step 'a table of its own' => sub {
        $db->do('CREATE TABLE made_perl (i int)');
        $db->do('INSERT INTO made_perl VALUES (1)');
        equal(($db->selectrow_array('SELECT i FROM made_perl'))[0], 1);
        $db->do('DROP TABLE made_perl');
    };
} else {
    print "skip a table of its own: creates objects\n";
}
