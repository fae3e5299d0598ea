#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build a small x86-64 kernel with KCSAN in DIR, part of kernel.sh, by
# kcsan.config. Nothing is done if DIR has what would be built.
#
# The kernel itself is not instrumented, which emulation would make far too
# slow: modules are. What the kernel does to memory that the module reads is seen
# by its value changing.
#
# usage: kcsan.sh SOURCE DIR     SOURCE is the kernel's source tree
set -eu
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
# What kconfig.sh has by name.
# shellcheck disable=SC2034
source=$1
out=$2
# shellcheck disable=SC2034
fragments=("$here/kcsan.config")
# shellcheck disable=SC2034
make_args=(ARCH=x86_64 KCSAN_SANITIZE=n)
# shellcheck source=kconfig.sh
. "$here/kconfig.sh"

begin
echo "kcsan.sh: building a kernel with KCSAN, which takes some minutes" >&2
configure allnoconfig
kernel_make -j"$(nproc)" bzImage modules
# So that what looks for modules finds that all is built in.
rm -rf "$out/root"
kernel_make INSTALL_MOD_PATH="$out/root" modules_install
rm -f "$out"/vmlinux.o "$out"/.tmp_vmlinux*
end
