#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Send a real file through real NIC drivers, in a VM, and see how its bytes
# went: over e1000e without a copy, and over ne2k_pci, which cannot do that,
# with copies that zcp accounts for.
#
# usage: demo.sh [VERSION]     see kernel.sh; KERNEL is the default
set -eu
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
cache=${ZCP_CACHE:-$HOME/.cache/zcp}
version=${1:-${KERNEL:-}}

case $version in
uml*)
	echo "demo: User-mode Linux has no NICs to show" >&2
	exit 2
	;;
esac
"$here/deps.sh" build vm
release='' image='' root='' userland=''
assignments=$("$here/kernel.sh" get ${version:+"$version"})
eval "$assignments"

# The file to send: this kernel and its modules.
file=$cache/demo/$release.bin
mkdir -p "${file%/*}"
if [ ! -e "$file" ]; then
	echo "packing $release into $file"
	tmp=$(mktemp "$file.XXXXXX")
	trap 'rm -f "$tmp"' EXIT
	tar -C "$root/" --owner=0 --group=0 -cf "$tmp" \
		"boot/${image##*/}" "lib/modules/$release"
	mv "$tmp" "$file"
fi

# In the VM: transfer FILE SUFFIX ADDRESS, from namespace tx to namespace rx,
# prints the results of sender and receiver and the digest of what arrived.
# shellcheck disable=SC2016 # the VM's variables
in_vm='
transfer() {
	ip netns exec "rx$2" zcpctl recv --once --json -o /tmp/out 0 \
		>/tmp/recv 2>/tmp/port &
	recv=$!
	until port=$(sed -n "s/^listening on .*:\([0-9]*\)$/\1/p" /tmp/port) &&
	      [ -n "$port" ]; do
		kill -0 $recv || return 1
		sleep 0.1
	done
	ip netns exec "tx$2" zcpctl send --json "$1" "$3:$port" | tail -n 1
	wait $recv
	tail -n 1 /tmp/recv
	sha256sum </tmp/out
}
'
in_vm+=$(printf 'file=%q' "$file")
# With another userland the VM does not have this system's files. What is shared with it
# has no page cache there, so that zcp would be handed copies: it is sent from its /tmp.
share=()
if [ -n "$userland" ]; then
	share=(--share "${file%/*}")
	# shellcheck disable=SC2016
	in_vm+='
cp "$file" /tmp/file && file=/tmp/file || exit 1'
fi
# shellcheck disable=SC2016
in_vm+='
head -c 1M "$file" >/tmp/small
transfer "$file" "" 10.77.0.2 && transfer /tmp/small n 10.79.0.2
'

echo "booting Linux $release in a VM"
results=$("$here/run.sh" ${version:+--kernel "$version"} "${share[@]}" --nic all --mem 3072 -- \
	"$in_vm")
wanted=$(sha256sum <"$file" && head -c 1M "$file" | sha256sum)

RESULTS=$results WANTED=$wanted /usr/bin/python3 - "$file" <<'EOT'
import json
import os
import sys

lines = os.environ["RESULTS"].splitlines()
wanted = [line.split()[0] for line in os.environ["WANTED"].splitlines()]
sizes = [os.path.getsize(sys.argv[1]), 1 << 20]
if len(lines) != 6:
    sys.exit("demo: not the results expected:\n" + "\n".join(lines))

print(f"{'NIC':9}{'bytes':>12}{'zero-copied':>13}{'copied':>10}  "
      f"{'reason':8}{'seconds':>8}  SHA-256")
good = True
for number, nic in enumerate(("e1000e", "ne2k_pci")):
    sent, received, digest = lines[3 * number:3 * number + 3]
    sent, received = json.loads(sent), json.loads(received)
    same = digest.split()[0] == received["sha256"] == wanted[number]
    size = sizes[number]
    split = (size, 0) if nic == "e1000e" else (0, size)
    good &= same and sent["state"] == "done" and sent["bytes"] == size
    good &= (sent["bytes_zerocopy"], sent["bytes_copied"]) == split
    if nic == "ne2k_pci":
        good &= sent["copy_reason"] == "no-sg"
    print(f"{nic:9}{sent['bytes']:12}{sent['bytes_zerocopy']:13}"
          f"{sent['bytes_copied']:10}  {sent['copy_reason']:8}"
          f"{sent['acked_ns'] / 1e9:8.2f}  {'equal' if same else 'DIFFERENT'}")
    print(f"         sent     {wanted[number]}")
    print(f"         received {digest.split()[0]}")
if not good:
    sys.exit("demo: this is not how it should be")
EOT
