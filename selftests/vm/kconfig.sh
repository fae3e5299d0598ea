# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
# (variables are shared with uml.sh and kcsan.sh)
#
# Configure and build a kernel of $source in $out, by the array $fragments:
# what uml.sh and kcsan.sh share.

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

kernel_make() {
	make -s -C "$source" O="$out" "${make_args[@]}" "$@" >&2
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
				die "Linux $(kernel_make -s kernelversion 2>&1) cannot have $line"
			;;
		'# CONFIG_'*' is not set')
			symbol=${line#\# }
			! grep -q "^${symbol%% *}=" "$out/.config" ||
				die "something needs ${symbol%% *}, which a fragment leaves out"
			;;
		esac
	done < <(asked)
}

# configure DEFAULTS: a target of make to begin with
configure() {
	kernel_make "$1"
	"$source/scripts/kconfig/merge_config.sh" -Q -m -O "$out" "$out/.config" "${fragments[@]}" \
		>"$out/merge.log"
	kernel_make olddefconfig
	verify
}

# $source becomes a copy of it that the array $patches has changed.
patch_source() {
	local tree=$out.source file

	rm -rf "$tree"
	cp -al "$source" "$tree"
	for file in "${patches[@]}"; do
		# It makes new files: the original keeps its own.
		patch -s -d "$tree" -p1 --no-backup-if-mismatch <"$file" >&2 ||
			die "Linux $(kernel_make -s kernelversion 2>&1) is not what ${file##*/} is for"
	done
	source=$tree
}

complete() {
	[ "$(cat "$out/.complete" 2>/dev/null)" = "$wanted" ]
}

# Ends the script when $out has what would be built; else nobody else builds there.
begin() {
	wanted=$(cat "${fragments[@]}" ${patches[@]+"${patches[@]}"} "$source/Makefile" |
		sha256sum)
	! complete || exit 0
	mkdir -p "$out"
	exec 8>"$out.lock"
	flock 8
	! complete || exit 0
	rm -f "$out/.complete"
}

end() {
	echo "$wanted" >"$out/.complete"
}
