# SPDX-License-Identifier: GPL-2.0-only
# Targets are described in README.md; `make help` lists them.

VERSION := $(shell sed -n 's/^\#\# \([0-9][0-9.]*\).*/\1/p' CHANGELOG.md | head -n 1)
KDIR ?= /lib/modules/$(shell uname -r)/build
PREFIX ?= /usr/local
DESTDIR ?=
export VERSION PREFIX DESTDIR

all: modules user

modules:
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

user:
	$(MAKE) -C user

clean:
	$(MAKE) -C user clean

.PHONY: all modules user clean
