#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The Debian packages: made, and what lintian says of them.
#
#   deb.sh build
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

verb=$1
debs=$top/.build/deb
version=$(sed -n 's/^## \([0-9.]*\).*/\1/p' "$top/CHANGELOG.md" | head -n 1)
packages="libzcp0 libzcp-dev zcp-dkms zcpctl"

made() {
	local package

	make -s -C "$top" deb || return 1
	for package in $packages; do
		same "$version" "$(dpkg-deb -f "$debs/${package}_${version}"_*.deb Version)" \
			"version of $package" || return 1
	done
}

# Whoever overrides a tag says why.
lintian_is_content() {
	lintian --allow-root --fail-on error,warning "$debs/zcp_${version}"_*.changes
}

case $verb in
build)
	tap_start
	check "deb: make deb" made
	check "deb: lintian has no error and no warning" lintian_is_content
	;;
esac
finish
