# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Network of a VM, part of guest.sh.  A pair of NICs joins two namespaces in
# which each is called eth0:
#
#   the NIC asked for   tx 10.77.0.1 fd77::1    rx 10.77.0.2 fd77::2
#
# and with "all", at the same time:
#
#   e1000e              tx 10.77.0.1 fd77::1    rx 10.77.0.2 fd77::2
#   virtio              txv 10.78.0.1 fd78::1   rxv 10.78.0.2 fd78::2
#   ne2k_pci            txn 10.79.0.1 fd79::1   rxn 10.79.0.2 fd79::2
#   veth                txp 10.80.0.1 fd80::1   rxp 10.80.0.2 fd80::2
#
# User-mode Linux has no NICs: there "all" is tx, rx, txp and rxp, all veth.

# Interface with this hardware address: nic_find MAC
nic_find() {
	local entry

	for entry in /sys/class/net/*; do
		if [ "$(<"$entry/address")" = "$1" ]; then
			echo "${entry##*/}"
			return 0
		fi
	done
	echo "no NIC $1"
	return 1
}

# Give an interface to a namespace: nic_give INTERFACE NAMESPACE NET HOST
nic_give() {
	ip netns add "$2" &&
		ip link set "$1" netns "$2" name eth0 &&
		ip -n "$2" -batch - <<-EOT
			link set lo up
			address add 10.$3.0.$4/24 dev eth0
			address add fd$3::$4/64 dev eth0 nodad
			link set eth0 up
		EOT
}

# Until both ends can reach each other: nic_wait SUFFIX NET
nic_wait() {
	local try

	for ((try = 1; try <= 100; try++)); do
		if [ "$try" -gt 1 ]; then
			sleep 0.1
		fi
		if ip -n "tx$1" link show eth0 | grep -q LOWER_UP &&
		   ip -n "rx$1" link show eth0 | grep -q LOWER_UP; then
			break
		fi
	done
	ip netns exec "tx$1" busybox ping -c 1 -w 10 "10.$2.0.2"
}

# nic_pair KIND SUFFIX NET
nic_pair() {
	local tx rx mac

	case $1 in
	veth)
		tx=veth-tx$2
		rx=veth-rx$2
		ip link add "$tx" type veth peer name "$rx" || return 1
		;;
	e1000e | virtio | ne2k_pci)
		case $1 in
		e1000e) modprobe e1000e && mac=00 ;;
		virtio) modprobe virtio_net && mac=01 ;;
		ne2k_pci) modprobe ne2k-pci && mac=02 ;;
		esac || return 1
		tx=$(nic_find "52:54:00:7a:$mac:01") || return 1
		rx=$(nic_find "52:54:00:7a:$mac:02") || return 1
		;;
	*)
		echo "unknown NIC $1"
		return 1
		;;
	esac
	nic_give "$tx" "tx$2" "$3" 1 && nic_give "$rx" "rx$2" "$3" 2
}

nic_setup() {
	if [ "$1" != all ]; then
		nic_pair "$1" '' 77 && nic_wait '' 77
		return
	fi
	if [ "${arch:-}" = um ]; then
		nic_pair veth '' 77 && nic_pair veth p 80 && nic_wait '' 77 && nic_wait p 80
		return
	fi
	nic_pair e1000e '' 77 && nic_pair virtio v 78 && nic_pair ne2k_pci n 79 &&
		nic_pair veth p 80 && nic_wait '' 77 && nic_wait v 78 &&
		nic_wait n 79 && nic_wait p 80
}
