# A service that keeps a list of instances in a database, and hands it out over HTTP.
#
# @param port        where it listens
# @param databases   addresses, in the order in which they are tried
# @param password    of the database user `compute`
class instances (
  Integer[1, 65535] $port,
  Array[String[1], 1] $databases,
  Sensitive[String[1]] $password,
) {
  $values = { 'port' => $port, 'databases' => $databases, 'password' => $password.unwrap }

  package { 'python3-pymysql':
    ensure => installed,
  }

  user { 'instances':
    ensure => present,
    system => true,
    home   => '/nonexistent',
    shell  => '/usr/sbin/nologin',
  }

  file {
    default:
      ensure => file,
      owner  => 'root',
      group  => 'root',
      mode   => '0644';
    '/usr/local/sbin/instances':
      mode   => '0755',
      source => 'puppet:///modules/instances/instances.py';
    '/etc/systemd/system/instances.service':
      source => 'puppet:///modules/instances/instances.service';
    '/etc/instances.ini':
      group     => 'instances',
      mode      => '0640',
      show_diff => false,
      content   => Sensitive(epp('instances/instances.ini.epp', $values)),
      require   => User['instances'];
  }

  ~> service { 'instances':
    ensure  => running,
    enable  => true,
    require => Package['python3-pymysql'],
  }
}
