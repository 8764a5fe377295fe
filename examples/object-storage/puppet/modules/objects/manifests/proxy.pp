# The proxy server with accounts of its own (tempauth), and a cache.
#
# @param port       where it listens
# @param password   of the user `demo` in the account `demo`
class objects::proxy (
  Integer[1, 65535] $port,
  Sensitive[Pattern[/\A[A-Za-z0-9_.-]+\z/]] $password,
) {
  package { ['swift-proxy', 'memcached']:
    ensure  => installed,
    require => Class['objects'],
  }

  file { '/etc/swift/proxy-server.conf':
    ensure    => file,
    owner     => 'root',
    group     => 'swift',
    mode      => '0640',
    show_diff => false,
    content   => Sensitive(epp('objects/proxy-server.conf.epp', { 'port' => $port, 'password' => $password.unwrap })),
    require   => Package['swift-proxy'],
  }

  service { ($objects::all - ['proxy']).map |$name| { "swift-${name}" }:
    ensure => stopped,
    enable => false,
  }

  service { 'memcached':
    ensure  => running,
    enable  => true,
    require => Package['memcached'],
  }

  -> service { 'swift-proxy':
    ensure    => running,
    enable    => true,
    subscribe => File['/etc/swift/swift.conf', '/etc/swift/proxy-server.conf'],
  }
}
