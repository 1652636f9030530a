import asyncio

import asyncpg
from steps import DATABASE, ENDLESS, HOST, PASSWORD, PORT, USER, end, equal, step

WHERE = {"host": HOST, "port": PORT, "user": USER, "password": PASSWORD, "database": DATABASE}


def run(function):
    """Gives a coroutine a connection of its own, in a loop of its own."""

    def call():
        async def main():
            conn = await asyncpg.connect(**WHERE)
            try:
                await function(conn)
            finally:
                await conn.close(timeout=5)

        asyncio.run(main())

    return call


@step("rows of all types")
@run
async def _(c):
    await c.execute("DELETE FROM items")
    await c.execute("INSERT INTO items (name, n, price, data, tags, raw, at) VALUES ($1, $2, $3::text::numeric, $4, $5, $6, to_timestamp(0))", "it's", 7, "1.50", '{"a": [1]}', [1, 2], b"\x00\xff")
    row = await c.fetchrow("SELECT price, data, tags, raw, at FROM items WHERE n = $1", 7)
    equal((str(row[0]), row[1], row[2], row[3], row[4].timestamp()), ("1.50", '{"a": [1]}', [1, 2], b"\x00\xff", 0.0))


@step("enumerated types are looked up")
@run
async def _(c):
    await c.execute("DELETE FROM moods")
    await c.executemany("INSERT INTO moods (id, mood) VALUES ($1, $2)", [(1, "glad"), (2, "sad")])
    equal(await c.fetchval("SELECT array_agg(mood ORDER BY id) FROM moods"), ["glad", "sad"])


@step("prepared statements")
@run
async def _(c):
    st = await c.prepare("SELECT $1::int + 1")
    for i in range(30):
        equal(await st.fetchval(i), i + 1)
    equal(st.get_attributes()[0].type.name, "int4")


@step("many statements, more than the cache holds")
@run
async def _(c):
    for k in range(150):
        equal(await c.fetchval(f"SELECT $1::int + {k}", 1), k + 1)


@step("executemany")
@run
async def _(c):
    await c.executemany("INSERT INTO items (name, n) VALUES ($1, $2)", [("many", i) for i in range(500)])
    equal(await c.fetchval("SELECT count(*) FROM items WHERE name = 'many'"), 500)


@step("transactions and savepoints")
@run
async def _(c):
    async with c.transaction(isolation="serializable"):
        await c.execute("INSERT INTO items (name) VALUES ('outer')")
        try:
            async with c.transaction():
                await c.execute("SELECT 1/0")
        except asyncpg.DivisionByZeroError:
            pass
    equal(await c.fetchval("SELECT count(*) FROM items WHERE name = 'outer'"), 1)


@step("a cursor")
@run
async def _(c):
    async with c.transaction():
        total = 0
        async for row in c.cursor("SELECT g FROM generate_series(1, $1::int) g", 1000, prefetch=30):
            total += row[0]
        equal(total, 500500)
        cursor = await c.cursor("SELECT generate_series(1, 100)")
        await cursor.forward(10)
        equal(await cursor.fetchval() if hasattr(cursor, "fetchval") else (await cursor.fetchrow())[0], 11)


@step("COPY of records and of queries")
@run
async def _(c):
    await c.copy_records_to_table("items", records=[("copied", i) for i in range(3000)], columns=["name", "n"])
    got = bytearray()

    async def sink(data):
        got.extend(data)

    await c.copy_from_query("SELECT n FROM items WHERE name = $1", "copied", output=sink, format="csv")
    equal(got.count(b"\n"), 3000)


@step("cancel by time-out")
@run
async def _(c):
    try:
        await c.fetchval(ENDLESS, timeout=0.3)
    except asyncio.TimeoutError:
        pass
    else:
        raise AssertionError("not cancelled")
    equal(await c.fetchval("SELECT 1"), 1)


@step("cancel of a task")
@run
async def _(c):
    task = asyncio.ensure_future(c.fetchval(ENDLESS))
    await asyncio.sleep(0.3)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
    equal(await c.fetchval("SELECT 2"), 2)


@step("errors have their SQLSTATE")
@run
async def _(c):
    try:
        await c.fetch("SELECT * FROM nowhere_to_be_found")
    except asyncpg.UndefinedTableError as e:
        equal(e.sqlstate, "42P01")
    else:
        raise AssertionError("accepted")
    equal(await c.fetchval("SELECT 1"), 1)


@step("a pool that resets its connections")
def _():
    async def main():
        async with asyncpg.create_pool(min_size=1, max_size=12, **WHERE) as pool:

            async def worker(i):
                async with pool.acquire() as c:
                    for k in range(8):
                        equal(await c.fetchval("SELECT $1::int * 100 + $2::int", i, k), i * 100 + k)

            await asyncio.gather(*(worker(i) for i in range(24)))

    asyncio.run(main())


@step("settings at start-up")
def _():
    async def main():
        settings = {"application_name": "asyncpg", "statement_timeout": "4321", "jit": "off"}
        c = await asyncpg.connect(server_settings=settings, **WHERE)
        equal(await c.fetchval("SHOW statement_timeout"), "4321ms")
        equal(c.get_settings().application_name, "asyncpg")
        await c.close()

    asyncio.run(main())


@step("a settings change holds, and reset() undoes it")
@run
async def _(c):
    await c.execute("SET TimeZone = 'Asia/Tokyo'")
    equal(await c.fetchval("SHOW TimeZone"), "Asia/Tokyo")
    await c.reset()
    equal(await c.fetchval("SHOW TimeZone") != "Asia/Tokyo", True)


@step("composite results and records")
@run
async def _(c):
    row = await c.fetchrow("SELECT ROW(1, 'x'::text) AS r, ARRAY[ROW(2, 'y'::text)] AS a")
    equal((tuple(row["r"]), tuple(row["a"][0])), ((1, "x"), (2, "y")))


@step("a cached statement whose table has changed", creates=True)
@run
async def _(c):
    await c.execute("DROP TABLE IF EXISTS changed_asyncpg; CREATE TABLE changed_asyncpg (i int); INSERT INTO changed_asyncpg VALUES (1)")
    equal(tuple(await c.fetchrow("SELECT * FROM changed_asyncpg")), (1,))
    await c.execute("ALTER TABLE changed_asyncpg ADD t text DEFAULT 'x'")
    equal(tuple(await c.fetchrow("SELECT * FROM changed_asyncpg")), (1, "x"))
    await c.execute("DROP TABLE changed_asyncpg")


@step("LISTEN and NOTIFY")
@run
async def _(c):
    other = await asyncpg.connect(**WHERE)
    got = asyncio.get_running_loop().create_future()
    await c.add_listener("asyncpg", lambda *args: got.set_result(args[3]))
    await other.execute("NOTIFY asyncpg, 'word'")
    equal(await asyncio.wait_for(got, 10), "word")
    await other.close()


end()
