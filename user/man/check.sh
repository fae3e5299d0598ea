#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Do the man pages say all there is to say, and can they be read? Prints a line
# for each thing that is wrong, and fails when there is one.
#
# usage: check.sh [CHECK]...
#
#   functions   each public function of the headers and the library has a page
#   ioctls      each ioctl and constant of the kernel's header is in zcp(4)
#   parameters  each parameter of the module is in zcp(4)
#   options     what a verb's help names is in its section of zcpctl(1), and what
#               it lists as an option is taken by the verb; the other way round too
#   form        man, mandoc and lexgrog have nothing to complain about
#
# TOP is the tree, PAGES the directory with the pages, LIBRARY libzcp.so, ZCPCTL
# the program.
set -u

here=$(cd "$(dirname "$0")" && pwd)
TOP=${TOP:-$(dirname "$(dirname "$here")")}
PAGES=${PAGES:-$TOP/user/.obj/man}
LIBRARY=${LIBRARY:-$TOP/user/lib/libzcp.so}
ZCPCTL=${ZCPCTL:-$TOP/user/zcpctl/zcpctl}
status=0

wrong() {
	echo "$*"
	status=1
}

# A page as it reads, without fonts and escapes: plain PAGE
plain() {
	sed -e 's/\\f[BIR]//g' -e 's/\\[%&]//g' -e 's/\\-/-/g' -e 's/\\ / /g' \
		-e 's/^\.[A-Z]* //' "$PAGES/$1"
}

functions() {
	local name found=0

	while read -r name; do
		found=$((found + 1))
		if [ ! -s "$PAGES/$name.3" ]; then
			wrong "$name(3): the function has no page"
		elif ! plain "$name.3" | grep -q "$name("; then
			wrong "$name(3): the page does not say how the function is called"
		fi
	done < <({
		nm -D --defined-only "$LIBRARY" | sed -n 's/^[0-9a-f]* T \([^@]*\).*/\1/p'
		cat "$TOP"/include/zcp/*.h | tr '\n' ' ' | grep -o 'ZCP_API [^;(]*' |
			sed 's/[ *]*$//; s/.*[ *]//' | grep '^zcp_'
	} | sort -u)
	[ "$found" -gt 0 ] || wrong "no functions were found"
}

ioctls() {
	local name found=0

	while read -r name; do
		found=$((found + 1))
		plain zcp.4 | grep -qw "$name" || wrong "zcp(4): $name is missing"
	done < <(sed -n 's/^#define \(ZCP_[A-Z_]*\)[[:space:]].*/\1/p' \
		"$TOP/include/uapi/linux/zcp.h" | grep -vE '^ZCP_(IOC_TYPE|IFNAMSIZ|REASON_COUNT)$')
	[ "$found" -gt 0 ] || wrong "no ioctls were found"
}

parameters() {
	local name found=0

	while read -r name; do
		found=$((found + 1))
		plain zcp.4 | sed -n '/MODULE PARAMETERS/,/^FILES/p' | grep -qx "$name" ||
			wrong "zcp(4): the module's parameter $name is missing"
	done < <(sed -n 's/^module_param[a-z_]*(\([a-z_0-9]*\),.*/\1/p' "$TOP"/kmod/*.c)
	[ "$found" -gt 0 ] || wrong "no parameters were found"
}

# The options in a text, a line for each.
options_in() {
	grep -oE '(^|[^[:alnum:]_-])--?[a-zA-Z][a-z0-9-]*' | sed 's/^[^-]//' | sort -u
}

# It ends with an option that there is not, so that nothing is ever done.
accepts() {
	timeout 10 "$ZCPCTL" "$1" "$2" x --no-such-option >/dev/null 2>"$tmp/err" </dev/null
	case $? in
	0 | 2) ! grep -q -e " $2 is not an option" "$tmp/err" ;;
	*) return 1 ;;
	esac
}

options() {
	local verb option file name found=0

	while read -r verb; do
		"$ZCPCTL" help "$verb" >"$tmp/$verb.help"
		plain zcpctl.1 | sed -n "/^\"$verb\"\$/,/^\"[a-z]*\"\$/p" >"$tmp/$verb.page"
		[ -s "$tmp/$verb.page" ] || wrong "zcpctl(1): the verb $verb has no section"
		options_in <"$tmp/$verb.page" >"$tmp/mentioned"
		while read -r option; do
			grep -qxF -e "$option" "$tmp/mentioned" ||
				wrong "zcpctl(1): the option $option of $verb is missing"
		done < <(options_in <"$tmp/$verb.help")
		while read -r option; do
			found=$((found + 1))
			accepts "$verb" "$option" ||
				wrong "zcpctl $verb: its help names $option, which it does not take"
		done < <(sed -n 's/^  \(-.*\)/\1/p' "$tmp/$verb.help" | sed 's/  .*//' | options_in)
	done < <("$ZCPCTL" -h | sed -n 's/^  \([a-z]*\) .*/\1/p')
	[ "$found" -gt 0 ] || wrong "no options were found"
	# Options that the sources have and no help names. Those that several verbs
	# share are in a file that is no verb's.
	cat "$tmp"/*.help >"$tmp/all"
	for file in "$TOP"/user/zcpctl/*.c; do
		verb=$(sed -nE 's/^const (char|struct command) ([a-z]*)_(help\[\]|command) .*/\2/p' \
			"$file" | head -n 1)
		name=$tmp/${verb:-all}
		[ -z "$verb" ] || name+=.help
		while read -r option; do
			options_in <"$name" | grep -qxF -e "--$option" ||
				wrong "$(basename "$file"): no help names the option --$option"
		done < <(sed -nE -e 's/.*\{ "([a-z-]*)", (no|required|optional)_argument,.*/\1/p' \
			-e 's/.*\<OPT\("([a-z-]*)",.*/\1/p' "$file")
	done
}

form() {
	local page

	for page in "$PAGES"/*; do
		MANROFFSEQ='' LC_ALL=C.UTF-8 MANWIDTH=80 \
			man --warnings -E UTF-8 -l -Tutf8 -Z "$page" >/dev/null
		mandoc -T lint -W warning "$page" || status=1
		lexgrog "$page" >/dev/null || echo "$page: the line of NAME cannot be read"
	done >"$tmp/form" 2>&1
	[ -f "$page" ] || wrong "there are no pages in $PAGES"
	[ ! -s "$tmp/form" ] || wrong "$(cat "$tmp/form")"
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
[ $# -gt 0 ] || set -- functions ioctls parameters options form
for check; do
	case $check in
	functions) functions ;;
	ioctls) ioctls ;;
	parameters) parameters ;;
	options) options ;;
	form) form ;;
	*)
		echo "check.sh: no check $check" >&2
		exit 2
		;;
	esac
done
exit $status
