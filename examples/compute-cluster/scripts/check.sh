#!/bin/sh
# Proves that the cluster serves: check.sh ENDPOINT "CONTROLLER CONTROLLER"
#
# A row that the service writes through the endpoint is in both databases, and what is written to either of them comes to
# the other.
set -eu
endpoint=$1
controllers=$2
name="check-$(date +%s)-$$"
# Without the line end that a secret may have.
MYSQL_PWD=$(echo "$MUSTER_SECRET_DATABASE")
export MYSQL_PWD

# query HOST SQL
query() {
  mariadb --host="$1" --user=compute --connect-timeout=10 --batch --skip-column-names --execute="$2" compute
}

# arrives HOST NAME: a replica may be a little behind
arrives() {
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    if [ "$(query "$1" "SELECT COUNT(*) FROM instances WHERE name = '$2'")" = 1 ]; then
      echo "the database on $1 has $2"
      return
    fi
    sleep 1
  done
  echo "the database on $1 has no row $2 after 20 s: it does not replicate" >&2
  exit 1
}

health=$(curl -fsS --max-time 60 "http://$endpoint/health")
echo "through the endpoint: $health"
made=$(curl -fsS --max-time 60 --data "$name" "http://$endpoint/instances")
echo "through the endpoint: $made"
curl -fsS --max-time 60 "http://$endpoint/instances" | grep -q "\"$name\""
number=$(query "$endpoint" "SELECT @@server_id")
echo "the endpoint's database is number $number"

for controller in $controllers; do
  arrives "$controller" "$name"
  query "$controller" "INSERT INTO instances (name, host) VALUES ('$name-$controller', 'check')"
done
for controller in $controllers; do
  for other in $controllers; do
    arrives "$controller" "$name-$other"
  done
done

query "${controllers%% *}" "DELETE FROM instances WHERE name LIKE '$name%'"
rows=$(query "$endpoint" "SELECT COUNT(*) FROM instances")
echo "rows=$rows" > "$MUSTER_FACTS"
