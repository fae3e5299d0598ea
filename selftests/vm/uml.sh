#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build User-mode Linux in DIR, part of kernel.sh: the defconfig of ARCH=um,
# uml.config and, for a VARIANT, uml-VARIANT.config. Nothing is done if DIR has
# what would be built.
#
# usage: uml.sh SOURCE DIR [VARIANT]     SOURCE is the kernel's source tree
set -eu
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
source=$1
out=$2
fragments=("$here/uml.config" ${3:+"$here/uml-$3.config"})

die() {
	echo "uml.sh: $*" >&2
	exit 1
}

um_make() {
	make -s -C "$source" O="$out" ARCH=um "$@" >&2
}

# What the fragments say; of a symbol that several name, the last word.
asked() {
	cat "${fragments[@]}" | awk '
		/^CONFIG_/ { name = substr($1, 1, index($1, "=") - 1) }
		/^# CONFIG_.* is not set$/ { name = $2 }
		name != "" { line[name] = $0; name = "" }
		END { for (name in line) print line[name] }'
}

# Each symbol of the fragments has the value asked for: Kconfig silently drops
# what it does not know and what something else forbids.
verify() {
	local line symbol

	while read -r line; do
		case $line in
		CONFIG_*=*)
			grep -qxF -e "$line" "$out/.config" ||
				die "Linux $(um_make -s kernelversion 2>&1) (um) cannot have $line"
			;;
		'# CONFIG_'*' is not set')
			symbol=${line#\# }
			! grep -q "^${symbol%% *}=" "$out/.config" ||
				die "something needs ${symbol%% *}, which a fragment leaves out"
			;;
		esac
	done < <(asked)
}

configure() {
	um_make defconfig
	"$source/scripts/kconfig/merge_config.sh" -Q -m -O "$out" "$out/.config" "${fragments[@]}" \
		>"$out/merge.log"
	um_make olddefconfig
	verify
}

wanted=$(cat "${fragments[@]}" "$source/Makefile" | sha256sum)
complete() {
	[ "$(cat "$out/.complete" 2>/dev/null)" = "$wanted" ]
}

! complete || exit 0
mkdir -p "$out"
exec 8>"$out.lock"
flock 8
! complete || exit 0
echo "uml.sh: building User-mode Linux, which takes some minutes" >&2
rm -f "$out/.complete"
configure
um_make -j"$(nproc)" linux modules
# Modules are built without them.
rm -f "$out"/vmlinux.{o,a,unstripped} "$out"/.tmp_vmlinux*
echo "$wanted" >"$out/.complete"
