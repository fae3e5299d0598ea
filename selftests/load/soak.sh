# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
#
# Part of load.sh: jobs of all kinds over a network that loses, delays, reorders
# and doubles packets, and what memory it leaves.

soak_jobs=${LOAD_JOBS:-2000}

# What takes memory when all caches are dropped: name, bytes, objects.
memory_used() {
	local cache

	sync
	echo 3 >/proc/sys/vm/drop_caches
	for cache in /sys/kernel/slab/*; do
		[ -L "$cache" ] || echo 1 >"$cache/shrink"
	done 2>/dev/null
	awk 'NR > 2 { print $1, $2 * $4, $2 }' /proc/slabinfo
	awk '/^MemTotal:/ { pages = $2 }
		/^Slab:/ { slab = $2 }
		/^(MemFree|Buffers|Cached|Slab|AnonPages|PageTables|KernelStack|Percpu):/ {
			pages -= $2
		}
		# Free, and kept by a CPU.
		/^ *count:/ { pages -= $2 * 4 }
		END { print "/pages", pages * 1024, pages / 4; print "/slab", slab * 1024, slab }' \
		/proc/meminfo /proc/zoneinfo
}

soak() {
	network_up delay 2ms 1ms loss 0.5% duplicate 0.2% reorder 10% 50% &&
		disk soak 128 && mkdir -p "$tmp/mnt/memory" &&
		mount -t tmpfs -o size=64M soak "$tmp/mnt/memory" || return 1
	"${figure[@]}" ip netns exec "$tx" "$bin/soak" -c 24 -n /run/netns/"$rx" -a 10.81.0.2 "$@" \
		"$tmp/mnt/memory" "$tmp/mnt/soak" || return 1
	nothing_left "$tx" || return 1
	umount "$tmp/mnt/memory" && disks_down && network_down && nothing_left
}

soak_all() {
	local figure=() warm=$((soak_jobs / 4 + 100))

	# What grows once and stays has grown after this.
	soak -j $((warm < 10000 ? warm : 10000)) -s 3 || return 1
	sleep 5
	memory_used >"$tmp/before"
	figure=(figures)
	soak -j "$soak_jobs" -s "${LOAD_SEED:-1}"
}

# zcp's own objects are all gone, of each other cache less than one object has
# come for 16 jobs, and of pages that are in no cache of the kernel, nor a
# process's, less than one for 8.
memory_compare() {
	awk -v jobs="$soak_jobs" '
		NR == FNR { was[$1] = $2; had[$1] = $3; next }
		/^zcp_/ && $3 { print $1 ": " $3 " objects are left"; bad = 1 }
		!/^\// && $3 - had[$1] > 1000 + jobs / 16 {
			print $1 ": " had[$1] " objects, now " $3; bad = 1
		}
		$1 == "/pages" { pages = $2 - was[$1] }
		$1 == "/slab" { slab = $2 - was[$1] }
		END {
			printf "pages of the kernel: %+d KiB, slab: %+d KiB\n", pages / 1024, slab / 1024
			exit bad || pages > 4 * 1024 * 1024 + jobs * 512
		}' "$tmp/before" "$tmp/after"
}

# Namespaces are taken down, and what they had is freed, a little later.
memory_is_back() {
	local try

	for ((try = 0; try < 10; try++)); do
		sleep 1
		memory_used >"$tmp/after"
		memory_compare >"$tmp/compared" && break
	done
	cat "$tmp/compared"
	[ $try -lt 10 ]
}

check "soak: $soak_jobs jobs under loss, reordering, resets, cancels and cuts, each with one event, right bytes" \
	soak_all &&
	check "soak: slab caches and pages are back to what they were" figures memory_is_back
