// What the programs for Node share: steps, and where to connect.
const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, CLIENT_LOGIN } = process.env

const where = { host: PGHOST, port: Number(PGPORT), user: PGUSER, password: PGPASSWORD, database: PGDATABASE }
const mayCreate = CLIENT_LOGIN !== 'tenant'
const patience = 30000

// Runs until it is cancelled.
const endless = 'SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b'

async function step (name, run) {
  let timer
  try {
    await Promise.race([run(), new Promise((resolve, reject) => { timer = setTimeout(() => reject(new Error('timed out')), patience) })])
    console.log(`ok ${name}`)
  } catch (e) {
    console.log(`not ok ${name}: ${String((e && (e.message || e.code)) || e).split('\n')[0]}`)
  } finally {
    clearTimeout(timer)
  }
}

async function creates (name, run) {
  if (mayCreate) return step(name, run)
  console.log(`skip ${name}: creates objects`)
}

function equal (got, want) {
  if (JSON.stringify(got) !== JSON.stringify(want)) throw new Error(`got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`)
}

// Returns the error that a promise must end with.
async function fails (promise) {
  try {
    await promise
  } catch (e) {
    return e
  }
  throw new Error('accepted')
}

function range (n) { return Array.from({ length: n }, (_, i) => i) }

function sleep (ms) { return new Promise(resolve => setTimeout(resolve, ms)) }

process.on('unhandledRejection', e => { console.log(`not ok unhandled rejection: ${e}`) })

module.exports = { where, endless, step, creates, equal, fails, range, sleep }
