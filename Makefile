# SPDX-License-Identifier: MIT
# A short front for meson and ninja; `make help` lists what there is.

SHELL := /bin/sh
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
MESON ?= meson
setup = $(MESON) setup --prefix=$(PREFIX) --sysconfdir=/etc --localstatedir=/var \
	$(if $(CI),--werror) $(1) $(2)

c_files = find . -name '.git' -prune -o -path './build*' -prune -o -name '*.[ch]' -print0

.PHONY: all help deps demo demo-xen check check-fast check-xen asan tsan format format-check \
	install bench-quick fuzz clean

all: deps $(BUILD)/build.ninja
	$(MESON) compile -C $(BUILD)

help:
	@echo 'make              build everything into $(BUILD)/'
	@echo 'make demo         a disk through the ring on this machine, no Xen needed (1 minute)'
	@echo 'make demo-xen     a real Xen machine in an emulator, with you at the guest'"'"'s shell'
	@echo 'make check        every test: gcc, clang, sanitizers, -O0 and -O3, real Xen'
	@echo 'make check-fast   the tests of the plain build; no root needed'
	@echo 'make check-xen    the tests on real Xen in an emulator'
	@echo 'make asan         the tests under the address and undefined-behaviour sanitizers'
	@echo 'make tsan         the tests under the thread sanitizer'
	@echo 'make bench-quick  first figures: beside raw fio here, beside xen-blkback on real Xen (10 min)'
	@echo 'make fuzz         the fuzzers, one after the other, for HOURS (1)'
	@echo 'make format       clang-format every C file'
	@echo 'make install      to $(PREFIX), and the hotplug script to /etc/xen/scripts'
	@echo 'make clean        remove the build folders'

deps:
	@tools/install-deps.sh

$(BUILD)/build.ninja:
	$(call setup,$(BUILD))

demo: all
	@tools/demo.sh $(abspath $(BUILD))

demo-xen: all
	@tools/install-deps.sh xen
	@tests/xen/demo.sh $(abspath $(BUILD))

check: deps
	@tools/check.sh all

check-fast: deps
	@tools/check.sh fast

check-xen: deps
	@tools/check.sh xen

asan: deps
	@tools/check.sh asan

tsan: deps
	@tools/check.sh tsan

bench-quick: all
	@tools/install-deps.sh xen
	@tools/bench-quick.sh $(abspath $(BUILD))
	@tests/xen/bench.sh $(abspath $(BUILD))

fuzz: deps
	@tools/fuzz.sh $(or $(HOURS),1)

format:
	$(c_files) | xargs -0 clang-format -i

format-check:
	$(c_files) | xargs -0 clang-format --dry-run -Werror

install: deps
	@[ -e $(BUILD)/build.ninja ] || $(call setup,$(BUILD))
	$(MESON) configure -Dprefix=$(PREFIX) $(BUILD)
	$(MESON) compile -C $(BUILD)
	$(MESON) install -C $(BUILD) --no-rebuild $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))

clean:
	rm -rf build build-asan build-tsan build-clang build-debug build-release
