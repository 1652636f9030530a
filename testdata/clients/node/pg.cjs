const net = require('node:net')
const { pipeline } = require('node:stream/promises')
const { Readable } = require('node:stream')
const pg = require('pg')
const Cursor = require('pg-cursor')
const QueryStream = require('pg-query-stream')
const copy = require('pg-copy-streams')
const { where, endless, step, creates, equal, fails, range, sleep } = require('./steps.cjs')

const pool = new pg.Pool({ ...where, max: 8 })

async function withClient (run, source = pool) {
  const client = await source.connect()
  try {
    return await run(client)
  } finally {
    client.release()
  }
}

async function connect (more = {}) {
  const client = new pg.Client({ ...where, ...more })
  await client.connect()
  return client
}

function cancel (client, change = 0) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(where.port, where.host, () => {
      const packet = Buffer.alloc(16)
      packet.writeInt32BE(16, 0)
      packet.writeInt32BE(80877102, 4)
      packet.writeInt32BE(client.processID, 8)
      packet.writeInt32BE(client.secretKey ^ change, 12)
      socket.write(packet)
    })
    socket.on('close', resolve)
    socket.on('error', reject)
    socket.resume()
  })
}

async function main () {
  await step('rows of all types', async () => {
    await pool.query('DELETE FROM items')
    await pool.query('INSERT INTO items (name, n, data, tags, raw, at) VALUES ($1, $2, $3, $4, $5, $6)',
      ['x', 7, { k: [1, 2] }, [1, 2, 3], Buffer.from([0, 255]), new Date(0)])
    const r = (await pool.query('SELECT * FROM items WHERE n = $1', [7])).rows[0]
    equal([r.name, r.data, r.tags, r.raw.length, r.at.getTime()], ['x', { k: [1, 2] }, [1, 2, 3], 2, 0])
  })
  await step('update and delete', async () => {
    equal((await pool.query('UPDATE items SET name = $2 WHERE n = $1 RETURNING name', [7, 'y'])).rows, [{ name: 'y' }])
    equal((await pool.query('DELETE FROM items WHERE n = $1', [99])).rowCount, 0)
  })
  await step('named statements over many clients', () => Promise.all(range(200).map(async i => {
    const r = await pool.query({ name: `n${i % 20}`, text: `SELECT ${i % 20} + $1::int AS v`, values: [i] })
    equal(r.rows[0].v, i % 20 + i)
  })))
  await step('the same name for other texts', async () => {
    const clients = await Promise.all(range(4).map(() => connect()))
    try {
      for (const k of range(10)) {
        for (const [i, c] of clients.entries()) equal((await c.query({ name: 'same', text: `SELECT 'c${i}' || $1::text AS v`, values: [k] })).rows[0].v, `c${i}${k}`)
      }
    } finally {
      await Promise.all(clients.map(c => c.end()))
    }
  })
  await step('commit and rollback', async () => {
    for (const end of ['COMMIT', 'ROLLBACK']) {
      await withClient(async c => {
        await c.query('BEGIN')
        await c.query('INSERT INTO items (name) VALUES ($1)', [end])
        await c.query(end)
      })
    }
    equal((await pool.query("SELECT name FROM items WHERE name IN ('COMMIT', 'ROLLBACK')")).rows, [{ name: 'COMMIT' }])
  })
  await step('a savepoint after an error', () => withClient(async c => {
    await c.query('BEGIN')
    await c.query('SAVEPOINT s')
    equal((await fails(c.query('SELECT 1/0'))).code, '22012')
    await c.query('ROLLBACK TO s')
    equal((await c.query('SELECT 1 AS x')).rows[0].x, 1)
    await c.query('COMMIT')
  }))
  await step('errors have their SQLSTATE and position', () => withClient(async c => {
    const e = await fails(c.query('SELECT * FROM nowhere_to_be_found'))
    equal([e.code, e.position], ['42P01', '15'])
    equal((await c.query('SELECT 1 AS x')).rows[0].x, 1)
  }))
  await step('several statements in one message', async () => {
    equal((await pool.query('SELECT 1 AS a; SELECT 2 AS b')).map(r => Object.values(r.rows[0])[0]), [1, 2])
  })
  await step('COPY in and out', () => withClient(async c => {
    await pipeline(Readable.from(range(5000).map(i => `copied${i}\n`)), c.query(copy.from('COPY items (name) FROM STDIN')))
    let n = 0
    for await (const b of c.query(copy.to("COPY (SELECT name FROM items WHERE name LIKE 'copied%') TO STDOUT"))) n += b.toString().split('\n').length - 1
    equal(n, 5000)
  }))
  await step('COPY that fails', () => withClient(async c => {
    const stream = c.query(copy.from('COPY items (n) FROM STDIN'))
    stream.write('no number\n')
    stream.end()
    const e = await new Promise((resolve, reject) => { stream.on('error', resolve); stream.on('finish', () => reject(new Error('accepted'))) })
    equal(e.code, '22P02')
    equal((await c.query('SELECT 1 AS x')).rows[0].x, 1)
  }))
  await step('a portal read in parts', () => withClient(async c => {
    const cursor = c.query(new Cursor('SELECT g FROM generate_series(1, $1::int) g', [1000]))
    let n = 0
    for (;;) {
      const rows = await cursor.read(100)
      if (rows.length === 0) break
      n += rows.length
    }
    await cursor.close()
    equal(n, 1000)
  }))
  await step('a portal closed early', () => withClient(async c => {
    const cursor = c.query(new Cursor('SELECT g FROM generate_series(1, 100000) g'))
    equal((await cursor.read(10)).length, 10)
    await cursor.close()
    equal((await c.query('SELECT 5 AS x')).rows[0].x, 5)
  }))
  await step('a stream of rows', () => withClient(async c => {
    let n = 0
    for await (const row of c.query(new QueryStream('SELECT g FROM generate_series(1, 3000) g', [], { batchSize: 50 }))) n += row.g
    equal(n, 3000 * 3001 / 2)
  }))
  await step('a cursor of SQL', () => withClient(async c => {
    await c.query('BEGIN')
    await c.query('DECLARE k CURSOR FOR SELECT g FROM generate_series(1, 10) g')
    equal((await c.query('FETCH 4 FROM k')).rowCount, 4)
    await c.query('COMMIT')
  }))
  await step('queued statements of one client', () => withClient(async c => {
    equal((await Promise.all(range(20).map(i => c.query('SELECT $1::int AS x', [i])))).map(r => r.rows[0].x), range(20))
  }))
  await step('a large row and a large parameter', async () => {
    const text = 'z'.repeat(5_000_000)
    equal((await pool.query('SELECT length($1) AS n, $1 AS s', [text])).rows[0].s.length, text.length)
  })
  await step('cancel', async () => {
    const c = await connect()
    const running = fails(c.query(endless))
    await sleep(300)
    await cancel(c)
    equal((await running).code, '57014')
    equal((await c.query('SELECT 1 AS x')).rows[0].x, 1)
    await c.end()
  })
  await step('cancel with a wrong key', async () => {
    const c = await connect()
    const running = c.query('SELECT sum(a % 7) AS s FROM generate_series(1, 1500000) a')
    await sleep(50)
    await cancel(c, 1).catch(() => {})
    await running
    await c.end()
  })
  await step('more clients than server connections', async () => {
    const many = new pg.Pool({ ...where, max: 40 })
    await Promise.all(range(200).map(async i => equal((await many.query('SELECT $1::int AS x', [i])).rows[0].x, i)))
    await many.end()
  })
  await step('settings at start-up and by SET', async () => {
    const c = await connect({ statement_timeout: 4321, application_name: 'node', options: '-c idle_in_transaction_session_timeout=60000' })
    equal((await c.query('SHOW statement_timeout')).rows[0].statement_timeout, '4321ms')
    equal((await c.query('SHOW application_name')).rows[0].application_name, 'node')
    const d = await connect()
    await c.query("SET TimeZone = 'Asia/Tokyo'")
    await d.query("SET TimeZone = 'Europe/Paris'")
    for (let i = 0; i < 5; i++) {
      equal((await c.query('SHOW TimeZone')).rows[0].TimeZone, 'Asia/Tokyo')
      equal((await d.query('SHOW TimeZone')).rows[0].TimeZone, 'Europe/Paris')
    }
    await c.end()
    await d.end()
    equal((await pool.query('SHOW statement_timeout')).rows[0].statement_timeout, '0')
  })
  await step('a temporary table does not outlive its session', async () => {
    const c = await connect()
    await c.query('CREATE TEMP TABLE scratch_node (x int)')
    await c.query('INSERT INTO scratch_node VALUES (1)')
    equal((await c.query('SELECT x FROM scratch_node')).rowCount, 1)
    await c.end()
    equal((await fails(pool.query('SELECT x FROM scratch_node'))).code, '42P01')
  })
  await step('a bad password is 28P01', async () => {
    equal((await fails(new pg.Client({ ...where, password: 'wrong' }).connect())).code, '28P01')
  })
  await creates('a cached plan whose table has changed', async () => {
    const c = await connect()
    await c.query('DROP TABLE IF EXISTS changed_node')
    await c.query('CREATE TABLE changed_node (i int)')
    const read = { name: 'changed', text: 'SELECT * FROM changed_node' }
    await c.query(read)
    await c.query('ALTER TABLE changed_node ADD t text')
    equal((await fails(c.query(read))).code, '0A000')
    await c.query('DROP TABLE changed_node')
    await c.end()
  })
  await step('LISTEN and NOTIFY', async () => {
    const c = await connect()
    const got = new Promise(resolve => c.on('notification', m => resolve(m.payload)))
    await c.query('LISTEN node')
    await pool.query("NOTIFY node, 'word'")
    equal(await got, 'word')
    await c.end()
  })
  process.exit(0)
}

main()
