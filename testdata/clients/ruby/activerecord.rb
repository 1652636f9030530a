require_relative 'steps'
require 'active_record'

class Item < ActiveRecord::Base
  self.primary_key = 'id'
end

ActiveRecord::Base.logger = nil
ActiveRecord::Schema.verbose = false

[true, false].each do |prepares|
  mode = prepares ? 'prepared' : 'unprepared'
  step("#{mode} connect") do
    ActiveRecord::Base.establish_connection(
      adapter: 'postgresql', host: WHERE[:host], port: WHERE[:port], username: WHERE[:user], password: WHERE[:password],
      database: WHERE[:dbname], pool: 8, prepared_statements: prepares, variables: { statement_timeout: '60s' }
    )
    Item.reset_column_information
    Item.delete_all
  end
  step("#{mode} create, update, find") do
    item = Item.create!(name: 'a', data: { 'k' => 1 }, tags: [1, 2])
    item.update!(name: 'b')
    found = Item.find_by(name: 'b')
    equal [found.data, found.tags], [{ 'k' => 1 }, [1, 2]]
    equal Item.find(item.id).name, 'b'
  end
  step("#{mode} nested transactions") do
    Item.transaction do
      Item.create!(name: 'outer')
      Item.transaction(requires_new: true) { Item.create!(name: 'inner'); raise ActiveRecord::Rollback }
    end
    equal Item.where(name: %w[outer inner]).pluck(:name), ['outer']
  end
  step("#{mode} find_each") do
    Item.transaction { (1..50).each { |i| Item.create!(name: "n#{i}", n: i) } }
    n = 0
    Item.where('n > 0').find_each(batch_size: 7) { n += 1 }
    equal n, 50
  end
  step("#{mode} threads") do
    (1..8).map do |k|
      Thread.new do
        ActiveRecord::Base.connection_pool.with_connection { 10.times { |i| equal Item.where('n > ?', 0).where(name: "n#{1 + (i + k) % 50}").count, 1 } }
      end
    end.each(&:join)
  end
  step("#{mode} lock, pluck, aggregates") do
    Item.transaction { equal Item.lock.find_by(name: 'n2').name, 'n2' }
    equal Item.where('n <= 3').order(:n).pluck(:name), %w[n1 n2 n3]
    equal Item.where('n > 0').group('n % 2').count, { 0 => 25, 1 => 25 }
  end
  step("#{mode} an error in a statement") do
    fails(ActiveRecord::StatementInvalid) { Item.where('nowhere = 1').to_a }
    equal Item.where(n: 1).count, 1
  end
  creates("#{mode} a schema") do
    ActiveRecord::Schema.define do
      drop_table(:made_posts, if_exists: true)
      create_table(:made_posts) { |t| t.string :title, index: { unique: true }; t.timestamps }
    end
    ActiveRecord::Base.connection.drop_table(:made_posts)
  end
  creates("#{mode} a schema that changes under cached statements") do
    ActiveRecord::Base.connection.create_table(:made_changing, force: true) { |t| t.string :title }
    changing = Class.new(ActiveRecord::Base) { self.table_name = 'made_changing' }
    changing.create!(title: 'x')
    3.times { equal changing.find_by(title: 'x').title, 'x' }
    ActiveRecord::Base.connection.add_column(:made_changing, :extra, :integer)
    changing.reset_column_information
    equal changing.first.respond_to?(:extra), true
    equal changing.find_by(title: 'x').extra, nil
    ActiveRecord::Base.connection.drop_table(:made_changing)
  end
  step("#{mode} the lock of migrations") do
    equal ActiveRecord::Base.connection.get_advisory_lock(4242), true
    equal ActiveRecord::Base.connection.release_advisory_lock(4242), true
  end
  ActiveRecord::Base.connection_pool.disconnect!
end
