# SPDX-License-Identifier: GPL-2.0-only
# Two commands do it all on a fresh Debian: `make demo` and `make test`. `make help` lists the rest.

O       ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= gcc
CLANG   ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1)
ARCH    := $(shell uname -m | sed 's/x86_64/x86/; s/aarch64/arm64/')

PACKAGES := libbpf libelf libdw zlib ncursesw libmicrohttpd jansson libfyaml libcap-ng
# Deferred so that a fresh machine can run the set-up step before anything asks pkg-config.
DEPS_CFLAGS = $(shell pkg-config --cflags $(PACKAGES))
DEPS_LIBS   = $(shell pkg-config --libs $(PACKAGES)) -liberty
# Linked with the archives, the agent has what it uses of its libraries in memory and not their tables and
# relocations: 4 MiB resident less. libmicrohttpd would bring gnutls and what that needs, for an HTTPS that is not
# offered: its references to gnutls all end in a function that does nothing. ld's warnings are about NSS: users are
# those of /etc/passwd (main.c). `make clean; make STATIC=` links with the shared libraries instead.
STATIC     ?= yes
MHD_GNUTLS  = $(shell nm -u "$$($(CC) -print-file-name=libmicrohttpd.a)" 2>/dev/null | grep -o 'gnutls_[a-z0-9_]*' | sort -u)
STATIC_LINK = -static-pie -Wl,--gc-sections -Wl,--no-warnings $(MHD_GNUTLS:%=-Wl,--defsym=%=http_no_tls)
AGENT_LINK  = $(if $(STATIC),$(STATIC_LINK)) -Wl,--start-group $(DEPS_LIBS) -lm -Wl,--end-group

WARN   := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu11 -fPIE -D_GNU_SOURCE $(WARN) $(CFLAGS) -Iinclude -I$O -I$O/bpf \
             $(DEPS_CFLAGS)
SAN    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

AGENT_SRC := $(sort $(wildcard agent/*.c agent/*/*.c))
LIB_SRC   := $(filter-out agent/main.c,$(AGENT_SRC))
BPF_OBJ   := $(patsubst bpf/%.bpf.c,$O/bpf/%.bpf.o,$(sort $(wildcard bpf/*.bpf.c)))
SKELETONS := $(BPF_OBJ:.bpf.o=.skel.h)
UNIT_SRC  := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BIN  := $(patsubst tests/unit/%.c,$O/unit/%,$(UNIT_SRC))
WORK_SRC  := $(sort $(wildcard tests/workloads/*.c))
WORKLOADS := $(patsubst tests/workloads/%.c,$O/workloads/%,$(WORK_SRC))
BENCHES   := $O/bench/probe_cpython $O/bench/empty_attach $O/bench/empty.bpf.o

# `make V=1` prints the commands themselves.
Q   := $(if $V,,@)
say = $(if $V,@:,@printf '  %-8s %s\n')

.PHONY: all setup demo test unit live test-seeds test-runtimes test-vm bench lint install clean help sanitized benches
all: $O/poolscope $(WORKLOADS)
# Else make deletes them, being made on the way, and makes everything anew next time.
.SECONDARY: $(BPF_OBJ) $(SKELETONS)

help:
	@echo 'make demo           set up, build, and show the live dashboard over a built-in workload'
	@echo 'make test           set up, build, and run the tests: unit, and live on this kernel'
	@echo 'make                build $O/poolscope'
	@echo 'make install        install (DESTDIR=, PREFIX=)'
	@echo 'make test-runtimes  tests that need heavy runtimes (OpenCV, ...)'
	@echo 'make test-seeds     the live test over seeds, with many more of them'
	@echo 'make test-vm        tests in virtual machines with other kernels'
	@echo 'make bench          measure cost and print the figures'
	@echo 'make lint           style, structure and static checks'

$O/poolscope: $(AGENT_SRC:%.c=$O/%.o)
	$(say) LINK $@
	$Q$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(AGENT_LINK)
$O/san/poolscope: $(AGENT_SRC:%.c=$O/san/%.o)
	$(say) LINK $@
	$Q$(CC) $(ALL_CFLAGS) $(SAN) -o $@ $^ $(DEPS_LIBS) -lm
sanitized: $O/san/poolscope

# Written anew only where it is another: who includes it is compiled again then, and nobody else.
$O/version.h: force
	@mkdir -p $(@D)
	@echo '#define POOLSCOPE_VERSION "$(VERSION)"' > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
.PHONY: force

$O/agent/%.o: agent/%.c $(SKELETONS) | $O/version.h
	@mkdir -p $(@D)
	$(say) CC $@
	$Q$(CC) $(ALL_CFLAGS) $(if $(STATIC),-DPOOLSCOPE_STATIC) -MMD -MP -c -o $@ $<
$O/san/agent/%.o: agent/%.c $(SKELETONS) | $O/version.h
	@mkdir -p $(@D)
	$(say) CC $@
	$Q$(CC) $(ALL_CFLAGS) $(SAN) -MMD -MP -c -o $@ $<

$O/bpf/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(say) BPF $@
	$Q$(CLANG) -O2 -g -Wall -Werror -target bpf -mcpu=v2 -D__TARGET_ARCH_$(ARCH) -Iinclude -Ibpf -Itools -MMD -MP -MT $@ -MF $(@:.o=.d) -c -o $@ $<
	$Qllvm-strip -g $@
$O/bpf/%.skel.h: $O/bpf/%.bpf.o
	$(say) SKEL $@
	$Q$(BPFTOOL) gen skeleton $< name $(subst -,_,$*)_bpf > $@.tmp && mv $@.tmp $@

$O/san/libagent.a: $(LIB_SRC:%.c=$O/san/%.o)
	@rm -f $@ && ar rcs $@ $^
$O/unit/%: tests/unit/%.c $O/san/libagent.a
	@mkdir -p $(@D)
	$(say) CC $@
	$Q$(CC) $(ALL_CFLAGS) $(SAN) -Iagent -MMD -MP -MF $@.d -o $@ $< $O/san/libagent.a $(DEPS_LIBS) -lcmocka -lm
$O/workloads/%: tests/workloads/%.c
	@mkdir -p $(@D)
	$(say) CC $@
	$Q$(CC) -std=gnu11 -D_GNU_SOURCE $(WARN) -O1 -g -pthread -MMD -MP -MF $@.d -o $@ $< -lm

# The agent, writing down each fact that reaches the model (tests/recordings/record.py).
$O/record_facts: tests/recordings/record_facts.c tests/unit/recording.h $(AGENT_SRC:%.c=$O/%.o)
	$(say) LINK $@
	$Q$(CC) $(ALL_CFLAGS) -Iagent -Wl,--wrap=model_apply -o $@ $(filter %.c %.o,$^) $(DEPS_LIBS) -lm

# What the benches measure with: built by each `make test`, so that it is noticed when they no longer can be.
benches: $(BENCHES)
$O/libagent.a: $(LIB_SRC:%.c=$O/%.o)
	@rm -f $@ && ar rcs $@ $^
$O/bench/probe_cpython: tests/live/probe_cpython.c $O/libagent.a
	@mkdir -p $(@D)
	$(say) LINK $@
	$Q$(CC) $(ALL_CFLAGS) -Iagent -MMD -MP -MF $@.d -o $@ $< $O/libagent.a $(DEPS_LIBS) -lm
$O/bench/empty_attach: tools/bench/empty_attach.c
	@mkdir -p $(@D)
	$(say) CC $@
	$Q$(CC) -O2 -MMD -MP -MF $@.d -o $@ $< -lbpf
$O/bench/empty.bpf.o: tools/bench/empty.bpf.c
	@mkdir -p $(@D)
	$(say) BPF $@
	$Q$(CLANG) -O2 -g -target bpf -I/usr/include/$(shell uname -m)-linux-gnu -c -o $@ $<

setup:
	tools/setup build
demo: setup
	@$(MAKE) --no-print-directory -j$(shell nproc) all
	tools/demo $O
test:
	tools/setup build test
	@$(MAKE) --no-print-directory -j$(shell nproc) all sanitized benches
	tools/run-tests unit live
unit: $(UNIT_BIN)
live: all sanitized
	tools/run-tests live
test-seeds:
	tools/setup build test
	@$(MAKE) --no-print-directory -j$(shell nproc) all sanitized
	POOLSCOPE_SEEDS=$${POOLSCOPE_SEEDS:-2000} /usr/bin/python3 -m pytest -p no:cacheprovider -q tests/live/test_seeded.py
test-runtimes:
	tools/setup build test runtimes
	@$(MAKE) --no-print-directory -j$(shell nproc) all sanitized
	tools/run-tests runtimes
test-vm:
	tools/setup build test vm
	@$(MAKE) --no-print-directory -j$(shell nproc) all
	tools/run-tests vm
bench:
	tools/setup build bench
	@$(MAKE) --no-print-directory -j$(shell nproc) all benches
	tools/bench/run $O
lint:
	tools/setup build lint
	tools/lint

install: $O/poolscope
	install -D -m 755 $O/poolscope "$(DESTDIR)$(PREFIX)/sbin/poolscope"
	tools/install-extras "$(DESTDIR)$(PREFIX)"
clean:
	rm -rf $O

-include $(shell find $O -name '*.d' -type f 2>/dev/null)
