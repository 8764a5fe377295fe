# The proxy: what clients speak with.
$muster = lookup('muster')

class { 'objects':
  hash => Sensitive(chomp($muster['secrets']['hash'])),
}

class { 'objects::proxy':
  port     => Integer(lookup('proxy_port')),
  password => Sensitive(chomp($muster['secrets']['account'])),
}
