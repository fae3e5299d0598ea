#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build User-mode Linux in DIR, part of kernel.sh: the defconfig of ARCH=um,
# uml.config and, for a VARIANT, uml-VARIANT.config. Nothing is done if DIR has
# what would be built. The plain one, which measures speed, gets uml-lazy-ipi.patch,
# uml-hz.patch and uml-sched-clock.patch; variants do not, uml-stock is for that.
#
# usage: uml.sh SOURCE DIR [VARIANT]     SOURCE is the kernel's source tree
set -eu
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
# What kconfig.sh has by name.
# shellcheck disable=SC2034
source=$1
out=$2
# shellcheck disable=SC2034
fragments=("$here/uml.config" ${3:+"$here/uml-$3.config"})
# shellcheck disable=SC2034
make_args=(ARCH=um)
patches=()
[ -n "${3-}" ] || patches=("$here"/uml-{lazy-ipi,hz,sched-clock}.patch)
# shellcheck source=kconfig.sh
. "$here/kconfig.sh"

begin
echo "uml.sh: building User-mode Linux, which takes some minutes" >&2
[ ${#patches[@]} -eq 0 ] || patch_source
configure defconfig
kernel_make -j"$(nproc)" linux modules
# Modules are built without them.
rm -f "$out"/vmlinux.{o,a,unstripped} "$out"/.tmp_vmlinux*
end
