# MariaDB that others may write to, and that replicates from its peer. May be applied before there is a peer: then the
# next run makes it replicate.
#
# @param number                 its own among the databases: 1 or 2
# @param peer                   address of the other one
# @param password               of the user `compute`, who owns the database `compute`
# @param replication_password   of the user `replication`; the same everywhere
class database (
  Integer[1, 2] $number,
  Optional[String[1]] $peer,
  Sensitive[Pattern[/\A[A-Za-z0-9_.-]+\z/]] $password,
  Sensitive[Pattern[/\A[A-Za-z0-9_.-]+\z/]] $replication_password,
) {
  $accounts = '/etc/mysql/cluster-accounts.sql'
  $account_values = {
    'password'             => $password.unwrap,
    'replication_password' => $replication_password.unwrap,
  }

  File {
    owner => 'root',
    group => 'root',
  }

  package { 'mariadb-server':
    ensure => installed,
  }

  -> file { '/etc/mysql/mariadb.conf.d/60-cluster.cnf':
    ensure  => file,
    mode    => '0644',
    content => epp('database/cluster.cnf.epp', { 'number' => $number }),
  }

  ~> service { 'mariadb':
    ensure => running,
    enable => true,
  }

  -> file { $accounts:
    ensure    => file,
    mode      => '0600',
    show_diff => false,
    content   => Sensitive(epp('database/accounts.sql.epp', $account_values)),
  }

  # What was done last is kept, so that it is done again until it has succeeded, and when it has changed.
  -> exec { 'accounts of the cluster':
    command  => "mariadb < ${accounts} && cp -p ${accounts} ${accounts}.done",
    unless   => "cmp -s ${accounts} ${accounts}.done",
    path     => ['/usr/bin', '/bin'],
    provider => shell,
  }

  if $peer {
    class { 'database::replica':
      peer     => $peer,
      password => $replication_password,
      require  => Exec['accounts of the cluster'],
    }
  }
}
