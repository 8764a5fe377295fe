# A compute of the cluster: a service that keeps what it knows in the controllers' databases.
$muster      = lookup('muster')
$controllers = $muster['nodes'].filter |$node| { $node['role'] == 'compute-controller' }

class { 'instances':
  port      => Integer(lookup('service_port')),
  databases => $controllers.map |$node| { $node['address'] },
  password  => Sensitive(chomp($muster['secrets']['database'])),
}
