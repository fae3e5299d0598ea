#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Checks the model of jobs and links: docs/model.md. Needs no module, no root.
#
#   model.sh                    all of it, as TAP
#   model.sh run -DJOBS=1 ...   one search; what leads to an error, when there is one
#
# Each search is exhaustive: one that ends before is a failure.
# shellcheck source-path=SCRIPTDIR source=../tap.sh
. "$(dirname "$0")/../tap.sh"

model=$here/model
doc=$top/docs/model.md

# What holds: NAME|OPTIONS
holds=(
	"two jobs, no wake-up is lost|-DJOBS=2"
	"two workers at a time|-DJOBS=1 -DWORKERS=2"
	"quotas and no memory|-DJOBS=1 -DPRELOAD=1 -DQUOTA=1 -DNOMEM=1 -DMISHAPS=2"
	"a reader sleeps only without events|-DJOBS=1 -DREADER=1"
	"CANCEL of a job, blocked or running|-DJOBS=1 -DCANCEL=1 -DPRELOAD=1"
	"UNLINK|-DJOBS=1 -DUNLINK=1"
	"UNLINK, interrupted|-DJOBS=1 -DUNLINK=1 -DMORTAL=1"
	"the whole link cancelled|-DJOBS=1 -DCANCEL_ALL=1"
	"reset, and connected again|-DJOBS=1 -DLENGTH_0=2 -DRESET=1 -DRECONNECT=1"
	"close and rmmod while a page is read|-DJOBS=1 -DRELEASE=1 -DCOLD=0 -DQUOTA=1"
	"close and rmmod while a reader leaves|-DJOBS=1 -DRELEASE=1 -DREADER=2"
	"the peer stops reading|-DJOBS=1 -DLENGTH_0=2 -DSTALL=1"
)

# What is found when it is put in: BUG|OPTIONS
defects=(
	"ARM_LATE|-DJOBS=2"
	"NOTE|-DJOBS=2"
	"END_RUN|-DJOBS=2"
	"IDLE|-DJOBS=1 -DUNLINK=1"
	"KICK|-DJOBS=2"
	"CANCEL_NEXT|-DJOBS=2 -DCANCEL=1 -DPACED=0 -DMISHAPS=1"
	"LOOK_LATE|-DJOBS=2"
	"READER|-DJOBS=1 -DREADER=1"
	"END_TWICE|-DJOBS=1 -DLENGTH_0=2 -DCANCEL=1"
	"QUEUE|-DJOBS=1 -DUNLINK=1"
	"TWO_RUNNERS|-DJOBS=2"
	"FIFO|-DJOBS=2"
	"UNA|-DJOBS=1 -DRESET=1 -DRECONNECT=1"
	"NEXT_CONNECTION|-DJOBS=1 -DLENGTH_0=2 -DRESET=1 -DRECONNECT=1 -DSNDBUF=2"
	"CALL_REF|-DJOBS=1"
	"LOOK_REF|-DJOBS=1 -DRELEASE=1"
	"WAIT_ENTRY|-DJOBS=1 -DRELEASE=1"
	"EXIT|-DJOBS=1 -DRELEASE=1 -DCOLD=0 -DQUOTA=1"
	"NOTE_LATE|-DJOBS=2"
	"OTHERS|-DJOBS=1 -DRELEASE=1 -DCOLD=0 -DQUOTA=1"
)

# What leaves a job for ever, and is found by that: BUG|OPTIONS
endless="ARM_LATE|-DJOBS=1 -DPRELOAD=1"

# In the current directory: search OPTION...
search() {
	spin -a "$@" "$model/zcp.pml" >spin.log 2>&1 &&
		cc -O0 -w -DSAFETY -DNOCLAIM -DMEMLIM=2048 -o pan pan.c >>spin.log 2>&1 &&
		timeout 300 ./pan -m100000 -w22 -n >pan.log 2>&1
}

# That everything goes on, for ever, under weak fairness. What is asserted is not looked at.
search_cycles() {
	spin -a -DLIVENESS=1 "$@" "$model/zcp.pml" >spin.log 2>&1 &&
		cc -O0 -w -DMEMLIM=2048 -DNFAIR=3 -o pan pan.c >>spin.log 2>&1 &&
		timeout 300 ./pan -A -a -f -m200000 -w22 -n >pan.log 2>&1
}

# SPIN counts in bytes that it has; a search that was cut off says so.
complete() {
	grep -q 'states, stored' "$1" &&
		! grep -E 'not completed|too small|out of memory|aborted' "$1"
}

held() {
	cat "$1/spin.log" "$1/pan.log" 2>&1
	complete "$1/pan.log" && grep -q 'errors: 0' "$1/pan.log"
}

# found DIR WHAT
found() {
	cat "$1/spin.log" "$1/pan.log" 2>&1
	grep -q 'errors: 1' "$1/pan.log" && grep -qE "^pan:1: ($2)" "$1/pan.log"
}

# Each line of the table in docs/model.md: a step, and its function.
table() {
	# shellcheck disable=SC2016 # backquotes of the table
	sed -n 's/^| `\([a-z_]*\)` | `\([a-z_]*\)` | `\([a-z.]*\)` .*/\1 \2 \3/p' "$doc"
}

functions_exist() {
	local step function file count=0

	while read -r step function file; do
		count=$((count + 1))
		grep -qE "^(active )?(inline|proctype) $step\(" "$model"/*.pml || {
			echo "no step $step in the model"
			return 1
		}
		grep -qE "^[a-z].*[ *]$function\(" "$top/kmod/$file" || {
			echo "no function $function in kmod/$file"
			return 1
		}
	done < <(table)
	[ "$count" -ge 30 ]
}

# What has the name of a function is in the table.
steps_are_told() {
	local step

	sed -n 's/^inline \(z[a-z_]*\)(.*/\1/p' "$model"/*.pml | while read -r step; do
		table | grep -q "^$step " || {
			echo "$step is not in docs/model.md"
			exit 1
		}
	done
}

bugs_are_tried() {
	same "$(sed -n 's/^#define BUG_\([A-Z_]*\)\t.*/\1/p' "$model/zcp.pml" | sort)" \
		"$(printf '%s\n' "${defects[@]%%|*}" | sort)" "defects"
}

number() {
	sed -n "s/^#define BUG_$1\t*\([0-9]*\)\t.*/\1/p" "$model/zcp.pml"
}

if [ "${1-}" = run ]; then
	shift
	dir=$(mktemp -d)
	cd "$dir" || exit 1
	search "$@"
	cat spin.log pan.log
	[ ! -e zcp.pml.trail ] || spin -t -p -g "$@" -k zcp.pml.trail "$model/zcp.pml"
	exit
fi
# One of those below, in a directory of its own.
if [ "${1-}" = one ]; then
	mkdir -p "$2" && cd "$2" || exit 1
	kind=$3
	shift 3
	"$kind" "$@"
	rm -f pan pan.? ./*.trail
	exit
fi

tap_start
lacks=$(missing spin cc)
check "each function named in docs/model.md exists" functions_exist
check "each step of the model is in docs/model.md" steps_are_told
check "each defect is tried" bugs_are_tried
if [ -n "$lacks" ]; then
	skip "the searches" "needs $lacks"
	finish
	exit 0
fi
{
	for i in "${!holds[@]}"; do
		echo "one $tmp/hold$i search ${holds[$i]#*|}"
	done
	echo "one $tmp/cycles search_cycles -DJOBS=1 -DPRELOAD=1"
	echo "one $tmp/endless search_cycles -DBUG=$(number "${endless%%|*}") ${endless#*|}"
	for i in "${!defects[@]}"; do
		echo "one $tmp/bug$i search -DBUG=$(number "${defects[$i]%%|*}") ${defects[$i]#*|}"
	done
} | xargs -P "$(nproc)" -L 1 "$0"
for i in "${!holds[@]}"; do
	check "${holds[$i]%%|*}" held "$tmp/hold$i"
done
check "a job whose peer reads ends" held "$tmp/cycles"
check "that it does not, with ${endless%%|*}, is found" found "$tmp/endless" "acceptance cycle"
for i in "${!defects[@]}"; do
	check "the defect ${defects[$i]%%|*} is found" found "$tmp/bug$i" \
		"assertion violated|invalid end state"
done
finish
