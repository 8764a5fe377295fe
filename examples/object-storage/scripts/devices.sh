#!/bin/sh
# Exports the devices of a storage node: what is mounted below /srv/node, with its size in MiB as its weight.
set -eu
devices=
for place in /srv/node/*; do
  if ! mountpoint -q "$place"; then
    echo "$place is not mounted; the scheme of the role has to have a file system for it" >&2
    exit 1
  fi
  weight=$(df --output=size --block-size=1M "$place" | tail -n 1 | tr -d ' ')
  echo "$place: $weight MiB"
  devices="$devices${devices:+, }{\"device\": \"${place##*/}\", \"weight\": $weight}"
done
echo "{\"devices\": [$devices]}" > "$MUSTER_FACTS"
