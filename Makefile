# SPDX-License-Identifier: GPL-2.0-only
#
#   make                    zcp.ko, libzcp and zcpctl
#   make modules|user       one of them
#   make install|uninstall  to PREFIX (/usr/local) and /lib/modules, in DESTDIR
#   make user_install|device_install   parts of it: user programs, access to /dev/zcp
#   make dkms|dkms_remove   have dkms build the module for each kernel
#   make deb                Debian packages, into .build/deb
#   make demo               send a real file through a real NIC driver, in a VM
#   make check              all tests; KERNEL="6.1 6.12" chooses kernels
#   make check-all          the tests on 6.1, 6.12, 6.12-trixie, 7.2 and newest, but
#                           not the stages model and dkms, and a table
#   make debug-check        the tests on a kernel that watches memory and locks, and
#                           their coverage; TARGETS="abi cli.sh" some of the tests
#   make coverage           which lines and branches of the module the tests run
#   make judges             suites of others, with sendfile(2) by zcp: KERNEL, JUDGES=tls
#   make load               the load tests at full scale; LOAD=soak,stalled,pressure,
#                           cycles,disk chooses
#   make fuzz TIME=600      sequences of operations at random; KERNEL=uml-kcov, SEED=,
#                           REPLAY=FILE
#   make bench              compare the ways to send a file, at native speed, into
#                           bench-out; SUITE=bulk,small ROUNDS=7 METHODS=... CASES=...
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
SYSCONFDIR ?= /etc
UDEVRULESDIR ?= $(PREFIX)/lib/udev/rules.d
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
export VERSION PREFIX
# Of this directory, wherever make goes; on the command line it would stay as it is.
ifneq ($(DESTDIR),)
override DESTDIR := $(abspath $(DESTDIR))
endif

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

install: modules_install user_install device_install

# Kbuild leaves depmod out where the headers have no System.map, as Debian's. What its
# kernelrelease says is not always what the kernel calls itself: this is.
release = $(shell sed -n 's/.*UTS_RELEASE "\(.*\)".*/\1/p' $(KDIR)/include/generated/utsrelease.h)

modules_install: modules
	$(MAKE) -C $(KDIR) M=$(CURDIR) INSTALL_MOD_PATH=$(DESTDIR) \
		INSTALL_MOD_DIR=updates modules_install
	$(if $(DESTDIR),,depmod -a $(release))

user_install: user
	$(MAKE) -C user install DESTDIR=$(DESTDIR)
	$(if $(DESTDIR),,-ldconfig)

# The group zcp, which may use /dev/zcp, and how the module is loaded when the
# system starts, which it is not before that file was edited.
rules := $(DESTDIR)$(UDEVRULESDIR)/60-zcp.rules
sysusers := $(DESTDIR)$(SYSUSERSDIR)/zcp.conf
modules_load := $(DESTDIR)$(SYSCONFDIR)/modules-load.d/zcp.conf
packaging := user/packaging

device_install:
	install -D -m 644 $(packaging)/zcp.rules $(rules)
	install -D -m 644 $(packaging)/zcp.sysusers $(sysusers)
	[ -e $(modules_load) ] || install -D -m 644 $(packaging)/zcp.modules-load $(modules_load)
	$(if $(DESTDIR),,getent group zcp >/dev/null || groupadd --system zcp)
	$(if $(DESTDIR),,-! command -v udevadm >/dev/null || udevadm control --reload)

device_uninstall:
	rm -f $(rules) $(sysusers)
	! cmp -s $(packaging)/zcp.modules-load $(modules_load) || rm -f $(modules_load)

uninstall: device_uninstall
	$(MAKE) -C user uninstall DESTDIR=$(DESTDIR)
	rm -f $(DESTDIR)/lib/modules/*/updates/zcp.ko*
	$(if $(DESTDIR),,depmod -a)

# What dkms builds from: the module's source, with the version written out.
dkms_tree := $(DESTDIR)/usr/src/zcp-$(VERSION)

dkms_source:
	rm -rf $(dkms_tree)
	find Kbuild CHANGELOG.md LICENSES include/uapi kmod -type f ! -name '*.mod.c' \
		! -name probed.h \( -name '*.[ch]' -o ! -path 'kmod/*' \) \
		-exec install -D -m 644 '{}' '$(dkms_tree)/{}' ';'
	sed 's/^PACKAGE_VERSION=.*/PACKAGE_VERSION="$(VERSION)"/' dkms.conf >$(dkms_tree)/dkms.conf

# One after the other, also with make -j.
dkms:
	$(MAKE) dkms_remove
	$(MAKE) dkms_source
	$(MAKE) device_install
	dkms install zcp/$(VERSION)

dkms_remove:
	! dkms status zcp/$(VERSION) | grep -q . || dkms remove zcp/$(VERSION) --all
	rm -rf $(dkms_tree)

deb:
	$(packaging)/deb.sh

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

debug-check:
	KERNEL="$(KERNEL)" selftests/debug/debug-check.sh

coverage:
	selftests/debug/coverage.sh

judges:
	KERNEL="$(or $(KERNEL),6.1)" JUDGES="$(JUDGES)" STAGES=judges selftests/check.sh

load:
	KERNEL="$(KERNEL)" LOAD="$(LOAD)" selftests/load/run.sh

fuzz:
	KERNEL="$(KERNEL)" TIME="$(TIME)" SEED="$(SEED)" REPLAY="$(REPLAY)" TIMES="$(TIMES)" \
		selftests/fuzz/fuzz.sh

bench:
	SUITE="$(SUITE)" ROUNDS="$(ROUNDS)" METHODS="$(METHODS)" CASES="$(CASES)" selftests/bench/bench.sh

lint:
	selftests/lint.sh

clean:
	$(MAKE) -C user clean
	$(MAKE) -C selftests clean
	rm -rf .build
	$(if $(wildcard $(KDIR)/Makefile),$(MAKE) -C $(KDIR) M=$(CURDIR) clean)

.PHONY: all help modules user install modules_install user_install uninstall \
	device_install device_uninstall dkms_source dkms dkms_remove deb \
	demo vm check check-all debug-check load judges coverage bench fuzz lint clean
