# Builds rings and hands them out by rsync. Devices that are new are added; devices of nodes that have gone are left for
# an operator to remove, when their data is elsewhere.
#
# @param devices      all that the storage nodes have
# @param replicas     of everything
# @param part_power   a ring has two to the power of it partitions, for ever
class objects::rings (
  Array[Struct[{ address => String[1], device => String[1], zone => Integer[1], weight => Numeric }], 1] $devices,
  Integer[1] $replicas = 2,
  Integer[1, 32] $part_power = 8,
) {
  $builders = '/var/lib/rings'
  $rings    = '/srv/rings'
  $ports    = { 'account' => 6202, 'container' => 6201, 'object' => 6200 }

  Exec {
    path => ['/usr/bin', '/bin'],
  }

  package { ['swift', 'rsync']:
    ensure => installed,
  }

  -> file { [$builders, $rings]:
    ensure => directory,
    owner  => 'root',
    group  => 'root',
    mode   => '0755',
  }

  $ports.each |$ring, $port| {
    $builder = "${builders}/${ring}.builder"

    exec { "create the ${ring} ring":
      command => "swift-ring-builder ${builder} create ${part_power} ${replicas} 1",
      creates => $builder,
      require => File[$builders],
    }

    $devices.each |$one| {
      $place = "--ip ${one['address']} --port ${port} --device ${one['device']}"

      exec { "add ${one['address']}/${one['device']} to the ${ring} ring":
        command => "swift-ring-builder ${builder} add --region 1 --zone ${one['zone']} ${place} --weight ${one['weight']}",
        unless  => "swift-ring-builder ${builder} search ${place}",
        require => Exec["create the ${ring} ring"],
        before  => Exec["rebalance the ${ring} ring"],
      }
    }

    # Exit code 1 is a warning: that not all could be moved yet, for one.
    exec { "rebalance the ${ring} ring":
      command  => "swift-ring-builder ${builder} rebalance || test $? = 1
        install -m 0644 ${builders}/${ring}.ring.gz ${rings}/${ring}.ring.gz",
      unless   => "test ${rings}/${ring}.ring.gz -nt ${builder}",
      provider => shell,
      require  => File[$rings],
      before   => Exec['checksums of the rings'],
    }
  }

  exec { 'checksums of the rings':
    command  => 'sha256sum *.ring.gz > SHA256SUMS',
    unless   => 'sha256sum --check --status SHA256SUMS',
    cwd      => $rings,
    provider => shell,
  }

  file { '/etc/rsyncd.conf':
    ensure  => file,
    owner   => 'root',
    group   => 'root',
    mode    => '0644',
    content => epp('objects/rsyncd-rings.conf.epp', { 'rings' => $rings }),
    require => Package['rsync'],
  }

  ~> service { 'rsync':
    ensure  => running,
    enable  => true,
    require => Exec['checksums of the rings'],
  }
}
