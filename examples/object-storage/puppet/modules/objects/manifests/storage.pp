# Account, container and object servers, and rsync for replication between them.
#
# @param has_rings   without rings the servers cannot run, and are left alone
# @param daemons     those that run. Each takes 50 MiB of memory: on larger machines add account-auditor, account-reaper,
#                    container-auditor and object-auditor
class objects::storage (
  Boolean $has_rings,
  Array[String[1]] $daemons = [
    'account', 'account-replicator',
    'container', 'container-replicator', 'container-updater',
    'object', 'object-replicator', 'object-updater',
  ],
) {
  $servers = { 'account' => 6202, 'container' => 6201, 'object' => 6200 }

  package { ['swift-account', 'swift-container', 'swift-object', 'rsync']:
    ensure  => installed,
    require => Class['objects'],
  }

  # The scheme has mounted them.
  file { ['/srv/node/d1', '/srv/node/d2']:
    ensure  => directory,
    owner   => 'swift',
    group   => 'swift',
    mode    => '0755',
    require => Package['swift-object'],
  }

  $servers.each |$server, $port| {
    file { "/etc/swift/${server}-server.conf":
      ensure  => file,
      owner   => 'root',
      group   => 'swift',
      mode    => '0640',
      content => epp('objects/server.conf.epp', { 'server' => $server, 'port' => $port }),
      require => Package["swift-${server}"],
    }
  }

  file { '/etc/rsyncd.conf':
    ensure  => file,
    owner   => 'root',
    group   => 'root',
    mode    => '0644',
    content => epp('objects/rsyncd-storage.conf.epp', { 'servers' => $servers.keys }),
    require => Package['rsync'],
  }

  ~> service { 'rsync':
    ensure => running,
    enable => true,
  }

  # The packages let all of them start at boot.
  service { ($objects::all - $daemons).map |$name| { "swift-${name}" }:
    ensure => stopped,
    enable => false,
  }

  if $has_rings {
    $configured = $servers.keys.map |$server| { File["/etc/swift/${server}-server.conf"] }

    service { $daemons.map |$name| { "swift-${name}" }:
      ensure    => running,
      enable    => true,
      require   => File['/srv/node/d1', '/srv/node/d2'],
      subscribe => [File['/etc/swift/swift.conf']] + $configured,
    }
  }
}
