#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Fetch Debian packages, of any suite of the mirror this system uses, without
# being root and without changing the system.
#
# usage: apt.sh list SUITE REGEX          names and versions, newest last
#        apt.sh unpack SUITE DIR PKG...   download, verify and unpack into DIR
#        apt.sh sources SUITE             a file with the suite's lines for apt
#
# SUITE:ARCH is the suite of another architecture.
set -eu

cache=${ZCP_CACHE:-$HOME/.cache/zcp}
cmd=${1:?usage: apt.sh list|unpack|sources SUITE ...}
suite=${2:?usage: apt.sh list|unpack|sources SUITE ...}
shift 2
state=$cache/apt/$suite
arch=
case $suite in
*:*)
	arch=${suite#*:}
	suite=${suite%:*}
	;;
esac

targets() {
	apt-get indextargets --format "\$(LABEL)|\$(COMPONENT)|\$(REPO_URI)|\$(SIGNED_BY)" \
		'Created-By: Packages' | sort -u
}

# A repository's line for sources.list: LABEL SUITE
repository() {
	targets | awk -F'|' -v label="$1" -v suite="$2" '
		$1 == label && $2 == "main" {
			key = $4
			if (key == "")
				key = "/usr/share/keyrings/debian-archive-keyring.gpg"
			if (key ~ /^\//)
				printf "deb [signed-by=%s] %s %s main\n", key, $3, suite
			else
				printf "deb %s %s main\n", $3, suite
			exit
		}'
}

apt() {
	tool=$1
	shift
	"$tool" -qq -o "Dir::State::Lists=$state/lists" \
		-o "Dir::Cache=$state" \
		-o "Dir::Etc::SourceList=$state/sources.list" \
		-o Dir::Etc::SourceParts=/dev/null \
		-o Dir::Etc::Preferences=/dev/null \
		-o Dir::Etc::PreferencesParts=/dev/null \
		-o APT::Sandbox::User= \
		${arch:+-o "APT::Architecture=$arch" -o "APT::Architectures=$arch"} "$@"
}

# Package lists are good for a day.
update() {
	mkdir -p "$state/lists/partial" "$state/archives/partial"
	if [ -z "$(find "$state/updated" -mmin -1440 2>/dev/null)" ]; then
		{
			repository Debian "$suite"
			case $suite in
			*-*) ;;
			*) repository Debian-Security "$suite-security" ;;
			esac
		} >"$state/sources.list"
		# The labels of repositories are in lists that may not be here yet.
		if [ ! -s "$state/sources.list" ] && [ "$(id -u)" = 0 ] &&
		   [ -z "${apt_updated:-}" ]; then
			apt_updated=1
			apt-get -qq update >&2
			update
			return
		fi
		if [ ! -s "$state/sources.list" ]; then
			echo "apt.sh: no Debian mirror in this system's apt sources" >&2
			exit 1
		fi
		echo "apt.sh: fetching the package lists of $suite" >&2
		# It would not fail by itself when it cannot connect.
		if apt apt-get -o APT::Update::Error-Mode=any update >&2; then
			touch "$state/updated"
		elif [ -n "$(find "$state/lists" -maxdepth 1 -name '*_Packages*')" ]; then
			echo "apt.sh: going on with the lists of $suite that are here" >&2
		else
			echo "apt.sh: there are no package lists of $suite" >&2
			exit 1
		fi
	fi
}

mkdir -p "$state"
exec 9>"$state/lock"
flock 9
update

case $cmd in
list)
	names=$(apt apt-cache search --names-only "$1" | cut -d' ' -f1)
	# shellcheck disable=SC2086 # one word per package
	apt apt-cache madison $names | awk -F' *[|] *' '
		$3 ~ /Packages/ { sub(/^ */, "", $1); print $2, $1 }' | sort -uV
	;;
unpack)
	dir=$1
	shift
	tmp=$(mktemp -d "$state/debs.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	trap 'exit 130' HUP INT TERM
	echo "apt.sh: fetching $*" >&2
	(cd "$tmp" && apt apt-get download "$@" >&2)
	mkdir -p "$dir"
	for deb in "$tmp"/*.deb; do
		dpkg-deb -x "$deb" "$dir"
	done
	;;
sources)
	echo "$state/sources.list"
	;;
*)
	echo "apt.sh: unknown command $cmd" >&2
	exit 2
	;;
esac
