#!/bin/sh
# Proves that the cluster serves: check.sh PROXY "STORAGE STORAGE"
#
# A file that is uploaded comes back as it was, and each storage node has a replica of it.
set -eu
proxy=$1
storages=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
object="check-$(date +%s)-$$"

# Secrets and tokens are in files: everybody can read what programs are called with.
umask 077
printf 'X-Auth-User: demo:demo\nX-Auth-Key: %s\n' "$(echo "$MUSTER_SECRET_ACCOUNT")" > "$dir/login"
curl -fsS --max-time 60 -D "$dir/answer" -o /dev/null -H "@$dir/login" "$proxy/auth/v1.0"
tr -d '\r' < "$dir/answer" > "$dir/headers"
sed -n 's/^X-Auth-Token: /X-Auth-Token: /ip' "$dir/headers" > "$dir/token"
url=$(sed -n 's/^X-Storage-Url: //ip' "$dir/headers")
account=${url##*/}
swift() { curl -fsS --max-time 120 -H "@$dir/token" "$@"; }

head -c 3000000 /dev/urandom > "$dir/sent"
swift -X PUT -o /dev/null "$url/check"
swift -T "$dir/sent" "$url/check/$object"
swift -o "$dir/received" "$url/check/$object"
cmp "$dir/sent" "$dir/received"
echo "3000000 bytes came back from $url/check/$object as they were"

# where_it_is: the addresses that the ring says, without those for when a node is away
where_it_is() {
  swift-get-nodes /etc/swift/object.ring.gz "$account" check "$object" |
    sed -n '/Handoff/d; s/^curl .*"\(http[^"]*\)".*/\1/p' | sort -u
}
sum=$(md5sum < "$dir/sent" | cut -d ' ' -f 1)

# replica_on ADDRESS: the proxy answers when most replicas are written; the last may come a little later
replica_on() {
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    for place in $(where_it_is | grep -F "//$1:"); do
      if curl -fsS --max-time 60 -I "$place" 2> /dev/null | tr -d '\r"' | grep -qix "etag: $sum"; then
        echo "replica: $place"
        return
      fi
    done
    sleep 1
  done
  echo "storage node $1 has no replica of $account/check/$object; the ring says it is at:" >&2
  where_it_is >&2
  exit 1
}
replicas=0
for storage in $storages; do
  replica_on "$storage"
  replicas=$((replicas + 1))
done

swift -X DELETE "$url/check/$object"
echo "replicas=$replicas" > "$MUSTER_FACTS"
