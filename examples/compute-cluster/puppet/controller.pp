# A controller of the cluster: a database that replicates from the other controller.
$muster      = lookup('muster')
$me          = $muster['node']
$controllers = $muster['nodes'].filter |$node| { $node['role'] == $me['role'] }
$others      = $controllers.filter |$node| { $node['name'] != $me['name'] }
$index       = $controllers.index |$node| { $node['name'] == $me['name'] }

if $others.length > 1 {
  fail("two databases can replicate from each other, and the cluster has ${controllers.length} controllers")
}

class { 'database':
  number               => $index + 1,
  peer                 => $others.map |$node| { $node['address'] }[0],
  password             => Sensitive(chomp($muster['secrets']['database'])),
  replication_password => Sensitive(chomp($muster['secrets']['replication'])),
}
