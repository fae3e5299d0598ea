#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Look through a VM's console log, from the loading of zcp.ko on, for what a
# healthy kernel does not say; print it and fail if there is any.
#
# What a test asks for is not meant: that the kernel kills in a control group
# whose name begins with zcp-test-oom, and that it could not make a slab cache for
# the module, which fails to load then; both it tells with a trace. Nor is the name
# of a function in a trace: that there is one, another line says.
#
# usage: klog.sh LOGFILE
set -eu

bad='WARNING:|BUG:|Oops|general protection|lockdep|possible .* dead|refcount_t'
bad="$bad|KASAN|KFENCE|UBSAN|blocked for more than|soft lockup|hard LOCKUP"
bad="$bad|rcu.*stall|hung_task|list_(add|del) corruption|scheduling while atomic"
bad="$bad|sleeping function called|Call Trace|Kernel panic|KCSAN|ODEBUG|BUG [a-z]"
bad="$bad|trying to register non-static key|to become free. Usage count"
bad="$bad|Attempt to release (TCP socket in state|alive inet socket)"
bad="$bad|kmemleak: .*(unreferenced|suspected|disabled|overlaps)"

frame='^[[] *[0-9.]+[]] +([[]<[0-9a-f]+>[]] +)?([?] +)?[A-Za-z_][A-Za-z0-9_.]*[+]0x[0-9a-f]+/0x'

# Twenty lines from each finding on are shown.
awk -v bad="$bad" -v frame="$frame" '
	/zcp-vm: loading zcp/ { loaded = 1 }
	!loaded { next }
	/zcp-vm: / { next }
	/__kmem_cache_create_args\(zcp_[a-z]+\) failed with error/ { cache = NR }
	/Call Trace/ && cache && NR - cache < 12 { cache = 0; next }
	/ invoked oom-killer: / { oom = 1 }
	oom && /Call Trace/ { trace = trace $0 "\n"; next }
	/oom-kill:constraint=/ {
		if (!/,oom_memcg=\/zcp-test-oom-[0-9]+,/ && trace) {
			found = 1
			show = 20
			printf "%s", trace
		}
		oom = 0
		trace = ""
	}
	$0 ~ bad && $0 !~ frame { found = 1; show = 20 }
	show-- > 0 { print }
	END {
		printf "%s", trace
		exit found || trace ? 1 : 0
	}
' "$1"
