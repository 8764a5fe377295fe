# Fuel Astute's own engine with nodes that finish at once: ruby astute-peer.rb CHECKOUT NODES TASKS
# Every node has a chain of tasks; the one in the middle also waits for the first node's task before it.
$LOAD_PATH.unshift File.join(ARGV[0], 'lib')
require 'fuel_deployment'

class InstantNode < Deployment::Node
  def run(task)
    task.status = :running
    self.task = task
    self.status = :busy
  end

  def poll
    return unless busy?
    task.status = :successful
    self.status = :online
  end
end

Deployment::Log.logger.level = Logger::FATAL
nodes = Integer(ARGV[1])
tasks = Integer(ARGV[2])
cluster = Deployment::Cluster.new 'bench'
cluster.uid = 'bench'
chains = (0...nodes).map do |n|
  node = cluster.node_create "n#{n}", InstantNode
  chain = (0...tasks).map { |t| node.graph.task_create "t#{t}" }
  chain.each_cons(2) { |before, after| after.dependency_backward_add before }
  chain
end
chains.drop(1).each { |chain| chain[tasks / 2].dependency_backward_add chains[0][tasks / 2 - 1] }
cpu = Process.clock_gettime Process::CLOCK_PROCESS_CPUTIME_ID
result = cluster.run
used = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID) - cpu
abort "astute: #{result}" unless result[:success] && cluster.tasks_successful_count == nodes * tasks
puts (used / (nodes * tasks) * 1e6).round(1)
