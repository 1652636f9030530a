import asyncio
import threading
import time

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from steps import DATABASE, ENDLESS, HOST, PASSWORD, PORT, USER, after_failure, end, equal, fails, step, threads

DSN = psycopg.conninfo.make_conninfo(host=HOST, port=PORT, user=USER, password=PASSWORD, dbname=DATABASE)


def connect(**more):
    return psycopg.connect(DSN, **more)


conn = connect()
after_failure.append(conn.rollback)


def one(c, query, args=None, **more):
    return c.execute(query, args, **more).fetchone()[0]


@step("rows of all types, text and binary")
def _():
    with conn.transaction():
        conn.execute("DELETE FROM items")
    for binary in (False, True):
        with conn.transaction():
            conn.execute(
                "INSERT INTO items (name, n, price, data, tags, raw, at) VALUES (%s, %b, %s, %s, %b, %b, to_timestamp(0))",
                ("it's", 7 + binary, "1.50", Jsonb({"a": [1]}), [1, 2], b"\x00\xff"),
            )
            c = conn.cursor(binary=binary, row_factory=dict_row)
            row = c.execute("SELECT price, data, tags, raw, at FROM items WHERE n = %s", (7 + binary,)).fetchone()
            equal((str(row["price"]), row["data"], row["tags"], bytes(row["raw"]), row["at"].timestamp()), ("1.50", {"a": [1]}, [1, 2], b"\x00\xff", 0.0))


@step("statements are prepared by themselves")
def _():
    for i in range(30):
        equal(one(conn, "SELECT %s::int + 1", (i,)), i + 1)
        conn.commit()


@step("prepared statements are evicted")
def _():
    with connect(prepare_threshold=0) as c:
        c.prepared_max = 3
        for _ in range(3):
            for k in range(8):
                equal(one(c, f"SELECT {k} + %s::int", (k,), prepare=True), 2 * k)
                c.commit()


@step("the same prepared names in two sessions")
def _():
    with connect(prepare_threshold=0, autocommit=True) as a, connect(prepare_threshold=0, autocommit=True) as b:
        for i in range(10):
            equal(one(a, "SELECT 'a' || %s::text", (str(i),)), f"a{i}")
            equal(one(b, "SELECT 1000 + %s::int", (i,)), 1000 + i)


@step("DEALLOCATE ALL by hand")
def _():
    with connect(prepare_threshold=0, autocommit=True) as c:
        equal(one(c, "SELECT %s::int", (4,)), 4)
        c.execute("DEALLOCATE ALL")
        fails(psycopg.errors.InvalidSqlStatementName, c.execute, "SELECT %s::int", (4,))
        c._prepared.clear()
        equal(one(c, "SELECT %s::int", (4,)), 4)


@step("a pipeline")
def _():
    with connect(autocommit=True) as c, c.pipeline() as p:
        cursors = [c.execute("SELECT %s::int", (i,)) for i in range(200)]
        p.sync()
        equal([k.fetchone()[0] for k in cursors], list(range(200)))


@step("a pipeline with an error in the middle")
def _():
    with connect(autocommit=True) as c:
        with c.pipeline() as p:
            first = c.execute("INSERT INTO items (name) VALUES ('pipelined') RETURNING name")
            try:
                c.execute("SELECT 1/%s::int", (0,))
                c.execute("SELECT 3")
                p.sync()
            except psycopg.errors.DivisionByZero:
                pass
            else:
                raise AssertionError("no error")
        del first
        equal(one(c, "SELECT count(*) FROM items WHERE name = 'pipelined'"), 0)


@step("a transaction in a pipeline")
def _():
    with connect() as c:
        with c.pipeline(), c.transaction():
            k = c.execute("SELECT %s::int", (1,))
            with c.transaction():
                c.execute("INSERT INTO items (name) VALUES ('inner')")
            equal(k.fetchone()[0], 1)
        equal(one(c, "SELECT count(*) FROM items WHERE name = 'inner'"), 1)


@step("executemany with results")
def _():
    c = conn.cursor()
    c.executemany("INSERT INTO items (name, n) VALUES (%s, %s) RETURNING n", [("many", i) for i in range(300)], returning=True)
    got = [c.fetchone()[0]]
    while c.nextset():
        got.append(c.fetchone()[0])
    equal(got, list(range(300)))
    conn.commit()


@step("COPY of rows, text and binary")
def _():
    for form in ("", "(FORMAT binary)"):
        with conn.transaction(), conn.cursor() as c:
            c.execute("DELETE FROM items WHERE name = 'copied'")
            with c.copy(sql.SQL("COPY items (name, n) FROM STDIN " + form)) as copy:
                copy.set_types(["text", "int4"])
                for i in range(3000):
                    copy.write_row(("copied", i))
            total = 0
            with c.copy(sql.SQL("COPY (SELECT n FROM items WHERE name = 'copied') TO STDOUT " + form)) as copy:
                copy.set_types(["int4"])
                for row in copy.rows():
                    total += row[0]
            equal(total, 3000 * 2999 // 2)


@step("COPY given up by the client")
def _():
    def give_up():
        with conn.cursor() as c, c.copy("COPY items (n) FROM STDIN") as copy:
            copy.write_row((1,))
            raise KeyError("given up")

    fails(psycopg.errors.QueryCanceled, give_up)
    conn.rollback()
    equal(one(conn, "SELECT 1"), 1)
    conn.rollback()


@step("a server-side cursor, scrolled and held")
def _():
    with conn.transaction(), conn.cursor("rows", scrollable=True) as c:
        c.execute("SELECT g FROM generate_series(1, %s) g", (1000,))
        equal(len(c.fetchmany(10)), 10)
        c.scroll(500, mode="absolute")
        equal(c.fetchone()[0], 501)
    with conn.cursor("held", withhold=True) as c:
        c.execute("SELECT g FROM generate_series(1, %s) g", (100,))
        conn.commit()
        equal(sum(row[0] for row in c), 5050)
    conn.commit()


@step("rows one by one")
def _():
    with conn.cursor() as c:
        equal(sum(row[0] for row in c.stream("SELECT g FROM generate_series(1, %s) g", (2000,))), 2001000)
    conn.commit()


@step("nested transactions")
def _():
    with conn.transaction():
        conn.execute("INSERT INTO items (name) VALUES ('outer')")
        with conn.transaction(force_rollback=True):
            conn.execute("INSERT INTO items (name) VALUES ('outer')")
        try:
            with conn.transaction():
                conn.execute("SELECT 1/0")
        except psycopg.errors.DivisionByZero:
            pass
        equal(one(conn, "SELECT count(*) FROM items WHERE name = 'outer'"), 1)


@step("client-side binding")
def _():
    with connect(cursor_factory=psycopg.ClientCursor) as c:
        equal(one(c, "SELECT %s || %s", ("it's", "\\")), "it's\\")


@step("an enumerated type is looked up")
def _():
    info = psycopg.types.enum.EnumInfo.fetch(conn, "mood")
    conn.commit()
    equal(list(info.labels), ["glad", "sad"])


@step("cancel")
def _():
    threading.Timer(0.3, conn.cancel).start()
    fails(psycopg.errors.QueryCanceled, conn.execute, ENDLESS)
    conn.rollback()
    equal(one(conn, "SELECT 3"), 3)
    conn.rollback()


@step("coroutines on connections of their own")
def _():
    async def worker(i):
        async with await psycopg.AsyncConnection.connect(DSN) as c:
            for k in range(10):
                row = await (await c.execute("SELECT %s::int * 100 + %s::int", (i, k))).fetchone()
                equal(row[0], i * 100 + k)
                await c.commit()

    async def all_workers():
        await asyncio.gather(*(worker(i) for i in range(12)))

    asyncio.run(all_workers())


@step("threads that prepare the same statements")
def _():
    def worker(i):
        with connect(prepare_threshold=1) as c:
            for k in range(12):
                equal(one(c, f"SELECT %s::int + {k % 4}", (i,)), i + k % 4)
                c.commit()

    threads(10, worker)


@step("start-up options")
def _():
    with connect(options="-c statement_timeout=4321 -c client_min_messages=warning -c search_path=", application_name="three") as c:
        equal(one(c, "SHOW statement_timeout"), "4321ms")
        equal(one(c, "SHOW client_min_messages"), "warning")
        equal(one(c, "SHOW application_name"), "three")
        equal(c.info.parameter_status("application_name"), "three")


@step("a parameter of another name space at start-up and by SET")
def _():
    with connect(options="-c my.app_user=42", autocommit=True) as c:
        equal(one(c, "SHOW my.app_user"), "42")
        c.execute("SET my.request_id = 'abc'")
        for _ in range(3):
            equal(one(c, "SELECT current_setting('my.request_id')"), "abc")
    with connect(autocommit=True) as c:
        equal(one(c, "SELECT current_setting('my.request_id', true) IN ('abc')") in (None, False), True)


@step("the driver survives a change of its tables", creates=True)
def _():
    with connect(prepare_threshold=0, autocommit=True) as c:
        c.execute("DROP TABLE IF EXISTS changed_psycopg")
        c.execute("CREATE TABLE changed_psycopg (i int)")
        c.execute("INSERT INTO changed_psycopg VALUES (1)")
        equal(c.execute("SELECT * FROM changed_psycopg").fetchone(), (1,))
        c.execute("ALTER TABLE changed_psycopg ADD t text DEFAULT 'x'")
        c.execute("DEALLOCATE ALL")
        c._prepared.clear()
        equal(c.execute("SELECT * FROM changed_psycopg").fetchone(), (1, "x"))
        c.execute("DROP TABLE changed_psycopg")


@step("LISTEN and NOTIFY")
def _():
    with connect(autocommit=True) as a, connect(autocommit=True) as b:
        got = []
        a.add_notify_handler(lambda n: got.append(n.payload))
        a.execute("LISTEN psycopg")
        b.execute("SELECT pg_notify('psycopg', 'word')")
        for _ in range(50):
            a.execute("SELECT 1")
            if got:
                break
            time.sleep(0.1)
        equal(got, ["word"])


end()
