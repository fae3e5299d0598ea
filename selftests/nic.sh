#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The driver decides: real NIC drivers, what they take without a copy, and
# what changes when a feature is switched off, before a job and during it.
# Needs the pairs of NICs that selftests/vm/run.sh makes with --nic all; what
# User-mode Linux does not have of them is skipped.
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"
tap_begin

size=8388608
ne2k_size=1000003	# that emulated card is slow
e1000e=(77 '')
virtio=(78 v)
ne2k=(79 n)
veth=(80 p)

# The pair to use: net NUMBER SUFFIX
net() {
	address=10.$1.0.2
	at_tx=(ip netns exec "tx$2")
	at_rx=(ip netns exec "rx$2")
}

driver_name() {
	"${at_tx[@]}" ethtool -i eth0 2>/dev/null | sed -n 's/^driver: //p'
}

# Use this pair if it is there, and joined by a NIC: nic KIND NUMBER SUFFIX
# Where there are no NICs a pair of veth may have taken its place.
nic() {
	net "$2" "${3:-}"
	case $1:$(driver_name) in
	veth:veth) ;;
	*: | *:veth)
		skip "nic: $1" "there is no $1 here"
		return 1
		;;
	esac
}

net "${veth[@]}"
if [ -n "$(missing ethtool ip)" ] || [ -z "$(driver_name)" ]; then
	skip "nic" "needs ethtool and the namespaces of selftests/vm/run.sh --nic all"
	finish
	exit 0
fi

head -c $size /dev/urandom >"$tmp/file"
head -c $ne2k_size "$tmp/file" >"$tmp/small"
sum=$(digest "$tmp/file")
small_sum=$(digest "$tmp/small")

driver() {
	same "$1" "$(driver_name)" driver
}

# set FEATURE on|off: and wait until the link is there again.
feature() {
	local try

	"${at_tx[@]}" ethtool -K eth0 "$1" "$2" >/dev/null || return 1
	for ((try = 0; try < 300; try++)); do
		[ "$("${at_tx[@]}" cat /sys/class/net/eth0/carrier)" != 1 ] || return 0
		sleep 0.1
	done
	echo "no carrier after ethtool -K eth0 $1 $2"
	return 1
}

features_back() {
	local name

	for name in sg tx tso; do
		feature $name on || return 1
	done
}

cleanup() {
	net "${e1000e[@]}"
	features_back 2>/dev/null
}

zerocopy_all() {
	driver "$1" && deliver "$sum" "$tmp/file" && accounts $size 0 none &&
		deliver "$sum" --mode zerocopy "$tmp/file" && accounts $size 0 none
}

copy_when_asked() {
	deliver "$sum" --mode copy "$tmp/file" && accounts 0 $size asked
}

ne2k_copies() {
	driver ne2k-pci && deliver "$small_sum" "$tmp/small" && accounts 0 $ne2k_size no-sg
}

# A path that copies: mode zerocopy says so, and why.
refused() {
	local reason=$1 file=$2

	if send --mode zerocopy "$file"; then
		echo "mode zerocopy was not refused"
		return 1
	fi
	cat "$tmp/send.json" "$tmp/send.err"
	same failed "$(json state "$tmp/send.json")" state &&
		same 95 "$(json errno "$tmp/send.json")" errno &&
		same "$reason" "$(json copy_reason "$tmp/send.json")" copy_reason &&
		same 0 "$(json bytes "$tmp/send.json")" bytes &&
		same 1 "$(wc -l <"$tmp/send.err")" "lines of error" &&
		grep -qi zerocopy "$tmp/send.err"
}

# Switched off before the job: switched_off FEATURE REASON
switched_off() {
	local status=0

	feature "$1" off && deliver "$sum" "$tmp/file" && accounts 0 $size "$2" &&
		refused "$2" "$tmp/file" || status=1
	features_back && deliver "$sum" "$tmp/file" && accounts $size 0 none || status=1
	return $status
}

# Starts a transfer and stops its receiver part way; sets $sender.
begin_and_hold() {
	receive -o "$tmp/got" || return 1
	kill -STOP "$receiver"
	"${at_tx[@]}" zcpctl send --json "$@" "$tmp/file" "$address:$port" \
		>"$tmp/send.json" 2>"$tmp/send.err" &
	sender=$!
	children+=("$sender")
	until_blocked
}

# Switched off during the job: what was pushed before counts as zero-copy,
# what is pushed afterwards as copied. switched_off_during FEATURE REASON
switched_off_during() {
	local status=0 zerocopy copied

	begin_and_hold && feature "$1" off || status=1
	kill -CONT "$receiver"
	wait "$sender" || status=1
	received || status=1
	features_back || status=1
	cat "$tmp/send.json" "$tmp/send.err"
	zerocopy=$(json bytes_zerocopy "$tmp/send.json")
	copied=$(json bytes_copied "$tmp/send.json")
	same "done" "$(json state "$tmp/send.json")" state &&
		same "$sum" "$(json sha256 "$tmp/recv.json")" sha256 &&
		same "$2" "$(json copy_reason "$tmp/send.json")" copy_reason &&
		same $size $((zerocopy + copied)) "zero-copied and copied" &&
		[ "$zerocopy" -gt 0 ] && [ "$copied" -gt 0 ] || status=1
	return $status
}

# Mode zerocopy: the job fails where the path begins to copy, part way.
zerocopy_lost() {
	local status=0 sent got

	begin_and_hold --mode zerocopy && feature sg off || status=1
	kill -CONT "$receiver"
	if wait "$sender"; then
		echo "the job succeeded"
		status=1
	fi
	# The connection is reset, so that the part is not taken for the whole.
	if received; then
		echo "the receiver saw no error"
		status=1
	fi
	features_back || status=1
	cat "$tmp/send.json" "$tmp/send.err"
	got=$(stat -c %s "$tmp/got")
	sent=$(json bytes "$tmp/send.json")
	same failed "$(json state "$tmp/send.json")" state &&
		same 95 "$(json errno "$tmp/send.json")" errno &&
		same no-sg "$(json copy_reason "$tmp/send.json")" copy_reason &&
		[ "$sent" -gt 0 ] && [ "$sent" -lt $size ] &&
		same 0 "$(json bytes_copied "$tmp/send.json")" bytes_copied &&
		[ "$got" -le "$sent" ] &&
		head -c "$got" "$tmp/file" | cmp - "$tmp/got" || status=1
	return $status
}

# caps EXPECTED-SG EXPECTED-MODE
caps() {
	receive -o "$tmp/got" &&
		"${at_tx[@]}" zcpctl caps --json "$address:$port" >"$tmp/caps" && received &&
		same eth0 "$(json ifname "$tmp/caps")" ifname &&
		same "$1" "$(json sg "$tmp/caps")" sg &&
		same "$2" "$(json auto_mode "$tmp/caps")" auto_mode
}

header_and_tail() {
	{ printf 'head' && cat "$tmp/file" && printf 'tail'; } >"$tmp/all"
	deliver "$(digest "$tmp/all")" --header head --trailer tail "$tmp/file" &&
		accounts $size 8 inline
}

over_ipv6() {
	local status=0 ipv4=$address

	address="[fd77::2]"
	deliver "$sum" "$tmp/file" && accounts $size 0 none || status=1
	address=$ipv4
	return $status
}

if nic e1000e "${e1000e[@]}"; then
	check "nic: e1000e zero-copies 100 % of the file" zerocopy_all e1000e
	check "nic: e1000e copies when asked" copy_when_asked
	check "nic: e1000e header, file, trailer" header_and_tail
	check "nic: e1000e over IPv6" over_ipv6
	check "nic: e1000e caps" caps true zerocopy
	check "nic: e1000e after sg off copies 100 %, no-sg; zerocopy refused" \
		switched_off sg no-sg
	check "nic: e1000e after tx off copies 100 %, no-csum; zerocopy refused" \
		switched_off tx no-csum
	check "nic: e1000e sg off during a job" switched_off_during sg no-sg
	check "nic: e1000e tx off during a job" switched_off_during tx no-csum
	check "nic: e1000e sg off during a job of mode zerocopy" zerocopy_lost
fi
if nic virtio-net "${virtio[@]}"; then
	check "nic: virtio-net zero-copies 100 % of the file" zerocopy_all virtio_net
	check "nic: virtio-net copies when asked" copy_when_asked
fi
if nic ne2k_pci "${ne2k[@]}"; then
	check "nic: ne2k_pci copies 100 %, no-sg" ne2k_copies
	check "nic: ne2k_pci refuses mode zerocopy" refused no-sg "$tmp/small"
	check "nic: ne2k_pci caps" caps false copy
fi
if nic veth "${veth[@]}"; then
	check "nic: veth zero-copies 100 % of the file" zerocopy_all veth
fi
finish
