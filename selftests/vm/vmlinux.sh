#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Unpack a distribution's kernel once, instead of at every boot where an
# emulated CPU takes seconds for it.  Prints the path of the ELF image, or
# that of VMLINUZ if its compression is not known.
#
# usage: vmlinux.sh VMLINUZ
set -eu

image=$1
cache=${ZCP_CACHE:-$HOME/.cache/zcp}
out=$cache/vmlinux/${image##*/}-$(stat -c %Y-%s "$image")
if [ -e "$out" ]; then
	echo "$out"
	exit
fi

# Little-endian number in the image: number OFFSET SIZE
number() {
	od -An -v -j "$1" -N "$2" -t "u$2" "$image" | tr -d ' '
}

# See "The Linux/x86 Boot Protocol": setup_sects, payload_offset and
# payload_length.  The payload ends with the size of what it unpacks to, which
# only gzip takes for a part of its own.
setup=$((($(number 497 1) + 1) * 512))
start=$((setup + $(number 584 4)))
length=$(number 588 4)
size=$(number $((start + length - 4)) 4)
case $(od -An -v -j "$start" -N 4 -t x1 "$image") in
' fd 37 7a 58') unpack='xz -dc --single-stream' ;;
' 28 b5 2f fd') unpack='zstd -dcq' ;;
' 1f 8b '*)
	unpack='gzip -dc'
	length=$((length + 4))
	;;
*)
	echo "$image"
	exit
	;;
esac

mkdir -p "${out%/*}"
tmp=$(mktemp "$out.XXXXXX")
trap 'rm -f "$tmp"' EXIT
tail -c "+$((start + 1))" "$image" | head -c "$((length - 4))" | $unpack >"$tmp" || :
if [ "$(stat -c %s "$tmp")" = "$size" ]; then
	mv "$tmp" "$out"
	echo "$out"
else
	echo "$image"
fi
