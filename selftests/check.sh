#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# All tests of zcp: what `make check` runs. Ends with the line
# "N passed, N failed, N skipped", and with status 1 if any failed.
#
#   KERNEL="6.1 6.12"   the kernels to boot; kernel.sh has their names
#   BUILD="um-7.2 6.1-arm64"   more of them that the module is built for
#   TARGETS="abi cli.sh"   some of the self-tests in the VM
#   STAGES="user build spec model vm dkms runner"   which stages to run; there are also deb and judges
#
# Logs are in .build/check: one at a time runs in a tree. When it is interrupted, all that
# it has started ends.
set -u

here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
vm=$here/vm
logs=$top/.build/check
kernels=${KERNEL:-6.1 6.12}
builds=${BUILD-6.1 6.12 um-7.2 6.1-arm64}
stages=${STAGES:-user build spec model vm dkms runner}
limit=${ZCP_VM_TIMEOUT:-1800}

passed=0
failed=0
skipped=0
totals=$logs/totals
warnings=$logs/warnings
# What the tests are of: a kernel, or programs; its own three numbers.
group=programs
declare -A group_passed group_failed group_skipped
# Told once more at the end: a long log's end is what is read first.
failures=()

# tests PASSED FAILED SKIPPED
tests() {
	passed=$((passed + $1))
	failed=$((failed + $2))
	skipped=$((skipped + $3))
	group_passed[$group]=$((${group_passed[$group]-0} + $1))
	group_failed[$group]=$((${group_failed[$group]-0} + $2))
	group_skipped[$group]=$((${group_skipped[$group]-0} + $3))
}

# One test: result NAME STATUS [WHAT-WENT-WRONG]
result() {
	if [ "$2" -eq 0 ]; then
		tests 1 0 0
		echo "ok - $1"
	else
		tests 0 1 0
		failures+=("not ok - $1${3:+ # $3}")
		echo "${failures[-1]}"
	fi
}

# What a TAP stream says before each test that failed, or before its early end:
# the files may be gone when the log is read.
why() {
	awk '
		function tell(  i) {
			for (i = n > 80 ? n - 80 : 0; i < n; i++)
				print "  | " said[i]
			n = 0
		}
		/^1\.\.[0-9]+/ { plan = substr($1, 4) }
		/^(not )?ok/ { seen++ }
		/^ok/ { n = 0; next }
		{ said[n++] = $0 }
		/^not ok/ { tell() }
		END { if (seen + 0 < plan + 0 || !seen) tell() }' "$1"
}

# A stream of TAP was counted: count NAME LOG PASSED FAILED SKIPPED
count() {
	tests "$3" "$4" "$5"
	if [ "$4" -eq 0 ]; then
		echo "ok - $1: $3 passed, 0 failed, $5 skipped"
	else
		failures+=("not ok - $1: $3 passed, $4 failed, $5 skipped # see $2")
		echo "${failures[-1]}"
		why "$2"
	fi
}

# Reads TAP of one program; writes three numbers to the file totals, and prints
# what failed or was skipped. A plan that is missing or not fulfilled is a failure;
# a skip is one unless its reason says what is missing.
tap_totals() {
	# shellcheck disable=SC2069 # the numbers only
	awk -v status="$1" '
		/^1\.\.[0-9]+/ { plan = substr($1, 4); next }
		/^(not )?ok/ {
			seen++
			if (/^ok.*# SKIP/) {
				reason = $0
				sub(/.*# SKIP */, "", reason)
				if (reason ~ /needs|lacks|without|missing|there is no/) {
					skip++
					print "  " $0 >"/dev/stderr"
				} else {
					fail++
					print "  " $0 " (what is missing?)" >"/dev/stderr"
				}
			} else if ($1 == "ok") {
				pass++
			} else {
				fail++
				print "  " $0 >"/dev/stderr"
			}
		}
		END {
			if (plan == "") {
				fail++
				print "  no plan: it ended early, status " status >"/dev/stderr"
			} else if (plan != seen + 0) {
				fail++
				print "  " seen + 0 " of " plan " tests, status " status >"/dev/stderr"
			} else if (status && !fail && pass) {
				fail++
				print "  all passed, but its status is " status >"/dev/stderr"
			}
			print pass + 0, fail + 0, skip + 0
		}' 2>&1 >"$totals"
}

user_tests() {
	local log=$logs/user.log status numbers

	make -C "$top/user" check >"$log" 2>&1
	status=$?
	tap_totals "$status" <"$log"
	read -ra numbers <"$totals"
	count "user: library and zcpctl without a module" "$log" "${numbers[@]}"
}

# No warning, by W=1, of the compiler of the kernel's distribution: build_module VERSION
build_module() {
	local log=$logs/build-$1.log out=$logs/build-$1 assignments status compiler
	local release='' image='' root='' kdir='' arch='' userland='' args=() inside=()

	if ! assignments=$("$vm/kernel.sh" get "$1" 2>"$log"); then
		result "build: zcp.ko for $1, W=1" 1 "no kernel headers, see $log"
		return
	fi
	eval "$assignments"
	case $arch in
	# No kernel was built there, so that no list of its symbols exists.
	um) args=(ARCH=um KBUILD_MODPOST_WARN=1) ;;
	arm64) args=(ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-) ;;
	esac
	if [ -n "$userland" ]; then
		if ! "$vm/userland.sh" get "$userland" >"$log" 2>&1; then
			result "build: zcp.ko for $1, W=1" 1 "no userland, see $log"
			return
		fi
		inside=("$vm/userland.sh" run "$userland" "$out" "$root" --)
	fi
	rm -rf "$out"
	mkdir -p "$out"
	rsync -a --prune-empty-dirs --exclude='*.mod.c' --include='*/' --include='*.[chS]' \
		--include=Kbuild --include=Makefile --exclude='*' "$top/kmod" "$top/include" "$out"
	cp "$top/Kbuild" "$top/CHANGELOG.md" "$out"
	"${inside[@]}" make -C "$kdir" M="$out" W=1 -j"$(nproc)" "${args[@]}" modules >"$log" 2>&1
	status=$?
	compiler=$(readelf -p .comment "$out/zcp.ko" 2>/dev/null | sed -n 's/.*GCC: //p' | sort -u)
	echo "${release:-$1}|$compiler" >"$logs/build-$1.what"
	result "build: zcp.ko for ${release:-$1} by gcc $compiler" $status "see $log"
	[ $status -eq 0 ] || return
	! grep -E '(warning|error):' "$log" >"$warnings"
	result "build: no warning for ${release:-$1} by W=1" $? "$(head -n 1 "$warnings")"
	: "$image"
}

# What boots with another userland is built in it: build_selftests USERLAND
build_selftests() {
	local log=$logs/selftests-$1.log

	"$vm/userland.sh" get "$1" >"$log" 2>&1 && "$vm/userland.sh" build "$1" "$top" >>"$log" 2>&1
	result "selftests: built in a userland of $1" $? "see $log"
	! grep 'warning:' "$log" >"$warnings"
	result "selftests: built without a warning in a userland of $1" $? \
		"$(head -n 1 "$warnings")"
}

userlands() {
	local kernel

	for kernel in $kernels; do
		"$vm/kernel.sh" get "$kernel" 2>>"$logs/selftests.log" | sed -n 's/^userland=//p'
	done | sort -u
}

# The kernel's schema is in its source.
spec_tests() {
	local log=$logs/spec.log source status numbers

	source=$("$vm/kernel.sh" source 7.2 2>"$log") || {
		result "spec: of the netlink family" 1 "no kernel source, see $log"
		return
	}
	"$here/ynl.py" "$source/Documentation/netlink/genetlink.yaml" >"$log" 2>&1
	status=$?
	tap_totals "$status" <"$log"
	read -ra numbers <"$totals"
	count "spec: of the netlink family" "$log" "${numbers[@]}"
}

# Exhaustively, without a kernel.
model_tests() {
	local log=$logs/model.log

	"$here/model/model.sh" >"$log" 2>&1
	tap "model: jobs and links, every order of steps" "$log" $?
}

programs() {
	make -s -C "$here" KSFT_DIR="$ksft" list "$@"
}

chosen_programs() {
	[ "$(programs TARGETS='abi cli.sh' | xargs)" = 'abi cli.sh' ]
}

# Splits the output of run_tests into the TAP of each program.
split_programs() {
	rm -rf "$2"
	mkdir -p "$2"
	awk -v dir="$2" '
		/^# selftests: .*: [^ ]+$/ { name = $NF; file = dir "/" name ".tap"; print >file; next }
		/^(not )?ok [0-9]+ selftests: / {
			status = 0
			if ($1 == "not")
				status = /# TIMEOUT/ ? 124 : 1
			if (match($0, /# exit=[0-9]+/))
				status = substr($0, RSTART + 7, RLENGTH - 7)
			print status >(dir "/" name ".status")
			name = ""
			next
		}
		name != "" { sub(/^# ?/, ""); print >file }
	' "$1"
}

# Where races are looked for, on emulated CPUs, those in C: programs_on KERNEL
programs_on() {
	case $1 in
	kcsan) programs TEST_PROGS= ;;
	*) programs ;;
	esac
}

boot() {
	local log=$logs/vm-$1.log nic=all started=$SECONDS names

	names=$(programs_on "$1" | xargs)
	# No name would choose all of them.
	[ -n "$names" ] || return 0
	case $1 in
	uml-gcov)
		# What they run is counted.
		rm -f "$log" "$top"/.build/coverage/{log,status}
		TIMEOUT=$limit "$here/debug/coverage.sh" >"$logs/coverage" 2>&1
		echo $? >"$logs/coverage.status"
		cp "$top/.build/coverage/log" "$log"
		cp "$top/.build/coverage/status" "$logs/vm-$1.status"
		echo $((SECONDS - started)) >"$logs/vm-$1.seconds"
		return
		;;
	kcsan)
		nic=veth
		;;
	esac
	KERNEL='' "$vm/run.sh" --kernel "$1" --nic "$nic" --timeout "$limit" -- \
		"make -s -C selftests run_tests KSFT_DIR='$ksft' \
			TARGETS='$names' 2>&1" >"$log" 2>&1
	echo $? >"$logs/vm-$1.status"
	echo $((SECONDS - started)) >"$logs/vm-$1.seconds"
}

# An emulated VM has one thread for all its CPUs: as many at a time as CPUs here.
boot_all() {
	local kernel ended
	local -A running=()

	for kernel in $kernels; do
		if [ ${#running[@]} -ge "$(nproc)" ]; then
			wait -n -p ended "${!running[@]}"
			unset "running[$ended]"
		fi
		boot "$kernel" &
		running[$!]=1
	done
	wait "${!running[@]}"
}

judge() {
	local kernel=$1 log=$logs/vm-$1.log dir=$logs/vm-$1 status numbers name names

	names=$(programs_on "$kernel")
	if [ -z "$names" ]; then
		result "$kernel: there is a program to run" 1 "none of ${TARGETS-them} runs there"
		return
	fi
	status=$(cat "$logs/vm-$1.status" 2>/dev/null || echo 126)
	split_programs "$log" "$dir"
	for name in $names; do
		if [ ! -s "$dir/$name.tap" ]; then
			result "$kernel: $name" 1 "it did not run, see $log"
			continue
		fi
		tap_totals "$(cat "$dir/$name.status" 2>/dev/null || echo none)" <"$dir/$name.tap"
		read -ra numbers <"$totals"
		count "$kernel: $name" "$dir/$name.tap" "${numbers[@]}"
	done
	case $status in
	124 | 125 | 126)
		result "$kernel: the VM ended well, kernel log clean, module unloaded" 1 \
			"status $status: $(grep '^vm: ' "$log" | tail -n 1)"
		;;
	*)
		# Make's 2 is for tests that failed, which are counted above.
		result "$kernel: the VM ended well, kernel log clean, module unloaded" 0
		;;
	esac
	[ "$kernel" != uml-gcov ] || judge_coverage
}

judge_coverage() {
	local status

	status=$(cat "$logs/coverage.status" 2>/dev/null || echo 1)
	case $status in
	0 | 1 | 3)
		result "uml-gcov: counted, what was not run is explained" "$status" \
			"see $logs/coverage"
		;;
	*) echo "coverage: not judged where the tests have failed" ;;
	esac
	awk '/^all /{ print "coverage: " $4 "% of lines, " $7 "% of branches" }' "$logs/coverage"
}

# One program's TAP: tap NAME LOG STATUS
tap() {
	local numbers

	tap_totals "$3" <"$2"
	read -ra numbers <"$totals"
	count "$1" "$2" "${numbers[@]}"
}

# The module by dkms, on this system, and what it installed in a VM.
dkms_tests() {
	local kernel=${kernels%% *} log=$logs/dkms out=$top/.build/dkms
	local release='' image='' root='' kdir=''

	case $kernel in uml*) kernel=6.1 ;; esac
	eval "$("$vm/kernel.sh" get "$kernel")"
	rm -rf "$out"
	"$vm/private.sh" "$release" "$root" "$kdir" \
		"$here/dkms.sh" build "$release" "$out" >"$log-build.log" 2>&1
	tap "dkms: added, built, installed and removed, for $release" "$log-build.log" $?
	[ -d "$out" ] || return
	KERNEL='' "$vm/run.sh" --kernel "$kernel" -- \
		"selftests/dkms.sh load $release '$out'" >"$log-load.log" 2>&1
	tap "dkms: loaded from /lib/modules of $release" "$log-load.log" $?
	: "$image"
}

# The Debian packages: made here, used in User-mode Linux, where dkms is as fast as
# here, and their module in a VM with the kernel that it was built for.
deb_tests() {
	local kernel=${kernels%% *} log=$logs/deb out=$top/.build/debvm
	local release='' image='' root='' kdir=''

	case $kernel in uml*) kernel=6.1 ;; esac
	eval "$("$vm/kernel.sh" get "$kernel")"
	"$here/deb.sh" build "$out" >"$log-build.log" 2>&1
	tap "deb: made" "$log-build.log" $?
	KERNEL='' "$vm/run.sh" --kernel uml --share "$out" --timeout "$limit" -- \
		"selftests/deb.sh use $release '$out'" >"$log-use.log" 2>&1
	tap "deb: installed, used and purged in User-mode Linux" "$log-use.log" $?
	KERNEL='' "$vm/run.sh" --kernel "$kernel" --timeout "$limit" -- \
		"selftests/deb.sh load $release '$out'" >"$log-load.log" 2>&1
	tap "deb: installed, used and purged on $release" "$log-load.log" $?
	: "$image $root $kdir"
}

# Suites that others have written, each in a VM of its own; what is called JUDGE_*
# sets their scale: judge_tests KERNEL
judge_tests() {
	local version=$1 log judge status name scale=

	for name in "${!JUDGE_@}"; do
		scale+="$name=${!name@Q} "
	done
	case $version in
	uml-[0-9]*) version=${version#uml-} ;;
	uml*) version=7.2 ;;
	esac
	if ! "$here/judges/prepare.sh" "$version" >"$logs/judges-$1.log" 2>&1; then
		result "$1: judges are built" 1 "see $logs/judges-$1.log"
		return
	fi
	for judge in ${JUDGES:-iperf3 mptcp tls msg_zerocopy stress trinity}; do
		log=$logs/judge-$1-$judge.log
		KERNEL='' "$vm/run.sh" --kernel "$1" --timeout "$limit" -- \
			"$scale selftests/judges/$judge.sh .build/judges/$version" >"$log" 2>&1
		status=$?
		tap "$1: $judge" "$log" $status
		case $status in
		124 | 125 | 126)
			result "$1: $judge: the VM ended well, kernel log clean, module unloaded" 1 \
				"status $status: $(grep '^vm: ' "$log" | tail -n 1)"
			;;
		*) result "$1: $judge: the VM ended well, kernel log clean, module unloaded" 0 ;;
		esac
		grep '^# served=' "$log"
	done
}

# The VM runner is what all the others rely on: runs NAME STATUS [OPTION...] COMMAND
runs() {
	local name=$1 want=$2 status

	shift 2
	KERNEL='' "$vm/run.sh" --kernel "${kernels%% *}" "$@" >"$logs/runner.out" 2>"$logs/runner.err"
	status=$?
	cat "$logs/runner.out" "$logs/runner.err" >>"$logs/runner.log"
	if [ "$status" -eq "$want" ]; then
		result "runner: $name" 0
	else
		result "runner: $name" 1 "status $status, not $want; see $logs/runner.log"
		return 1
	fi
}

# What kernels say of what they find, and what is fine: lines of its standard input
# that klog.sh takes for STATUS: klog_passes STATUS
klog_passes() {
	local line status

	while IFS= read -r line; do
		status=0
		printf '%s\n' '[    1.0] zcp-vm: loading zcp' "[    2.0] $line" |
			"$vm/klog.sh" /dev/stdin >/dev/null || status=1
		[ "$status" = "$1" ] || echo "$line"
	done
}

klog_tests() {
	local missed alarms

	missed=$(klog_passes 1 <<-'EOT'
		WARNING: kmod/dev.c:27 at zcp_open+0xc3/0x350 [zcp], CPU#1: zcpctl/112
		BUG: KASAN: slab-use-after-free in zcp_open+0x6c/0x70 [zcp]
		BUG: KCSAN: data-race in zctx_read [zcp] / zcp_post [zcp]
		BUG: sleeping function called from invalid context at kernel/time/timer.c:1
		BUG: scheduling while atomic: zcpctl/112/0x00000002
		BUG kmalloc-128 (Tainted: G           O       ): Right Redzone overwritten
		UBSAN: shift-out-of-bounds in kmod/dev.c:1:2
		ODEBUG: free active (active state 0) object: 00000000 object type: timer_list
		WARNING: possible circular locking dependency detected
		WARNING: possible recursive locking detected
		WARNING: suspicious RCU usage
		INFO: trying to register non-static key.
		kmemleak: unreferenced object 0x61a5f000 (size 192):, zcp loaded
		kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
		kmemleak: Kernel memory leak detector disabled
		refcount_t: addition on 0; use-after-free.
		list_del corruption. prev->next should be 0, but was 1. (prev=0)
		INFO: task zcpctl:112 blocked for more than 60 seconds.
		watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [zcpctl:112]
		rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
		unregister_netdevice: waiting for lo to become free. Usage count = 2
		Attempt to release TCP socket in state 1 00000000a1b2c3d4
		IPv4: Attempt to release alive inet socket 00000000a1b2c3d4
		Oops: general protection fault, probably for non-canonical address
		Kernel panic - not syncing: Fatal exception
	EOT
	)
	result "runner: what a kernel reports is seen in its log" "$((${#missed} > 0))" "$missed"
	alarms=$(klog_passes 0 <<-'EOT'
		zcp: version 0.4.0
		random: crng init done
		kcsan: enabled early
		EXT4-fs (loop0): mounted filesystem with ordered data mode
		FAULT_INJECTION: forcing a failure.
		 [<626acfc0>] ? debug_lockdep_rcu_enabled+0x0/0x40
		 lockdep_hardirqs_on_prepare+0x1fb/0x340
		kmemleak: Cannot allocate a scan area, scanning the full object
	EOT
	)
	result "runner: nothing else is" "$((${#alarms} > 0))" "$alarms"
}

# The scripts themselves, with what they call played by others.
script_tests() {
	local log=$logs/scripts.log

	"$here/scripts.sh" >"$log" 2>&1
	tap "runner: its scripts" "$log" $?
}

runner_tests() {
	: >"$logs/runner.log"
	klog_tests
	script_tests
	# shellcheck disable=SC2016 # the command's own dollar sign
	runs "a command's status is passed on" 7 -- 'echo "it has $((6 * 7))"; exit 7' &&
		{
			[ "$(cat "$logs/runner.out")" = "it has 42" ]
			result "runner: a command's output is passed on, and nothing else" $? \
				"$(head -c 200 "$logs/runner.out")"
		}
	runs "a hang gives 124" 124 --timeout 60 -- 'sleep 10000'
	runs "a warning in the kernel log gives 125" 125 -- \
		'echo "WARNING: CPU: 0 PID: 1 at a test of the runner" >/dev/kmsg'
	runs "a refcount line in the kernel log gives 125" 125 -- \
		'echo "refcount_t: underflow; use-after-free." >/dev/kmsg'
	runs "a VM that dies gives 126" 126 -- 'echo o >/proc/sysrq-trigger; sleep 100'
}

run_stage() {
	local version userland kernel

	group=programs
	case $1 in
	user) user_tests ;;
	build)
		# shellcheck disable=SC2086 # one word per kernel
		for version in $(printf '%s\n' $builds $kernels | sort -uV); do
			case $version in
			# Built when it boots; its compiler is this system's.
			uml*) ;;
			*)
				group=$version
				build_module "$version"
				;;
			esac
		done
		;;
	spec) spec_tests ;;
	model) model_tests ;;
	vm)
		# The stages beside this one build there too.
		if flock "$top/.build/user.lock" make -s -C "$top/user" >"$logs/selftests.log" 2>&1 &&
		   make -j"$(nproc)" -C "$here" KSFT_DIR="$ksft" >>"$logs/selftests.log" 2>&1; then
			! grep 'warning:' "$logs/selftests.log" >"$warnings"
			result "selftests: built without a warning" $? "$(head -n 1 "$warnings")"
			chosen_programs
			result "selftests: TARGETS chooses some" $? "$(programs | xargs)"
			for userland in $(userlands); do
				build_selftests "$userland"
			done
			rm -f "$logs"/vm-*.status
			boot_all
			for kernel in $kernels; do
				group=$kernel
				judge "$kernel"
			done
		else
			tail "$logs/selftests.log"
			result "selftests: built" 1 "see $logs/selftests.log"
		fi
		;;
	dkms) dkms_tests ;;
	deb) deb_tests ;;
	judges)
		for kernel in $kernels; do
			judge_tests "$kernel"
		done
		;;
	runner) runner_tests ;;
	esac
}

# Those of the stages that are chosen: run_stages STAGE...
run_stages() {
	local stage

	for stage; do
		case " $stages " in *" $stage "*) run_stage "$stage" ;; esac
	done
}

# What came of them is left in files.
stages_apart() {
	renice -n "$1" -p "$BASHPID" >/dev/null
	shift
	passed=0 failed=0 skipped=0 failures=()
	group_passed=() group_failed=() group_skipped=()
	totals=$logs/beside.totals
	warnings=$logs/beside.warnings
	run_stages "$@"
	[ ${#failures[@]} -eq 0 ] || printf '%s\n' "${failures[@]}" >"$logs/beside.failures"
	groups >"$logs/beside.groups"
}

# The same beside others, with the CPU time that those leave when NICE is high: beside
# NICE STAGE...
beside() {
	rm -f "$logs"/beside.*
	stages_apart "$@" >"$logs/beside.out" 2>&1 &
	beside=$!
}

# Waits for it, and counts it.
landed() {
	local numbers

	wait "$beside"
	cat "$logs/beside.out"
	if [ ! -e "$logs/beside.groups" ]; then
		group=programs
		result "stages beside others ended" 1 "see $logs/beside.out"
		return
	fi
	while read -r group numbers; do
		# shellcheck disable=SC2086 # three of them
		tests $numbers
	done <"$logs/beside.groups"
	[ ! -e "$logs/beside.failures" ] ||
		mapfile -t -O ${#failures[@]} failures <"$logs/beside.failures"
}

groups() {
	local name

	for name in "${!group_passed[@]}"; do
		echo "$name ${group_passed[$name]} ${group_failed[$name]} ${group_skipped[$name]}"
	done
}

# All that is started from here on is in a session of its own, by which it is found when
# this script is to end; what runs there has the lock. It runs this script once more.
in_a_session() {
	exec 9>"$logs/lock"
	flock -n 9 || {
		echo "check.sh: another run in this tree has not ended yet: it has $logs/lock" >&2
		exit 1
	}
	# Started in the background it would ignore what Ctrl-C sends.
	ZCP_CHECK_SESSION=1 env --default-signal=INT,QUIT setsid "$here/check.sh" </dev/null &
	session=$!
	trap 'end_session 129' HUP
	trap 'end_session 130' INT
	trap 'end_session 143' TERM
	wait "$session"
	status=$?
	# It was ended from outside, and what it has started was not.
	if pgrep -s "$session" >/dev/null; then
		end_session "$status"
	fi
	return "$status"
}

# Virtual machines are ended by the run.sh of each: end_session STATUS
end_session() {
	local try

	trap '' HUP INT TERM
	# Of what has made a process group of its own, as timeout does, pkill knows.
	kill -TERM -- "-$session"
	pkill -TERM -s "$session"
	wait "$session"
	for ((try = 0; try < 100; try++)); do
		pgrep -s "$session" >/dev/null || break
		sleep 0.1
	done
	pkill -KILL -s "$session"
	exit "$1"
}

# Before any test: a package that is installed later would change what is the root of VMs.
purposes=(build vm check cross bench)
for stage in $stages; do
	case $stage in
	user | build | spec | model | vm | runner) ;;
	dkms | judges) purposes+=("$stage") ;;
	deb) purposes+=(uml deb) ;;
	*)
		echo "check.sh: no stage $stage" >&2
		exit 2
		;;
	esac
done
mkdir -p "$logs"
if [ -z "${ZCP_CHECK_SESSION-}" ]; then
	in_a_session
	exit $?
fi
unset ZCP_CHECK_SESSION
cd "$top" || exit 1
"$vm/deps.sh" "${purposes[@]}" || exit 1
ksft=$("$vm/kernel.sh" source 6.1)/tools/testing/selftests
rm -f "$logs"/build-*.what "$logs"/vm-*.seconds
# A VM has one thread of the host, and sleeps now and then: what has little to do with
# time goes beside those that test.
beside 0 build spec
run_stages user
landed
beside 15 dkms runner model
run_stages vm
landed
run_stages deb judges

[ $((passed + failed)) -gt 0 ] || result "anything was tested" 1 "stages: $stages"
groups >"$logs/groups"
[ "$failed" -eq 0 ] || printf '%s\n' 'Failed:' "${failures[@]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
