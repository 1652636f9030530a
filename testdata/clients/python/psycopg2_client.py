import io
import threading
import time

import psycopg2
import psycopg2.extensions
import psycopg2.extras
from steps import DATABASE, ENDLESS, HOST, PASSWORD, PORT, USER, after_failure, end, equal, fails, step, threads


def connect(**more):
    return psycopg2.connect(host=HOST, port=PORT, user=USER, password=PASSWORD, dbname=DATABASE, **more)


def one(conn, sql, args=None):
    with conn.cursor() as cursor:
        cursor.execute(sql, args)
        return cursor.fetchone()[0]


conn = connect()
after_failure.append(conn.rollback)


@step("rows of all types")
def _():
    with conn, conn.cursor() as c:
        c.execute("DELETE FROM items")
        c.execute(
            "INSERT INTO items (name, n, price, data, tags, raw, at) VALUES (%s, %s, %s, %s, %s, %s, to_timestamp(0)) RETURNING name, n",
            ("it's", 7, "1.50", psycopg2.extras.Json({"a": [1]}), [1, 2], psycopg2.Binary(b"\x00\xff'\\")),
        )
        equal(c.fetchone(), ("it's", 7))
        c.execute("SELECT price::text, data, tags, raw, extract(epoch FROM at)::int FROM items WHERE n = %s", (7,))
        price, data, tags, raw, at = c.fetchone()
        equal((price, data, tags, bytes(raw), at), ("1.50", {"a": [1]}, [1, 2], b"\x00\xff'\\", 0))


@step("executemany, execute_batch, execute_values")
def _():
    with conn, conn.cursor() as c:
        c.executemany("INSERT INTO items (name, n) VALUES (%s, %s)", [("many", i) for i in range(50)])
        psycopg2.extras.execute_batch(c, "INSERT INTO items (name, n) VALUES (%s, %s)", [("batch", i) for i in range(250)])
        got = psycopg2.extras.execute_values(c, "INSERT INTO items (name, n) VALUES %s RETURNING n", [("values", i) for i in range(300)], page_size=1000, fetch=True)
        equal(len(got), 300)
        c.execute("SELECT name, count(*) FROM items WHERE name IN ('many', 'batch', 'values') GROUP BY 1 ORDER BY 1")
        equal(c.fetchall(), [("batch", 250), ("many", 50), ("values", 300)])


@step("a transaction is rolled back")
def _():
    c = conn.cursor()
    c.execute("INSERT INTO items (name) VALUES ('undone')")
    conn.rollback()
    equal(one(conn, "SELECT count(*) FROM items WHERE name = 'undone'"), 0)
    conn.commit()


@step("savepoints")
def _():
    with conn, conn.cursor() as c:
        c.execute("SAVEPOINT s")
        fails(psycopg2.errors.DivisionByZero, c.execute, "SELECT 1/0")
        fails(psycopg2.errors.InFailedSqlTransaction, c.execute, "SELECT 1")
        c.execute("ROLLBACK TO SAVEPOINT s")
        c.execute("SELECT 5")
        equal(c.fetchone()[0], 5)


@step("errors have their SQLSTATE, and the session goes on")
def _():
    e = fails(psycopg2.errors.UndefinedTable, one, conn, "SELECT * FROM nowhere_to_be_found")
    equal(e.pgcode, "42P01")
    conn.rollback()
    equal(one(conn, "SELECT 1"), 1)
    conn.rollback()


@step("several statements in one message")
def _():
    with conn, conn.cursor() as c:
        c.execute("SELECT 1; SELECT 2; SELECT 3")
        equal(c.fetchone()[0], 3)


@step("a server-side cursor")
def _():
    with conn, conn.cursor(name="rows") as c:
        c.itersize = 70
        c.execute("SELECT g, repeat('x', 100) FROM generate_series(1, 1000) g")
        equal(sum(row[0] for row in c), 500500)


@step("a server-side cursor that scrolls")
def _():
    with conn, conn.cursor(name="scrolls", scrollable=True) as c:
        c.execute("SELECT g FROM generate_series(1, 100) g")
        equal(c.fetchmany(5)[-1][0], 5)
        c.scroll(10)
        equal(c.fetchone()[0], 16)
        c.scroll(0, mode="absolute")
        equal(c.fetchone()[0], 1)


@step("a cursor WITH HOLD survives its transaction")
def _():
    c = conn.cursor(name="held", withhold=True)
    c.execute("SELECT g FROM generate_series(1, 100) g")
    equal(len(c.fetchmany(10)), 10)
    conn.commit()
    equal(one(conn, "SELECT 1"), 1)
    conn.commit()
    equal(len(c.fetchmany(200)), 90)
    c.close()
    conn.commit()


@step("COPY in and out")
def _():
    with conn, conn.cursor() as c:
        c.copy_expert("COPY items (name, n) FROM STDIN", io.StringIO("".join(f"copied\t{i}\n" for i in range(5000))))
        equal(c.rowcount, 5000)
        out = io.StringIO()
        c.copy_expert("COPY (SELECT n FROM items WHERE name = 'copied') TO STDOUT (FORMAT csv)", out)
        equal(out.getvalue().count("\n"), 5000)
        c.copy_from(io.StringIO("copied|1\ncopied|\\N\n"), "items", sep="|", columns=("name", "n"))


@step("COPY that fails on either side")
def _():
    c = conn.cursor()
    fails(psycopg2.errors.InvalidTextRepresentation, c.copy_expert, "COPY items (n) FROM STDIN", io.StringIO("1\nnot a number\n"))
    conn.rollback()

    class Broken:
        def read(self, _):
            raise OSError("the file ends here")

    fails(psycopg2.errors.QueryCanceled, c.copy_expert, "COPY items (n) FROM STDIN", Broken())
    conn.rollback()
    equal(one(conn, "SELECT 1"), 1)
    conn.rollback()


@step("cancel")
def _():
    timer = threading.Timer(0.3, conn.cancel)
    timer.start()
    fails(psycopg2.errors.QueryCanceled, one, conn, ENDLESS)
    conn.rollback()
    equal(one(conn, "SELECT 3"), 3)
    conn.rollback()


@step("statement_timeout at start-up and by SET")
def _():
    c = connect(options="-c statement_timeout=300 -c lock_timeout=5s")
    fails(psycopg2.errors.QueryCanceled, one, c, ENDLESS)
    c.rollback()
    equal(one(c, "SHOW lock_timeout"), "5s")
    one(c, "SET statement_timeout = 0; SELECT 1")
    c.commit()
    equal(one(c, "SHOW statement_timeout"), "0")
    c.close()


@step("run-time parameters hold for one session alone")
def _():
    a, b = connect(application_name="a"), connect(application_name="b")
    a.autocommit = b.autocommit = True
    a.cursor().execute("SET DateStyle = 'German'")
    b.cursor().execute("SET TimeZone = 'Asia/Tokyo'")
    for _ in range(5):
        equal(one(a, "SELECT current_setting('DateStyle') || current_setting('application_name')"), "German, DMYa")
        equal(one(b, "SELECT current_setting('TimeZone') || current_setting('application_name')"), "Asia/Tokyob")
        equal(one(b, "SHOW DateStyle"), "ISO, MDY")
    equal(b.get_parameter_status("TimeZone"), "Asia/Tokyo")
    a.close(), b.close()


@step("isolation level, read only, deferrable")
def _():
    c = connect()
    c.set_session(isolation_level="SERIALIZABLE", readonly=True, deferrable=True)
    equal(one(c, "SELECT current_setting('transaction_isolation') || current_setting('transaction_read_only')"), "serializableon")
    fails(psycopg2.errors.ReadOnlySqlTransaction, c.cursor().execute, "DELETE FROM items")
    c.rollback()
    c.set_session(readonly=True, autocommit=True)
    equal(one(c, "SHOW transaction_read_only"), "on")
    c.close()


@step("temporary tables of two sessions")
def _():
    a, b = connect(), connect()
    for c, n in ((a, 1), (b, 2)):
        c.cursor().execute("CREATE TEMP TABLE scratch (n int)")
        c.cursor().execute("INSERT INTO scratch VALUES (%s)", (n,))
        equal(one(c, "SELECT n FROM scratch"), n)
        c.cursor().execute("DROP TABLE scratch")
        c.commit()
    fails(psycopg2.errors.UndefinedTable, one, b, "SELECT n FROM scratch")
    a.close(), b.close()


@step("a temporary table lasts as long as its session")
def _():
    a = connect()
    a.cursor().execute("CREATE TEMP TABLE lasting (n int); INSERT INTO lasting VALUES (1)")
    a.commit()
    equal(one(a, "SELECT n FROM lasting"), 1)
    a.commit()
    a.close()
    fails(psycopg2.errors.UndefinedTable, one, conn, "SELECT n FROM lasting")
    conn.rollback()


@step("notices")
def _():
    with conn, conn.cursor() as c:
        del conn.notices[:]
        c.execute("CREATE TEMP TABLE noticed (n int) ON COMMIT DROP")
        c.execute("CREATE TEMP TABLE IF NOT EXISTS noticed (n int)")
        equal(len(conn.notices), 1)


@step("threads on connections of their own")
def _():
    def worker(i):
        c = connect()
        for k in range(15):
            with c, c.cursor() as cursor:
                cursor.execute("SELECT %s * 100 + %s", (i, k))
                equal(cursor.fetchone()[0], i * 100 + k)
        c.close()

    threads(12, worker)


@step("a large value")
def _():
    equal(one(conn, "SELECT length(%s)", ("z" * 5_000_000,)), 5_000_000)
    conn.commit()


@step("psycopg2's own type look-ups")
def _():
    psycopg2.extras.register_default_json(conn)
    psycopg2.extras.register_uuid(conn_or_curs=conn)
    equal(psycopg2.extras.HstoreAdapter.get_oids(conn), ((), ()))
    conn.rollback()


@step("a bad password is 28P01")
def _():
    e = fails(psycopg2.OperationalError, psycopg2.connect, host=HOST, port=PORT, user=USER, password="wrong", dbname=DATABASE)
    equal("password authentication failed" in str(e), True)


@step("a table is made, changed and dropped", creates=True)
def _():
    with conn, conn.cursor() as c:
        c.execute("CREATE TABLE made_psycopg2 (i int)")
        c.execute("ALTER TABLE made_psycopg2 ADD t text DEFAULT 'x'")
        c.execute("CREATE INDEX ON made_psycopg2 (i); INSERT INTO made_psycopg2 VALUES (1)")
        c.execute("SELECT t FROM made_psycopg2")
        equal(c.fetchone()[0], "x")
        c.execute("DROP TABLE made_psycopg2")


@step("LISTEN and NOTIFY")
def _():
    a, b = connect(), connect()
    a.autocommit = b.autocommit = True
    a.cursor().execute("LISTEN psycopg2")
    b.cursor().execute("NOTIFY psycopg2, 'word'")
    for _ in range(50):
        a.poll()
        if a.notifies:
            break
        time.sleep(0.1)
    equal(a.notifies[0].payload, "word")
    a.close(), b.close()


@step("advisory locks of a session")
def _():
    a, b = connect(), connect()
    equal(one(a, "SELECT pg_try_advisory_lock(4711)"), True)
    a.commit()
    equal(one(b, "SELECT pg_try_advisory_lock(4711)"), False)
    b.commit()
    equal(one(a, "SELECT pg_advisory_unlock(4711)"), True)
    a.commit()
    equal(one(b, "SELECT pg_try_advisory_lock(4711)"), True)
    b.commit()
    a.close(), b.close()


end()
