# SPDX-License-Identifier: GPL-2.0-only
#
#   make                    zcp.ko, libzcp and zcpctl
#   make modules|user       one of them
#   make install|uninstall  to PREFIX (/usr/local) and /lib/modules, in DESTDIR
#   make demo               send a real file through a real NIC driver, in a VM
#   make check              all tests; KERNEL="6.1 6.12" chooses kernels
#   make check-all          all tests on every kernel that is supported, and a table
#   make bench              compare the ways to send a file, at native speed, into
#                           bench-out; SUITE=bulk,small ROUNDS=7 METHODS=...
#   make lint               checkpatch, sparse, W=1, shellcheck, clang-format
#   make vm CMD='command'   run a command in a VM that has zcp loaded
#   make vm                 the same with a shell
#   make clean
#
# KDIR=directory   kernel headers to build for (of the running kernel)
# KERNEL=6.1|6.12|6.12-trixie|7.2|newest
#                  the VM's kernel    NIC=veth|e1000e|virtio|ne2k_pci|all
# KERNEL=uml       User-mode Linux 7.2, at the speed of this machine; only veth

VERSION := $(shell sed -n 's/^\#\# \([0-9][0-9.]*\).*/\1/p' CHANGELOG.md | head -n 1)
KDIR ?= /lib/modules/$(shell uname -r)/build
PREFIX ?= /usr/local
export VERSION PREFIX

VM := selftests/vm

all: modules user

help:
	@sed -n '2,/^$$/s/^# \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

$(KDIR)/Makefile:
	@echo "No kernel headers in $(KDIR)." >&2
	@echo "Install them (apt-get install linux-headers-$$(uname -r)), or" >&2
	@echo "name others with KDIR=." >&2
	@false

modules: $(KDIR)/Makefile
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

user:
	$(MAKE) -C user

install: modules_install user_install

modules_install: modules
	$(MAKE) -C $(KDIR) M=$(CURDIR) INSTALL_MOD_PATH=$(DESTDIR) \
		INSTALL_MOD_DIR=updates modules_install

user_install: user
	$(MAKE) -C user install
	$(if $(DESTDIR),,-ldconfig)

uninstall:
	$(MAKE) -C user uninstall
	rm -f $(DESTDIR)/lib/modules/*/updates/zcp.ko*
	$(if $(DESTDIR),,depmod -a)

demo:
	$(VM)/demo.sh

vm:
ifdef CMD
	@$(VM)/run.sh $(if $(KERNEL),--kernel $(KERNEL)) \
		$(if $(NIC),--nic $(NIC)) $(if $(TIMEOUT),--timeout $(TIMEOUT)) \
		-- "$$ZCP_CMD"
else
	@$(VM)/run.sh $(if $(KERNEL),--kernel $(KERNEL)) \
		$(if $(NIC),--nic $(NIC)) --shell
endif
# CMD as it was written: its dollar signs are the shell's, not make's.
export ZCP_CMD = $(value CMD)

check:
	KERNEL="$(KERNEL)" selftests/check.sh

check-all:
	KERNEL="$(KERNEL)" selftests/check-all.sh

bench:
	SUITE="$(SUITE)" ROUNDS="$(ROUNDS)" METHODS="$(METHODS)" selftests/bench/bench.sh

lint:
	selftests/lint.sh

clean:
	$(MAKE) -C user clean
	$(MAKE) -C selftests clean
	rm -rf .build
	$(if $(wildcard $(KDIR)/Makefile),$(MAKE) -C $(KDIR) M=$(CURDIR) clean)

.PHONY: all help modules user install modules_install user_install uninstall \
	demo vm check check-all bench lint clean
