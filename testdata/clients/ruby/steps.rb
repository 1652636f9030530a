# What the Ruby programs share: steps, and where to connect.
require 'timeout'

WHERE = { host: ENV['PGHOST'], port: ENV['PGPORT'], user: ENV['PGUSER'], password: ENV['PGPASSWORD'], dbname: ENV['PGDATABASE'] }.freeze
MAY_CREATE = ENV['CLIENT_LOGIN'] != 'tenant'
ENDLESS = 'SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b'.freeze # runs until it is cancelled
PATIENCE = 30

$stdout.sync = true

def step(name)
  Timeout.timeout(PATIENCE) { yield }
  puts "ok #{name}"
rescue Exception => e
  puts "not ok #{name}: #{e.class}: #{e.message.lines.first.to_s.strip}"
end

def creates(name, &block)
  MAY_CREATE ? step(name, &block) : puts("skip #{name}: creates objects")
end

def equal(got, want)
  raise "got #{got.inspect}, want #{want.inspect}" unless got == want
end

# Returns the exception that the block must raise.
def fails(kind)
  yield
rescue kind => e
  e
else
  raise "no #{kind}"
end
