import pyodbc
import threading
from steps import DATABASE, ENDLESS, HOST, PASSWORD, PORT, USER, end, equal, fails, step, threads

pyodbc.pooling = False

MODES = {
    "default": "",
    "client-side preparation": "UseServerSidePrepare=0",
    "roll back the statement": "UseServerSidePrepare=1;Protocol=7.4-2",
    "roll back the transaction": "UseServerSidePrepare=1;Protocol=7.4-1",
    "no roll back": "Protocol=7.4-0",
    "DECLARE and FETCH": "UseDeclareFetch=1;Fetch=10",
}


def connect(mode, **more):
    where = f"DRIVER=PostgreSQL Unicode;SERVER={HOST};PORT={PORT};DATABASE={DATABASE};UID={USER};PWD={PASSWORD};SSLmode=disable;"
    return pyodbc.connect(where + MODES[mode], **more)


for mode in MODES:

    @step(f"{mode} rows")
    def _():
        with connect(mode, autocommit=True) as c:
            c.execute("DELETE FROM items")
            for i in range(25):
                c.execute("INSERT INTO items (name, n) VALUES (?, ?)", f"x{i}", i)
            rows = c.execute("SELECT n, name FROM items WHERE n >= ? ORDER BY n", 5).fetchall()
            equal([tuple(r) for r in rows], [(i, f"x{i}") for i in range(5, 25)])

    @step(f"{mode} a statement executed again")
    def _():
        with connect(mode) as c:
            k = c.cursor()
            for i in range(15):
                equal(k.execute("SELECT ? || 'y'", str(i)).fetchone()[0], f"{i}y")
            c.commit()

    @step(f"{mode} executemany")
    def _():
        with connect(mode) as c:
            k = c.cursor()
            k.executemany("INSERT INTO items (name, n) VALUES (?, ?)", [("many", i) for i in range(100)])
            c.commit()
            equal(k.execute("SELECT count(*) FROM items WHERE name = 'many'").fetchone()[0], 100)
            c.commit()

    @step(f"{mode} two statements at once")
    def _():
        with connect(mode) as c:
            a, b = c.cursor(), c.cursor()
            a.execute("SELECT g FROM generate_series(1, 40) g")
            b.execute("SELECT g FROM generate_series(101, 140) g")
            for i in range(40):
                equal((a.fetchone()[0], b.fetchone()[0]), (i + 1, i + 101))
            c.commit()

    @step(f"{mode} roll back")
    def _():
        with connect(mode) as c:
            c.execute("INSERT INTO items (name) VALUES ('undone')")
            c.rollback()
            equal(c.execute("SELECT count(*) FROM items WHERE name = 'undone'").fetchone()[0], 0)
            c.rollback()

    @step(f"{mode} an error, and on")
    def _():
        with connect(mode) as c:
            c.execute("SELECT 1").fetchall()
            e = fails(pyodbc.Error, lambda: c.execute("SELECT * FROM nowhere_to_be_found").fetchall())
            equal(e.args[0], "42P01" if "42P01" in e.args[0] else "42S02")
            c.rollback()
            equal(c.execute("SELECT 1").fetchone()[0], 1)
            c.rollback()

    @step(f"{mode} catalogue functions")
    def _():
        with connect(mode, autocommit=True) as c:
            k = c.cursor()
            equal(len(k.columns("items").fetchall()), 9)
            equal([r.column_name for r in k.primaryKeys("items")], ["tenant_id", "id"])
            k.tables().fetchall()
            k.statistics("items").fetchall()
            k.getTypeInfo().fetchall()

    @step(f"{mode} threads")
    def _():
        def worker(i):
            with connect(mode, autocommit=True) as c:
                for k in range(8):
                    equal(c.execute("SELECT ? || '.' || ?", str(i), str(k)).fetchone()[0], f"{i}.{k}")

        threads(6, worker)


@step("cancel")
def _():
    with connect("default", autocommit=True) as c:
        k = c.cursor()
        threading.Timer(0.3, k.cancel).start()
        fails(pyodbc.Error, k.execute, ENDLESS)
        equal(c.execute("SELECT 3").fetchone()[0], 3)


@step("a table of its own", creates=True)
def _():
    with connect("default", autocommit=True) as c:
        c.execute("CREATE TABLE made_odbc (i int, t text)")
        c.execute("INSERT INTO made_odbc VALUES (?, ?)", 1, "x")
        equal(tuple(c.execute("SELECT * FROM made_odbc").fetchone()), (1, "x"))
        c.execute("DROP TABLE made_odbc")


end()
