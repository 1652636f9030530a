const { pipeline } = require('node:stream/promises')
const { Readable } = require('node:stream')
const postgres = require('postgres')
const { where, endless, step, creates, equal, fails, range, sleep } = require('./steps.cjs')

function connect (more = {}) { return postgres({ ...where, onnotice () {}, ...more }) }

async function withOne (run, more = {}) {
  const sql = connect({ max: 1, ...more })
  try {
    return await run(sql)
  } finally {
    await sql.end({ timeout: 5 })
  }
}

async function main () {
  const sql = connect({ max: 6 })
  await step('insert many', async () => {
    await sql`DELETE FROM items`
    equal((await sql`INSERT INTO items ${sql([{ name: 'a', n: 1 }, { name: 'b', n: 2 }], 'name', 'n')} RETURNING n`).length, 2)
  })
  await step('a list of values', async () => {
    equal((await sql`SELECT name FROM items WHERE n IN ${sql([1, 2])} ORDER BY n`).map(r => r.name), ['a', 'b'])
  })
  await step('json and arrays', async () => {
    equal((await sql`SELECT ${sql.json({ a: 1 })}::jsonb AS j, ${[1, 2]}::int[] AS a`)[0], { j: { a: 1 }, a: [1, 2] })
  })
  await step('statements pipelined on one connection', () => withOne(async one => {
    equal((await Promise.all(range(100).map(i => one`SELECT ${i}::int AS x`))).map(r => r[0].x), range(100))
  }))
  await step('pipelined, with an error in the middle', () => withOne(async one => {
    const all = await Promise.allSettled([one`SELECT 1 AS x`, one`SELECT 1/0`, one`SELECT 3 AS x`])
    equal(all.map(r => r.status), ['fulfilled', 'rejected', 'fulfilled'])
  }))
  await step('a transaction with a savepoint', async () => {
    await sql.begin(async tx => {
      await tx`INSERT INTO items (name) VALUES ('kept')`
      await tx.savepoint(async s => { await s`SELECT 1/0` }).catch(() => {})
    })
    equal((await sql`SELECT count(*)::int AS n FROM items WHERE name = 'kept'`)[0].n, 1)
  })
  await step('a transaction is rolled back', async () => {
    await fails(sql.begin(async tx => { await tx`INSERT INTO items (name) VALUES ('undone')`; throw new Error('stop') }))
    equal((await sql`SELECT count(*)::int AS n FROM items WHERE name = 'undone'`)[0].n, 0)
  })
  await step('a pipelined transaction', async () => {
    equal((await sql.begin(tx => [tx`SELECT 1 AS x`, tx`SELECT 2 AS x`])).map(r => r[0].x), [1, 2])
  })
  await step('a portal read in parts', async () => {
    let n = 0
    await sql`SELECT g FROM generate_series(1, 1000) g`.cursor(100, rows => { n += rows.length })
    equal(n, 1000)
  })
  await step('a portal closed early', async () => {
    let n = 0
    await sql`SELECT g FROM generate_series(1, 1000) g`.cursor(10, rows => { n += rows.length; return sql.CLOSE })
    equal(n, 10)
    equal((await sql`SELECT 1 AS x`)[0].x, 1)
  })
  await step('COPY in and out', async () => {
    await pipeline(Readable.from(['c1\n', 'c2\n']), await sql`COPY items (name) FROM STDIN`.writable())
    let text = ''
    for await (const chunk of await sql`COPY (SELECT name FROM items WHERE name LIKE 'c_' ORDER BY name) TO STDOUT`.readable()) text += chunk
    equal(text, 'c1\nc2\n')
  })
  await step('COPY in a transaction', async () => {
    await sql.begin(async tx => {
      await pipeline(Readable.from(['d1\n', 'd2\n']), await tx`COPY items (name) FROM STDIN`.writable())
      equal((await tx`SELECT count(*)::int AS n FROM items WHERE name LIKE 'd_'`)[0].n, 2)
    })
  })
  await step('cancel', async () => {
    const running = sql.unsafe(endless)
    const failed = fails(running)
    await sleep(300)
    running.cancel()
    equal((await failed).code, '57014')
  })
  await step('describe', async () => equal((await sql`SELECT ${1}::int AS x`.describe()).columns[0].name, 'x'))
  await step('a reserved connection', async () => {
    const one = await sql.reserve()
    await one`BEGIN`
    equal((await one`SELECT 1 AS x`)[0].x, 1)
    await one`COMMIT`
    one.release()
  })
  await step('without prepared statements', () => withOne(async one => {
    equal((await Promise.all(range(50).map(i => one`SELECT ${i}::int AS x`))).map(r => r[0].x), range(50))
  }, { prepare: false, max: 3 }))
  await step('simple queries of several statements', async () => {
    equal((await sql`SELECT 1 AS x; SELECT 2 AS x`.simple()).map(r => r[0].x), [1, 2])
  })
  await step('settings at start-up', () => withOne(async one => {
    equal((await one`SHOW statement_timeout`)[0].statement_timeout, '4321ms')
    equal((await one`SHOW application_name`)[0].application_name, 'js')
  }, { connection: { application_name: 'js', statement_timeout: 4321 } }))
  await step('a transaction of a kind', async () => {
    equal((await sql.begin('ISOLATION LEVEL SERIALIZABLE READ ONLY', tx => tx`SHOW transaction_isolation`))[0].transaction_isolation, 'serializable')
  })
  await step('large values', async () => equal((await sql`SELECT length(${'z'.repeat(3_000_000)}) AS n`)[0].n, 3_000_000))
  await step('a bad password is 28P01', () => withOne(async one => equal((await fails(one`SELECT 1`)).code, '28P01'), { password: 'wrong' }))
  await creates('a cached plan whose table has changed', () => withOne(async one => {
    await one`DROP TABLE IF EXISTS changed_js`
    await one`CREATE TABLE changed_js (i int)`
    await one`INSERT INTO changed_js VALUES (1)`
    equal((await one`SELECT * FROM changed_js`)[0], { i: 1 })
    await one`ALTER TABLE changed_js ADD t text DEFAULT 'x'`
    equal((await one`SELECT * FROM changed_js`)[0], { i: 1, t: 'x' }) // the driver prepares again
    await one`DROP TABLE changed_js`
  }))
  await step('LISTEN and NOTIFY', async () => {
    let heard
    const got = new Promise(resolve => { heard = resolve })
    const listening = await sql.listen('js', heard)
    await sql.notify('js', 'word')
    equal(await got, 'word')
    await listening.unlisten()
  })
  process.exit(0)
}

main()
