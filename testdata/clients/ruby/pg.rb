require_relative 'steps'
require 'pg'

c = PG.connect(WHERE)

step('rows of all types') do
  c.exec('DELETE FROM items')
  c.exec_params('INSERT INTO items (name, n, raw) VALUES ($1, $2, $3)', ["it's", 7, { value: "\x00\xff".b, format: 1 }])
  row = c.exec_params('SELECT name, n, raw FROM items WHERE n = $1', [7], 1)[0]
  equal [row['name'], row['n'].unpack1('N'), row['raw']], ["it's", 7, "\x00\xff".b]
end
step('prepared statements') do
  c.prepare('rb', 'SELECT $1::text AS x')
  30.times { |i| equal c.exec_prepared('rb', [i.to_s])[0]['x'], i.to_s }
  equal c.describe_prepared('rb').nparams, 1
end
step('the same name in two connections') do
  d = PG.connect(WHERE)
  d.prepare('rb', 'SELECT 42 AS x')
  10.times do
    equal d.exec_prepared('rb')[0]['x'], '42'
    equal c.exec_prepared('rb', ['q'])[0]['x'], 'q'
  end
  d.close
end
step('DEALLOCATE of a prepared name, EXECUTE of another') do
  c.prepare('rb_gone', 'SELECT 1 AS x')
  c.exec('DEALLOCATE rb_gone')
  equal fails(PG::InvalidSqlStatementName) { c.exec_prepared('rb_gone') }.class, PG::InvalidSqlStatementName
  equal c.exec("EXECUTE rb('word')")[0]['x'], 'word'
  c.exec('PREPARE rb_sql(int) AS SELECT $1 + 1 AS x')
  equal c.exec_prepared('rb_sql', [4])[0]['x'], '5'
  c.exec('DEALLOCATE rb_sql')
end
step('transactions') do
  c.transaction { |x| x.exec("INSERT INTO items (name) VALUES ('kept')") }
  fails(RuntimeError) { c.transaction { |x| x.exec("INSERT INTO items (name) VALUES ('undone')"); raise 'stop' } }
  equal c.exec("SELECT name FROM items WHERE name IN ('kept', 'undone')").column_values(0), ['kept']
end
step('COPY in and out') do
  c.copy_data('COPY items (n) FROM STDIN') { 1000.times { |i| c.put_copy_data("#{10_000 + i}\n") } }
  n = 0
  c.copy_data('COPY (SELECT n FROM items WHERE n >= 10000) TO STDOUT') { n += 1 while c.get_copy_data }
  equal n, 1000
end
step('COPY with coders') do
  c.copy_data('COPY items (n) FROM STDIN', PG::TextEncoder::CopyRow.new) { 100.times { |i| c.put_copy_data([20_000 + i]) } }
  equal c.exec('SELECT count(*) FROM items WHERE n >= 20000').getvalue(0, 0), '100'
end
step('COPY given up') do
  fails(RuntimeError) { c.copy_data('COPY items (n) FROM STDIN') { c.put_copy_data("1\n"); raise 'given up' } }
  equal c.exec('SELECT 1').getvalue(0, 0), '1'
end
step('a pipeline') do
  c.enter_pipeline_mode
  50.times { |i| c.send_query_params('SELECT $1::int', [i]) }
  c.pipeline_sync
  got = []
  loop do
    r = c.get_result
    next if r.nil?
    break if r.result_status == PG::PGRES_PIPELINE_SYNC
    got << r.getvalue(0, 0).to_i
  end
  c.exit_pipeline_mode
  equal got, (0...50).to_a
end
step('a pipeline with an error and several Syncs') do
  c.enter_pipeline_mode
  c.send_query_params('SELECT 1/0', [])
  c.send_query_params('SELECT 1', [])
  c.pipeline_sync
  c.send_query_params('SELECT 2', [])
  c.pipeline_sync
  got = []
  syncs = 0
  while syncs < 2
    r = c.get_result
    next if r.nil?
    got << r.result_status
    syncs += 1 if r.result_status == PG::PGRES_PIPELINE_SYNC
  end
  c.exit_pipeline_mode
  equal got, [PG::PGRES_FATAL_ERROR, PG::PGRES_PIPELINE_ABORTED, PG::PGRES_PIPELINE_SYNC, PG::PGRES_TUPLES_OK, PG::PGRES_PIPELINE_SYNC]
end
step('single row mode') do
  c.send_query_params('SELECT g FROM generate_series(1, 500) g', [])
  c.set_single_row_mode
  n = 0
  while (r = c.get_result)
    n += r.ntuples
  end
  equal n, 500
end
step('cancel') do
  thread = Thread.new { sleep 0.3; c.cancel }
  fails(PG::QueryCanceled) { c.async_exec(ENDLESS) }
  thread.join
  equal c.exec('SELECT 3').getvalue(0, 0), '3'
end
step('errors have their fields') do
  e = fails(PG::UndefinedTable) { c.exec('SELECT * FROM nowhere_to_be_found') }
  equal [e.result.error_field(PG::PG_DIAG_SQLSTATE), e.result.error_field(PG::PG_DIAG_STATEMENT_POSITION)], %w[42P01 15]
end
step('settings at start-up') do
  d = PG.connect(WHERE.merge(options: '-c statement_timeout=4321 -c client_min_messages=warning', application_name: 'rb'))
  equal d.exec('SHOW statement_timeout').getvalue(0, 0), '4321ms'
  equal d.parameter_status('application_name'), 'rb'
  d.close
end
step('a bad password is 28P01') do
  e = fails(PG::Error) { PG.connect(WHERE.merge(password: 'wrong')) }
  equal e.message.include?('password authentication failed'), true
end
step('LISTEN and NOTIFY') do
  d = PG.connect(WHERE)
  c.exec('LISTEN rb')
  d.exec("NOTIFY rb, 'word'")
  got = nil
  c.wait_for_notify(10) { |_, _, payload| got = payload }
  d.close
  equal got, 'word'
end
