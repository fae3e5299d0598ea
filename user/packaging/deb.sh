#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build the Debian packages of this tree, in .build/deb: what `make deb` runs.
# Their changelog is the newest entry of the tree's.
#
# usage: deb.sh [OPTION of dpkg-buildpackage...]
set -eu
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
maintainer=$(sed -n 's/^Maintainer: //p' "$here/debian/control")
version=${VERSION:-$(sed -n 's/^## \([0-9][0-9.]*\).*/\1/p' "$top/CHANGELOG.md" | head -n 1)}

# The newest entry of the tree's changelog. One without a date is not released.
changelog() {
	local heading date suite

	heading=$(grep -m 1 '^## ' "$top/CHANGELOG.md")
	suite=unstable
	date=${heading#* - }
	if [ "$date" = "$heading" ]; then
		suite=UNRELEASED
		date=@$(stat -c %Y "$top/CHANGELOG.md")
	fi
	printf 'zcp (%s) %s; urgency=medium\n\n' "$version" "$suite"
	awk '
		/^## / { entries++ }
		entries != 1 || /^## / { next }
		/^- / && item { print item; item = "" }
		{ gsub(/`/, ""); sub(/^[- ] /, ""); item = item (item && $0 ? " " : "") $0 }
		END { print item }
	' "$top/CHANGELOG.md" | while IFS= read -r item; do
		fold -s -w 74 <<<"$item" | sed -e 's/ *$//' -e '1s/^/  * /' -e '2,$s/^/    /'
	done
	printf '\n -- %s  %s\n' "$maintainer" "$(date -u -R -d "$date")"
}

"$top/selftests/vm/deps.sh" build deb
out=$top/.build/deb
tree=$out/zcp-$version
rm -rf "$out"
mkdir -p "$tree"
rsync -a --exclude=.git --filter=':- .gitignore' "$top/" "$tree"
cp -R "$here/debian" "$tree/debian"
changelog >"$tree/debian/changelog"
cd "$tree"
# What make was called with is not for the packages.
unset VERSION PREFIX DESTDIR MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
dpkg-buildpackage -us -uc "$@"
rm -rf "$tree"
