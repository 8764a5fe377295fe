#!/bin/sh
# Brings the rings from their builder: fetch-rings.sh ADDRESS CHECKSUMS. Exit code 3: they are here already.
set -eu
address=$1
checksums=$2
cd /etc/swift
right() { printf '%s\n' "$checksums" | sha256sum --check --strict "$@"; }

if right --status 2> /dev/null; then
  echo "the rings are the right ones already"
  exit 3
fi
new=$(mktemp -d /etc/swift/.rings-XXXXXX)
trap 'rm -rf "$new"' EXIT
rsync --timeout=60 --contimeout=30 "rsync://$address/rings/*.ring.gz" "$new/"
(cd "$new" && right)
chmod 0644 "$new"/*
mv "$new"/*.ring.gz /etc/swift/
