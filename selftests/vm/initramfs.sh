#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Make the initramfs that boots a VM from the host's root file system, once
# for every kernel, and print its path.
#
# usage: initramfs.sh RELEASE ROOT     (see kernel.sh)
#        initramfs.sh RELEASE          for a kernel that needs no modules
set -eu -o pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
cache=${ZCP_CACHE:-$HOME/.cache/zcp}
# Where modprobe is, which others than root have not on theirs.
PATH=$PATH:/usr/sbin:/sbin
release=$1
modules=
if [ $# -gt 1 ]; then
	root=$2
	modules='virtio_pci 9p 9pnet_virtio overlay'
fi

busybox=$(command -v busybox)
key=$(cat "$0" "$here/initramfs-init" "$busybox" | sha256sum | cut -c1-12)
if [ -n "$modules" ]; then
	key+=-$(stat -c %Y "$root/lib/modules/$release/modules.dep")
fi
out=$cache/initramfs/$release-$key.cpio
if [ -e "$out" ]; then
	echo "$out"
	exit
fi

mkdir -p "${out%/*}"
tmp=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp"/fs/{bin,modules,lower,rw,new}
cp "$busybox" "$tmp/fs/bin/busybox"
cp "$here/initramfs-init" "$tmp/fs/init"
chmod 755 "$tmp/fs/init"
: >"$tmp/fs/modules/order"

for module in $modules; do
	modprobe -d "$root/" -S "$release" --show-depends "$module"
done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r file; do
	name=${file##*/}
	name=${name%%.ko*}.ko
	case $file in
	*.xz) xz -dc "$file" ;;
	*.zst) zstd -dcq "$file" ;;
	*.gz) gzip -dc "$file" ;;
	*) cat "$file" ;;
	esac >"$tmp/fs/modules/$name"
	echo "$name" >>"$tmp/fs/modules/order"
done

(cd "$tmp/fs" && find . | cpio -o -H newc -R 0:0 --quiet) >"$tmp/cpio"
mv "$tmp/cpio" "$out"
echo "$out"
