#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The scripts that run the tests: what becomes of it when something that they call
# fails. That is played by others, so that it needs no VM, no module and no network.
# shellcheck disable=SC2016 # the variables are those of who plays
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"
tap_start

tree=$tmp/tree
# A check.sh that runs.
session=
unset BUILD MAKEFLAGS MAKEOVERRIDES TARGETS ZCP_CACHE
export PATH="$tree/bin:$PATH:/usr/sbin:/sbin"

cleanup() {
	[ -z "$session" ] || { kill -TERM "$session" && wait "$session"; }
}

# A program of the tree: play NAME TEXT
play() {
	printf '#!/bin/bash\n%s\n' "$2" >"$tree/$1"
	chmod 755 "$tree/$1"
}

# A tree with these scripts of selftests, in which all tests are one: new_tree SCRIPT...
new_tree() {
	local script

	rm -rf "$tree"
	mkdir -p "$tree"/{bin,user,selftests/{vm,debug}} || return 1
	for script; do
		cp "$here/$script" "$tree/selftests/$script" || return 1
	done
	play selftests/vm/deps.sh ':'
	play selftests/vm/kernel.sh '[ "$1" = get ] || echo /nonexistent'
	play selftests/vm/run.sh 'cat "'"$tree"'/said"'
	play bin/make 'case $* in
		*"list TARGETS=abi cli.sh") printf "%s\n" abi cli.sh ;;
		*list*) echo one ;;
	esac'
	said ok
}

# What the test says in its VM: said ok|"not ok"
said() {
	printf '%s\n' '# selftests: x: one' '# 1..1' "# $1 1 it" "$1 1 selftests: x: one" >"$tree/said"
}

# runs STATUS [VARIABLE=VALUE...]: check.sh in that tree, of which the output is in out
runs() {
	local want=$1

	shift
	env KERNEL=6.1 "$@" timeout -k 20 60 "$tree/selftests/check.sh" >"$tmp/out" 2>&1 </dev/null
	same "$want" $? "status of check.sh" || {
		cat "$tmp/out"
		return 1
	}
}

ends() {
	same "$1" "$(tail -n 1 "$tmp/out")" "last line" || {
		cat "$tmp/out"
		return 1
	}
}

counts() {
	new_tree check.sh && runs 0 STAGES=vm && ends "4 passed, 0 failed, 0 skipped" || return 1
	# Make's status.
	said "not ok"
	play selftests/vm/run.sh 'cat "'"$tree"'/said"; exit 2'
	runs 1 STAGES=vm && ends "3 passed, 1 failed, 0 skipped"
}

nothing_is_not_well() {
	new_tree check.sh && runs 1 STAGES=' ' && ends "0 passed, 1 failed, 0 skipped"
}

without_packages() {
	local stage

	new_tree check.sh || return 1
	for stage in dkms deb judges; do
		play selftests/vm/deps.sh '[[ " $* " != *" '$stage' "* ]] || exit 3'
		runs 1 STAGES=$stage || return 1
	done
}

# coverage STATUS-OF-THE-VM STATUS
coverage() {
	play selftests/debug/coverage.sh 'mkdir -p "'"$tree"'/.build/coverage" && cd "$_" &&
		cp ../../said log && echo '"$1"' >status
		exit '"$2"
}

counts_coverage() {
	new_tree check.sh || return 1
	coverage 0 0
	runs 0 STAGES=vm KERNEL=uml-gcov && ends "5 passed, 0 failed, 0 skipped" || return 1
	for status in 1 3; do
		coverage 0 $status
		runs 1 STAGES=vm KERNEL=uml-gcov && grep '^not ok - uml-gcov: counted' "$tmp/out" &&
			ends "4 passed, 1 failed, 0 skipped" || return 1
	done
	coverage 125 125
	runs 1 STAGES=vm KERNEL=uml-gcov && grep '^not ok - uml-gcov: the VM ended' "$tmp/out" &&
		ends "3 passed, 1 failed, 0 skipped" || return 1
	said "not ok"
	coverage 2 2
	runs 1 STAGES=vm KERNEL=uml-gcov && grep '^not ok - uml-gcov: one' "$tmp/out" &&
		ends "3 passed, 1 failed, 0 skipped"
}

# A stage that hangs, by what is in a process group of its own: hangs STAGE PROGRAM
hangs() {
	local try status=0

	new_tree check.sh || return 1
	play "$2" '[[ "'"$1"' $*" != user* || "$*" == *check* ]] || exit 0
		timeout 1000 sh -c "echo \$\$ >'"$tree"'/pid; sleep 1000; :"'
	[ "$1" = user ] || play bin/make 'case $* in *list*) printf "%s\n" abi cli.sh ;; esac'
	env KERNEL=6.1 STAGES="$1" "$tree/selftests/check.sh" >"$tmp/first" 2>&1 </dev/null &
	session=$!
	for ((try = 0; try < 300; try++)); do
		[ ! -s "$tree/pid" ] || break
		sleep 0.1
	done
	runs 1 STAGES="$1" && same 1 "$(wc -l <"$tmp/out")" "lines" &&
		grep '^check.sh: another run in this tree has not ended yet' "$tmp/out" || return 1
	kill -TERM "$session"
	wait "$session" || status=$?
	session=
	same 143 "$status" "status" && [ -s "$tree/pid" ] && ! kill -0 "$(<"$tree/pid")" &&
		# There is room for the next.
		said ok && play "$2" ':' && runs 1 STAGES=' '
}

ends_with_all() {
	hangs user bin/make && hangs vm selftests/vm/run.sh
}

# linted STATUS CHECK
linted() {
	"$tree/selftests/lint.sh" "$2" >"$tmp/out" 2>&1
	same "$1" $? "status of lint.sh" || {
		cat "$tmp/out"
		return 1
	}
}

lint_tree() {
	new_tree lint.sh && mkdir "$tree/kmod" "$tree/scripts" && echo 'int a;' >"$tree/kmod/a.c" &&
		play selftests/vm/kernel.sh "echo '$tree'"
}

lint_without_git() {
	lint_tree && linted 1 codespell && grep '^lint.sh: git lists no files' "$tmp/out"
}

# checkpatch STATUS SCRIPT
checkpatch() {
	echo "$2" >"$tree/scripts/checkpatch.pl" && linted "$1" checkpatch
}

lint_checkpatch() {
	lint_tree && git init -q "$tree" && linted 1 checkpatch &&
		checkpatch 0 'exit 0' && checkpatch 1 'exit 1' && checkpatch 1 'die' &&
		checkpatch 1 'print "kmod/a.c:1: CHECK: it\n"; exit 1'
}

# The mirror cannot be reached; what it has said before is taken: no_mirror COMMAND...
no_mirror() {
	mkdir -p "$tree/bin" && play bin/apt-get 'case $1 in
		indextargets) echo "Debian|main|http://127.0.0.1:9/debian|" ;;
		*) exec /usr/bin/apt-get -o Acquire::Retries=0 "$@" ;;
	esac'
	ZCP_CACHE=$tmp/cache "$here/vm/apt.sh" "$@"
}

lists_are_not_updated() {
	local state=$tmp/cache/apt/bookworm

	if no_mirror sources bookworm; then
		echo "apt.sh has lists without a mirror"
		return 1
	fi
	touch "$state/lists/127.0.0.1:9_debian_dists_bookworm_main_binary-amd64_Packages" &&
		no_mirror sources bookworm && [ ! -e "$state/updated" ]
}

# A kernel that has all of it built in.
builtin_kernel() {
	local dir=$tmp/kernel/lib/modules/1.0

	rm -rf "$tmp/kernel" "$tmp/cache"
	mkdir -p "$dir" "$tree/bin" && printf 'kernel/%s.ko\n' virtio_pci 9p 9pnet_virtio overlay \
		>"$dir/modules.builtin" && : >"$dir/modules.order" && depmod -b "$tmp/kernel" 1.0
}

initramfs() {
	ZCP_CACHE=$tmp/cache "$here/vm/initramfs.sh" 1.0 "$tmp/kernel"
}

initramfs_without_sbin() {
	builtin_kernel && PATH=/usr/bin:/bin initramfs >"$tmp/out" 2>&1 &&
		! grep 'not found' "$tmp/out"
}

initramfs_without_modules() {
	builtin_kernel && play bin/modprobe 'exit 1' || return 1
	if initramfs; then
		echo "it was made without modules"
		return 1
	fi
	same '' "$(ls "$tmp/cache/initramfs")" "what is left"
}

# The file that is sent is where the VM can see it: demo USERLAND OPTION-TO-EXPECT
demo() {
	new_tree vm/demo.sh && play selftests/vm/run.sh 'printf "%s " "$@" >"'"$tmp"'/out"' &&
		play selftests/vm/kernel.sh "echo release=1.0 image=/boot/vmlinuz-1.0 \
			root='$tree' userland=$1" &&
		mkdir -p "$tree/boot" "$tree/lib/modules/1.0" && : >"$tree/boot/vmlinuz-1.0" || return 1
	rm -rf "$tmp/cache"
	# Which does not get the results that it wants.
	! ZCP_CACHE=$tmp/cache "$tree/selftests/vm/demo.sh" && [ -s "$tmp/cache/demo/1.0.bin" ] &&
		same "$2" "$(grep -o -e "--share [^ ]*" "$tmp/out")" "option of run.sh"
}

demo_with_each_userland() {
	demo '' '' && demo trixie "--share $tmp/cache/demo"
}

# Two that want the same packages: the second waits, and finds them.
packages_once() {
	local pid

	new_tree
	play bin/dpkg-query '[ ! -e "'"$tmp"'/there" ] || printf "installed %s\n" "$@"'
	play bin/apt-get 'echo "$*" >>"'"$tmp"'/apt"
		mkdir "'"$tmp"'/busy" || echo "two at a time" >>"'"$tmp"'/apt"
		sleep 1
		rmdir "'"$tmp"'/busy"
		[[ "$*" != *install* ]] || : >"'"$tmp"'/there"'
	"$here/vm/deps.sh" debug &
	pid=$!
	"$here/vm/deps.sh" debug && wait $pid && cat "$tmp/apt" &&
		same 2 "$(wc -l <"$tmp/apt")" "calls of apt-get"
}

# To apt-get what begins otherwise is no file, but the name of a package.
debs_are_files() {
	local files

	files=$(grep -oE '[^[:space:]]+_\*\.deb' "$top/docs/install.md") &&
		! grep -vE '^\.{0,2}/' <<<"$files"
}

# A suite of zcp-bench that says this; it has rows of all ways but this one:
# bench_says STATUS LINE [WITHOUT]
bench_says() {
	local all='read-send-64k read-send-1m mmap-send msg-zerocopy sendfile splice uring-splice'

	all+=' uring-send-zc zcp-xfer zcp-job ceiling send send-batch zcp-auto zcp-auto-more'
	all+=' zcp-auto-linger malloc malloc-copy reused-buffer pool pool-zerocopy zerocopy'
	all+=' sendfile-ahead sendfile-fadvise'
	all+=' zcp-linger zmq-copy zmq-zerocopy glibc tcmalloc jemalloc zcp-pool'

	play user/bench/zcp-bench 'rows=
		while [ $# -gt 1 ]; do
			case $1 in --suite) suite=$2 ;; --out) out=$2 ;; esac
			shift
		done
		for way in '"$all"'; do
			[ $way = "'"${3-}"'" ] || rows+=",{\"suite\": \"$suite\", \"case\": \"c\",
				\"method\": \"$way\", \"metric\": \"m\", \"unit\": \"u\", \"median\": 1,
				\"min\": 1, \"max\": 1, \"rounds\": 1}"
		done
		echo "[${rows#,}]" >"$out/results.json"
		echo "ok - $suite c: every byte arrives"
		[ $suite = bulk ] || exit 0
		'"$2"'
		echo "2 CPUs; call 1.00 us, CPU time by 1.0 us"
		exit '"$1"
}

# smoked STATUS LINE...: smoke.sh ends so, and says these
smoked() {
	local want=$1 line

	shift
	"$tree/selftests/smoke.sh" >"$tmp/out" 2>&1 </dev/null
	same "$want" $? "status of smoke.sh" || {
		cat "$tmp/out"
		return 1
	}
	for line; do
		grep -E "$line" "$tmp/out" || {
			cat "$tmp/out"
			return 1
		}
	done
}

# What is not there without the module it takes from a device that is always there.
smoke_tree() {
	new_tree smoke.sh && mkdir -p "$tree/user"/{bench,zcpctl} &&
		sed 's|/dev/zcp|/dev/null|' "$here/tap.sh" >"$tree/selftests/tap.sh" &&
		play user/zcpctl/zcpctl ':' && play bin/losetup '[ "$1" != -f ] || echo /dev/loop9'
}

smoke_skips_what_is_missing() {
	local lacks='echo "not ok - bulk uring-splice: left out: this kernel lacks io_uring"'

	smoke_tree && bench_says 0 : && smoked 0 '^ok 1 bulk, by every method$' &&
		! grep -E 'SKIP|^not ok' "$tmp/out" &&
		bench_says 1 "$lacks" uring-splice && smoked 0 '^ok 1 bulk, by every method$' \
			'^ok 2 bulk: uring-splice # SKIP this kernel lacks io_uring$' &&
		bench_says 1 'echo "not ok - bulk all cases: left out: it needs root"' &&
		smoked 0 '^ok 1 bulk: all cases # SKIP it needs root$' &&
		! grep '^ok .* bulk, by every method' "$tmp/out"
}

smoke_fails() {
	local lacks='echo "not ok - bulk uring-splice: left out: this kernel lacks io_uring"'

	smoke_tree || return 1
	# Silence, a reason that is none, and what is wrong beside what is missing.
	bench_says 0 : uring-splice && smoked 1 '^not ok 1 bulk' &&
		bench_says 1 'echo "not ok - bulk zcp-job: left out: /dev/zcp does not open: Busy"' \
			zcp-job && smoked 1 '^not ok 1 bulk' &&
		bench_says 1 "$lacks; echo 'not ok - bulk c: something'" uring-splice &&
		smoked 1 '^not ok 1 bulk' && bench_says 4 "$lacks" uring-splice &&
		smoked 1 '^not ok 1 bulk' && bench_says 1 : && smoked 1 '^not ok 1 bulk' &&
		bench_says 1 'echo "not ok - bulk all cases: left out: it needs root"
			echo "not ok - bulk c: something"' && smoked 1 '^not ok 1 bulk' &&
		bench_says 0 'echo "2 CPUs; call 1.00 us, CPU time by 4000.0 us"' &&
		smoked 1 '^not ok 2 the scheduler counts less than ticks'
}

# A function of the judges, where out is what the judge has said: judge FUNCTION ARG...
judge() {
	bash -c '. "$1/judges/judge.sh"
		tmp=$2 preload=
		shift 2
		"$@"' - "$here" "$tmp" "$@" >"$tmp/said" 2>&1
}

# iperf3 whose server ends so, with so many MiB sent, and come back: iperf_with STATUS MIB MIB
iperf_with() {
	play bin/iperf3 'case " $* " in *" -s "*) exit '"$1"' ;; esac
		echo "{\"end\": {\"sum_sent\": {\"bytes\": $(('"$2"' << 20))},
			\"sum_received_bidir_reverse\": {\"bytes\": $(('"$3"' << 20))}}}"'
}

judges_iperf() {
	if ! new_tree || ! play bin/ss 'echo listening' || ! iperf_with 0 32 0 ||
		! judge iperf 4 8 '' || ! iperf_with 0 4 32 || ! judge iperf 4 8 '' --bidir; then
		cat "$tmp/said"
		return 1
	fi
	# An eighth of them; and what the server thinks of it counts.
	iperf_with 0 4 4 && ! judge iperf 4 8 '' --bidir && iperf_with 1 32 0 &&
		! judge iperf 4 8 '' && grep '^status 1 of the server' "$tmp/said"
}

judges_tls() {
	printf '%s\n' 'ok 1 tls.12_aes_gcm.sendfile' 'ok 2 tls.13_sm4_ccm.sendfile' \
		'ok 3 tls.12_aes_gcm.send_then_sendfile' >"$tmp/out" &&
		judge each_passed sendfile send_then_sendfile || return 1
	# Many variants of one are not the other.
	seq 20 | sed 's/.*/ok & tls.v&.sendfile/' >"$tmp/out"
	echo 'ok 21 tls.v1.send_then_sendfile # SKIP no cipher' >>"$tmp/out"
	! judge each_passed sendfile send_then_sendfile &&
		grep '^send_then_sendfile: 0 variants' "$tmp/said"
}

check "check.sh: counts a test, and one that failed" counts
check "check.sh: to count nothing is a failure" nothing_is_not_well
check "check.sh: a stage whose packages cannot be installed fails" without_packages
check "check.sh: coverage is counted, apart from the tests" counts_coverage
check "check.sh: one at a time in a tree; all of it ends with it" ends_with_all
if [ -z "$(missing git)" ]; then
	check "lint.sh: without files of git" lint_without_git
	check "lint.sh: checkpatch that finds something, or cannot" lint_checkpatch
else
	skip "lint.sh" "needs git"
fi
check "apt.sh: a mirror that cannot be reached" lists_are_not_updated
check "initramfs.sh: needs no sbin on PATH" initramfs_without_sbin
check "initramfs.sh: fails where modprobe does" initramfs_without_modules
check "demo.sh: its file is seen by the VM" demo_with_each_userland
check "install.md: the packages that apt-get is given are files" debs_are_files
if [ -z "$(missing jq)" ]; then
	check "judge.sh: iperf3 that sends less than it should, or whose server fails" judges_iperf
else
	skip "judge.sh: iperf3" "needs jq"
fi
check "judge.sh: each case of TLS has to pass" judges_tls
if [ "$(id -u)" = 0 ] && [ -z "$(missing jq)" ]; then
	check "smoke.sh: what a system lacks is skipped" smoke_skips_what_is_missing
	check "smoke.sh: all else that is missing fails" smoke_fails
else
	skip "smoke.sh" "needs root and jq"
fi
if [ "$(id -u)" = 0 ]; then
	check "deps.sh: installs what is missing once" packages_once
else
	skip "deps.sh: installs what is missing once" "needs root"
fi
finish
