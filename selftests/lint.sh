#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Style and static checks of everything in the tree: what `make lint` runs.
# The last line says "lint: ok" or what failed.
#
#   lint.sh [checkpatch|sparse|shellcheck|clang-format|codespell|man]...
#
# Logs are in .build/lint.
set -u

here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
vm=$here/vm
logs=$top/.build/lint
failures=()

# Files of the tree, also those that are not committed yet: files PATTERN...
files() {
	git -C "$top" ls-files -co --exclude-standard -- "$@" | while read -r file; do
		[ ! -f "$top/$file" ] || echo "$file"
	done
}

run() {
	local name=$1

	shift
	if "$@" >"$logs/$name" 2>&1; then
		echo "$name: ok"
	else
		tail -n 200 "$logs/$name"
		failures+=("$name")
	fi
}

# What checkpatch cannot know, by place: TRACE_EVENT() is no function call;
# compat/ is where kernel versions are looked at; programs do not have the
# kernel's macros, and talk to signal handlers; how user/ breaks its lines
# clang-format says; and macros for tables, and SOURCE() in a test, name an
# argument twice.
exceptions() {
	case $1 in
	kmod/trace.h) echo OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT ;;
	kmod/compat/*) echo LINUX_VERSION_CODE,CONSTANT_COMPARISON ;;
	user/* | include/zcp/*) echo "$programs,PARENTHESIS_ALIGNMENT" ;;
	selftests/* | docs/examples/*) echo "$programs" ;;
	*) echo NONE ;;
	esac
}
programs=PREFER_KERNEL_TYPES,ARRAY_SIZE,BIT_MACRO,CAMELCASE,VOLATILE,PREFER_DEFINED_ATTRIBUTE_MACRO
programs+=,MACRO_ARG_REUSE

# Takes FIXTURE_DATA(name) for the type that it is.
without_fixtures() {
	local file line rest

	while IFS=: read -r file line rest; do
		case $rest in
		*SPACING*)
			! sed -n "${line}p" "$top/$file" | grep -q 'FIXTURE_DATA([a-z]*) \*' || continue
			;;
		esac
		echo "$file:$line:$rest"
	done
}

checkpatch() {
	local file said status

	files '*.c' '*.h' | while read -r file; do
		said=$(cd "$top" && perl "$source/scripts/checkpatch.pl" --no-tree --strict --terse \
			--show-types --no-summary --max-line-length=100 \
			--ignore "$(exceptions "$file")" -f "$file")
		status=$?
		[ -z "$said" ] || echo "$said"
		# With 1 it has found what it says.
		case $status${said:+ said} in
		0* | '1 said') ;;
		*) echo "$file:0: checkpatch.pl ended with status $status" ;;
		esac
	done | without_fixtures >"$logs/checkpatch.found"
	# It leaves a cache behind in the repository.
	rm -f "$top"/.checkpatch-camelcase.*
	cat "$logs/checkpatch.found"
	[ ! -s "$logs/checkpatch.found" ]
}

# Sparse and W=1, on the kernel's headers; what is theirs is not reported.
sparse() {
	local release='' image='' root='' kdir='' out=$logs/module

	eval "$("$vm/kernel.sh" get 6.1)"
	rm -rf "$out"
	mkdir -p "$out"
	rsync -a --prune-empty-dirs --exclude='*.mod.c' --include='*/' --include='*.[chS]' \
		--include=Kbuild --include=Makefile --exclude='*' "$top/kmod" "$top/include" "$out"
	cp "$top/Kbuild" "$top/CHANGELOG.md" "$out"
	# With make's -s it would not say what it has checked.
	MAKEFLAGS='' make -C "$kdir" M="$out" C=2 W=1 CHECK=sparse CF='-D__CHECK_ENDIAN__ -Wcontext -Wsparse-error' \
		-j"$(nproc)" modules >"$logs/sparse.log" 2>&1 || {
		tail -n 50 "$logs/sparse.log"
		return 1
	}
	grep -q CHECK "$logs/sparse.log" || {
		echo "sparse did not run on $release"
		return 1
	}
	: "$image" "$root"
	! grep -E "^($out|kmod|include)[^ ]*: (warning|error)" "$logs/sparse.log"
}

shell() {
	files '*.sh' '.ci/*' | (cd "$top" && xargs -r shellcheck -x -P SCRIPTDIR)
}

format() {
	files 'user/*.[ch]' 'include/zcp/*.h' |
		(cd "$top" && xargs -r clang-format --dry-run -Werror --style=file)
}

spelling() {
	files | grep -v '^LICENSES/' | (cd "$top" && xargs -r codespell -q 35 -L zuser,inflight,bu)
}

man_pages() {
	flock "$top/.build/user.lock" make -s -C "$top/user" man && "$top/user/man/check.sh" form
}

mkdir -p "$logs"
"$vm/deps.sh" build lint || exit 1
# Without a list there would be nothing to find fault with.
if [ -z "$(files 'kmod/*.c')" ]; then
	echo "lint.sh: git lists no files of $top: lint needs a clone of the repository that" \
		"belongs to who runs it, or is a safe.directory of git's" >&2
	exit 1
fi
source=$("$vm/kernel.sh" source 6.1) || exit 1
for check in "${@:-checkpatch sparse shellcheck clang-format codespell man}"; do
	for name in $check; do
		case $name in
		checkpatch) run checkpatch checkpatch ;;
		sparse) run sparse sparse ;;
		shellcheck) run shellcheck shell ;;
		clang-format) run clang-format format ;;
		codespell) run codespell spelling ;;
		man) run man man_pages ;;
		*)
			echo "lint.sh: no check $name" >&2
			exit 2
			;;
		esac
	done
done

if [ ${#failures[@]} -eq 0 ]; then
	echo "lint: ok"
else
	echo "lint: failed: ${failures[*]}"
	exit 1
fi
