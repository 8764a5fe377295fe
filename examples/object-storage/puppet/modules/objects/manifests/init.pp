# What all nodes of Swift have.
#
# @param hash   what places of objects are worked out with; the same everywhere, and never another
class objects (
  Sensitive[Pattern[/\A[A-Za-z0-9_.-]+\z/]] $hash,
) {
  # Whatever Swift can run on a node.
  $all = [
    'account', 'account-auditor', 'account-reaper', 'account-replicator',
    'container', 'container-auditor', 'container-replicator', 'container-updater',
    'container-reconciler', 'container-sharder', 'container-sync',
    'object', 'object-auditor', 'object-replicator', 'object-updater', 'object-reconstructor',
    'proxy',
  ]

  package { 'swift':
    ensure => installed,
  }

  -> file { '/etc/swift/swift.conf':
    ensure    => file,
    owner     => 'root',
    group     => 'swift',
    mode      => '0640',
    show_diff => false,
    content   => Sensitive(epp('objects/swift.conf.epp', { 'hash' => $hash.unwrap })),
  }
}
