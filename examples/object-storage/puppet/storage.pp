# A storage node. It is applied twice: before there are rings, and after.
$muster = lookup('muster')

class { 'objects':
  hash => Sensitive(chomp($muster['secrets']['hash'])),
}

class { 'objects::storage':
  has_rings => ['account', 'container', 'object'].all |$ring| { find_file("/etc/swift/${ring}.ring.gz") =~ String },
}
