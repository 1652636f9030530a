import asyncio

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session, declarative_base
from steps import DATABASE, HOST, PASSWORD, PORT, USER, end, equal, fails, step, threads

Base = declarative_base()


class Item(Base):
    __tablename__ = "items"
    id = sa.Column(sa.BigInteger, primary_key=True)
    name = sa.Column(sa.Text)
    n = sa.Column(sa.Integer)
    data = sa.Column(JSONB)
    tags = sa.Column(ARRAY(sa.Integer))


def url(driver):
    return sa.engine.URL.create(f"postgresql+{driver}", USER, PASSWORD, HOST, PORT, DATABASE)


engine = sa.create_engine(url("psycopg2"), pool_size=8)


@step("objects")
def _():
    with Session(engine) as s, s.begin():
        s.query(Item).delete()
        s.add_all([Item(name=f"x{i}", n=i, data={"k": i}, tags=[i]) for i in range(30)])
    with Session(engine) as s, s.begin():
        one = s.query(Item).filter_by(n=7).one()
        equal((one.name, one.data, one.tags), ("x7", {"k": 7}, [7]))
        one.name = "changed"
    with Session(engine) as s:
        equal(s.query(Item.name).filter(Item.data["k"].as_integer() == 7).scalar(), "changed")
        equal(s.query(sa.func.count()).select_from(Item).filter(Item.tags.any(3)).scalar(), 1)


@step("a session is rolled back")
def _():
    with Session(engine) as s:
        s.add(Item(name="undone"))
        s.flush()
        s.rollback()
        equal(s.query(Item).filter_by(name="undone").count(), 0)


@step("nested transactions")
def _():
    with Session(engine) as s, s.begin():
        s.add(Item(name="outer"))
        nested = s.begin_nested()
        s.add(Item(name="inner"))
        s.flush()
        nested.rollback()
        equal([r.name for r in s.query(Item).filter(Item.name.in_(["outer", "inner"]))], ["outer"])


@step("insert with RETURNING, and with ON CONFLICT")
def _():
    with engine.begin() as c:
        rows = c.execute(sa.insert(Item).values([{"name": "r", "n": i} for i in range(5)]).returning(Item.n)).all()
        equal([r[0] for r in rows], list(range(5)))
        c.execute(insert(Item).values(name="quiet").on_conflict_do_nothing())


@step("rows streamed by a server-side cursor")
def _():
    with engine.connect() as c:
        rows = c.execution_options(stream_results=True, yield_per=50).execute(sa.text("SELECT g FROM generate_series(1, 1000) g"))
        equal(sum(r[0] for r in rows), 500500)


@step("isolation levels and AUTOCOMMIT")
def _():
    with engine.connect().execution_options(isolation_level="SERIALIZABLE") as c:
        equal(c.scalar(sa.text("SHOW transaction_isolation")), "serializable")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
        c.execute(sa.text("UPDATE items SET n = n WHERE n = 1"))
    with engine.connect() as c:
        equal(c.scalar(sa.text("SHOW transaction_isolation")), "read committed")


@step("inspection")
def _():
    i = sa.inspect(engine)
    equal("items" in i.get_table_names(), True)
    equal(len(i.get_columns("items")), 9)
    equal(i.get_pk_constraint("items")["constrained_columns"], ["tenant_id", "id"])
    i.get_indexes("items"), i.get_foreign_keys("items"), i.get_enums()


@step("errors")
def _():
    with engine.connect() as c:
        e = fails(sa.exc.ProgrammingError, c.execute, sa.text("SELECT * FROM nowhere_to_be_found"))
        equal(e.orig.pgcode, "42P01")


@step("threads")
def _():
    def worker(i):
        for k in range(10):
            with engine.connect() as c:
                equal(c.scalar(sa.text("SELECT :i * 100 + :k"), {"i": i, "k": k}), i * 100 + k)

    threads(8, worker)


@step("asyncpg below")
def _():
    async def main():
        e = create_async_engine(url("asyncpg"), pool_size=6)

        async def worker(i):
            async with e.connect() as c:
                for k in range(6):
                    equal(await c.scalar(sa.text("SELECT CAST(:i AS int) + CAST(:k AS int)"), {"i": i, "k": k}), i + k)
                await c.execute(sa.select(Item).where(Item.n == i))

        await asyncio.gather(*(worker(i) for i in range(12)))
        await e.dispose()

    asyncio.run(main())


@step("tables are made and dropped", creates=True)
def _():
    m = sa.MetaData()
    sa.Table("made_sa", m, sa.Column("id", sa.Integer, primary_key=True), sa.Column("e", sa.Enum("x", "y", name="made_sa_e")))
    m.drop_all(engine)
    m.create_all(engine)
    m.create_all(engine)
    m.drop_all(engine)


engine.dispose()
end()
