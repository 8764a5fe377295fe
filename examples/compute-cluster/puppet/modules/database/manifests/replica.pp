# Makes the database of this node replicate from another one, if that one answers.
#
# @param peer       its address
# @param password   of its user `replication`
class database::replica (
  String[1] $peer,
  Sensitive[String[1]] $password,
) {
  $values = { 'peer' => $peer, 'password' => $password.unwrap }
  $sql    = '/etc/mysql/cluster-replica.sql'
  $client = '/etc/mysql/cluster-peer.cnf'
  $status = "mariadb -e 'SHOW SLAVE STATUS\\G'"

  file {
    default:
      ensure    => file,
      owner     => 'root',
      group     => 'root',
      mode      => '0600',
      show_diff => false;
    $sql:
      content => Sensitive(epp('database/replica.sql.epp', $values));
    $client:
      content => Sensitive(epp('database/peer.cnf.epp', $values));
  }

  -> exec { "replication from ${peer}":
    command  => "mariadb < ${sql}",
    onlyif   => "mariadb --defaults-file=${client} -e 'SELECT 1'",
    unless   => "s=$(${status}) && echo \"\$s\" | grep -q 'Master_Host: ${peer}\$' && \
echo \"\$s\" | grep -q 'Slave_IO_Running: Yes' && echo \"\$s\" | grep -q 'Slave_SQL_Running: Yes'",
    path     => ['/usr/bin', '/bin'],
    provider => shell,
  }
}
