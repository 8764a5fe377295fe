#!/bin/busybox sh
# Called by udhcpc: gives the interface what the DHCP server said.
case $1 in
deconfig)
  ip addr flush dev "$interface"
  ip link set "$interface" up
  ;;
bound | renew)
  # An address that stays the same is not taken away in between: the agent's session lives on it.
  ip addr show dev "$interface" | grep -q "inet $ip/${mask:-24} " || {
    ip addr flush dev "$interface"
    ip addr add "$ip/${mask:-24}" dev "$interface"
  }
  [ -n "$mtu" ] && ip link set "$interface" mtu "$mtu"
  [ -n "$router" ] && ip route replace default via "${router%% *}" dev "$interface"
  if [ -n "$dns" ]; then
    for server in $dns; do echo "nameserver $server"; done >/run/muster/resolv.conf
    mv /run/muster/resolv.conf /etc/resolv.conf
  fi
  echo "$interface $ip/${mask:-24}" >/run/muster/network
  ;;
esac
exit 0
