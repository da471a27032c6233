# Argand's build: one Makefile, no recursion. `make help` lists what it does.
#
# configure's findings come from config.mk, which is made anew whenever configure.ac changes. Objects
# go to $(B): build/, or a folder of its own per SANITIZE value, so that both kinds stand side by side.
# Sources are found, not listed: a new file in common/, master/, worker/, modules/, test/unit/,
# test/master/ or test/fuzz/ is part of the build at once.

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all
SHELL := /bin/sh

GOALS := $(or $(MAKECMDGOALS),all)
ifneq ($(filter-out help clean distclean,$(GOALS)),)
include config.mk
endif
# As many jobs as CPUs unless told how many; not where the order of goals matters.
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS))$(filter clean distclean install uninstall,$(GOALS)),0)
MAKEFLAGS += -j$(shell nproc)
endif

# `make run` and `make check` work on a fresh machine: they install what is missing first. Packagers
# and everybody who does not want that say DEPS=no.
DEPS ?= $(if $(filter run check check-% chaos hostile lint fuzz fuzz-smoke bench bench-loss,$(GOALS)),yes,no)
deps = $(if $(filter yes,$(DEPS)),@etc/install-deps.sh $1)

# A prefix given here and not to configure would leave the wrong paths in the program.
ifeq ($(origin prefix),command line)
ifneq ($(prefix),$(CONFIGURED_PREFIX))
config.mk: again
CONFIGURE_ARGS += --prefix=$(prefix)
endif
endif
config.mk: configure.ac build-aux/config.mk.in build-aux/config.h.in
	$(call deps,build)
	@build-aux/configure.sh $(CONFIGURE_ARGS)
.PHONY: again

comma := ,
ifeq ($(SANITIZE),)
B ?= build
else
B ?= build/san-$(subst $(comma),-,$(SANITIZE))
endif

# ---- what is compiled ------------------------------------------------------------------------------

SRC := $(sort $(wildcard $(addsuffix /*.c,common/* master master/* worker modules modules/* modules/*/*)))
MAIN := master/cli/main.c
UNIT := $(sort $(wildcard test/unit/*.c))
ENGINE := $(sort $(wildcard test/engine/*.c))
FUZZERS := $(patsubst test/fuzz/fuzz_%.c,%,$(sort $(wildcard test/fuzz/fuzz_*.c)))

OBJ := $(SRC:%.c=$(B)/%.o)
LIBOBJ := $(filter-out $(MAIN:%.c=$(B)/%.o),$(OBJ))
UNITOBJ := $(UNIT:%.c=$(B)/%.o)
MASTER := $(sort $(wildcard test/master/*.c))
MASTEROBJ := $(MASTER:%.c=$(B)/%.o)
ENGINEOBJ := $(ENGINE:%.c=$(B)/%.o)

ifeq ($(SANITIZE),)
OPT = $(CFLAGS) $(HARDEN) $(FORTIFY) $(LTO)
else
OPT = $(CFLAGS) -O1 $(HARDEN) -fsanitize=$(SANITIZE) -fno-sanitize-recover=all \
	-fno-omit-frame-pointer -DBUILD_SANITIZE='"$(SANITIZE)"'
endif
COMPILE = $(CC) $(CSTD) -D_GNU_SOURCE -I. $(CPPFLAGS) $(LIB_CFLAGS) $(OPT) -pthread -MMD -MP
# Not with sanitizers: their own crypt(3) would make libcrypt look needless.
LINK = $(CC) $(OPT) $(HARDEN_LD) $(if $(SANITIZE),,$(LD_AS_NEEDED)) $(LDFLAGS) -pthread
# Tests link the machine code of the same objects: quicker, and each from its own file.
LINK_TEST = $(LINK) $(if $(LTO),-fno-lto)
# Check's macros are what they are, and a suite needs no prototype.
TEST_WARN = $(filter-out -Wmissing-prototypes,$(WARN))

.PHONY: all
all: $(B)/argand $(if $(filter build,$(B)),argand)

# For typing ./argand; tests take $(B)/argand, through ARGAND_BIN.
argand: build/argand
	@ln -sf build/argand $@

$(B)/argand: $(OBJ)
	@echo "  LINK  $@"
	@$(LINK) -o $@ $(OBJ) $(LIBS)

$(B)/libargand.a: $(LIBOBJ)
	@rm -f $@
	@$(AR) rcs $@ $(LIBOBJ)

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(COMPILE) $(WARN) -c -o $@ $<

$(B)/test/%.o: test/%.c $(B)/flags
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(COMPILE) $(CHECK_CFLAGS) $(TEST_WARN) -I$(B) -c -o $@ $<

# What reads octets from outside takes no integer for another one silently.
PARSERS := common/base/address common/config/lex common/config/tree common/base/cidr common/base/forwarded common/base/str \
	common/base/beneath modules/gateway/codec/ajp modules/gateway/codec/cgihead modules/gateway/codec/fastcgi \
	modules/gateway/codec/hcodec modules/gateway/codec/hmap modules/gateway/codec/hpath modules/gateway/codec/nameset \
	modules/gateway/codec/origin modules/gateway/codec/passage modules/gateway/codec/reading modules/gateway/codec/script \
	modules/gateway/codec/script_env modules/gateway/codec/sendcmd modules/gateway/codec/sieve \
	modules/gateway/codec/formpart modules/gateway/codec/multipart modules/gateway/codec/params \
	modules/auth/htpasswd \
	modules/links/argand modules/links/below modules/links/pathform modules/links/query \
	modules/links/securelink modules/receive/info modules/receive/name modules/receive/value worker/chunked worker/cond worker/h1_parse worker/proxyproto worker/uri
$(PARSERS:%=$(B)/%.o): WARN += -Wconversion

# write_if_changed FILE: takes standard input.
write_if_changed = { mkdir -p $(dir $1) && cat >$1.new && \
	if cmp -s $1.new $1; then rm -f $1.new; else mv -f $1.new $1; fi; }

# Another compiler or other flags are a reason to compile everything again.
$(B)/flags: again
	@printf '%s\n' '$(subst ','\'',$(COMPILE) | $(LINK) $(LIBS))' | $(call write_if_changed,$@)

-include $(OBJ:.o=.d) $(UNITOBJ:.o=.d) $(MASTEROBJ:.o=.d) $(ENGINEOBJ:.o=.d)

# The assembler includes it, so the compiler's list of dependencies does not know.
$(B)/modules/status/html.o build/fuzz/modules/status/html.o: modules/status/status.html

# ---- tests -----------------------------------------------------------------------------------------

# test/unit/test_NAME.c defines suite_NAME(); the list of them follows from the names of the files. The
# same in test/engine.
$(B)/test/%/suites.def: again
	@printf 'SUITE(%s)\n' $(patsubst test/$*/test_%.c,%,$(filter test/$*/test_%.c,$(UNIT) $(ENGINE))) | \
		$(call write_if_changed,$@)

$(B)/test/unit/main.o: $(B)/test/unit/suites.def
$(B)/test/engine/main.o: $(B)/test/engine/suites.def

$(B)/unit-tests: $(UNITOBJ) $(B)/libargand.a
	@echo "  LINK  $@"
	@$(LINK_TEST) -o $@ $(UNITOBJ) $(B)/libargand.a $(CHECK_LIBS) $(LIBS)

# The master in a made-up machine: calls of the kernel's that test/master/world.c answers, and objects
# of the library in whose place test/master has one of its own.
$(B)/test/master/suites.def: again
	@printf 'SUITE(%s)\n' $(patsubst test/master/test_%.c,%,$(filter test/master/test_%.c,$(MASTER))) | \
		$(call write_if_changed,$@)

$(B)/test/unit/main-master.o: test/unit/main.c $(B)/test/master/suites.def $(B)/flags
	@mkdir -p $(@D)
	@$(COMPILE) $(CHECK_CFLAGS) $(TEST_WARN) -I$(B) -DUNIT_SUITES='"test/master/suites.def"' -c -o $@ $<

MASTER_WRAP := clock_ms execve fexecve fork inherit_from_manager kill localexec_start notify_is_on \
	notify_store notify_unstore pipe2 poll procid_look procid_note procid_open procid_open_child \
	procid_signal procid_starttime send signalfd socketpair waitid waitpid
$(B)/master-tests: $(MASTEROBJ) $(B)/test/unit/main-master.o $(B)/libargand.a
	@echo "  LINK  $@"
	@$(LINK_TEST) $(MASTER_WRAP:%=-Wl,--wrap=%) -o $@ $(MASTEROBJ) $(B)/test/unit/main-master.o \
		$(B)/libargand.a $(CHECK_LIBS) $(LIBS)

# The same objects on a kernel and a clock of the tests' own, test/engine/vnet.h: each __wrap_ function there
# takes the place of the real one.
VNET = $(shell sed -n 's/^__wrap_\([a-z0-9_]*\).*/\1/p' test/engine/*.c)
$(B)/engine-tests: $(ENGINEOBJ) $(B)/libargand.a
	@echo "  LINK  $@"
	@$(LINK_TEST) -o $@ $(VNET:%=-Wl,--wrap=%) $(ENGINEOBJ) $(B)/libargand.a $(CHECK_LIBS) $(LIBS)

# The corpus of each fuzzer, through the fuzzer's own function, with any compiler.
REPLAYS := $(FUZZERS:%=$(B)/replay/%)
$(B)/replay/%: $(B)/test/fuzz/fuzz_%.o $(B)/test/fuzz/replay.o $(B)/libargand.a
	@mkdir -p $(@D)
	@$(LINK_TEST) -o $@ $^ $(LIBS)
.SECONDARY: $(FUZZERS:%=$(B)/test/fuzz/fuzz_%.o) $(B)/test/fuzz/replay.o
-include $(FUZZERS:%=$(B)/test/fuzz/fuzz_%.d) $(B)/test/fuzz/replay.d

# Helpers of the system tests: without the sanitizers of what they measure.
TOOLS := $(B)/tools/loadmeter $(B)/tools/peer $(B)/tools/hostile $(B)/tools/malloc_count.so
TOOL_COMPILE = $(CC) $(CSTD) -D_GNU_SOURCE -I. -O2 -g $(TEST_WARN)
$(B)/tools/%.so: test/load/%.c
	@mkdir -p $(@D)
	@$(TOOL_COMPILE) -fPIC -shared -o $@ $<
$(B)/tools/%: test/load/%.c
	@mkdir -p $(@D)
	@$(TOOL_COMPILE) -o $@ $<

.PHONY: check check-build check-full check-unit check-replay check-system check-lint check-systemd
check-build: $(B)/argand $(B)/unit-tests $(B)/master-tests $(B)/engine-tests $(REPLAYS) $(TOOLS)

# check-full: what takes minutes too, fifty reloads and kills under load, instructions by callgrind.
check check-full check-unit check-replay check-system check-lint: check-build
	$(call deps,build check $(if $(filter check-full,$@),full))
	@B=$(B) ARGAND_BIN=$(abspath $(B)/argand) ARGAND_TOOLS=$(abspath $(B)/tools) \
		SANITIZE='$(SANITIZE)' CC='$(CC)' $(if $(filter check-full,$@),ARGAND_FULL=1) test/check.sh \
		$(if $(filter check check-full,$@),unit replay lint system,$(@:check-%=%))

# A real systemd in namespaces of its own; root, debootstrap and some minutes.
check-systemd: $(B)/argand
	$(call deps,build systemd)
	@B=$(B) CC='$(CC)' test/systemd/check.sh

# A worker that was taken over against the master, for HOSTILE_TIME seconds; SEED: as a run before.
# With SANITIZE=address,undefined what it finds is found at once.
HOSTILE_TIME ?= 1800
.PHONY: hostile
hostile: $(B)/argand $(TOOLS)
	$(call deps,build check)
	@B=$(B) ARGAND_BIN=$(abspath $(B)/argand) ARGAND_TOOLS=$(abspath $(B)/tools) \
		ARGAND_HOSTILE_TIME=$(HOSTILE_TIME) ARGAND_HOSTILE_SEED='$(SEED)' \
		/usr/bin/python3 -m pytest -q -s -p no:cacheprovider -k hostile_writes \
		test/system/test_hostile_segment.py

# The chaos test for as long as one likes, with a seed of its own, which it says first.
CHAOS_TIME ?= 300
.PHONY: chaos
chaos: $(B)/argand $(TOOLS)
	$(call deps,build check)
	@B=$(B) ARGAND_BIN=$(abspath $(B)/argand) ARGAND_TOOLS=$(abspath $(B)/tools) CHAOS_TIME=$(CHAOS_TIME) \
		SEED=$(or $(SEED),$(shell date +%s)) \
		/usr/bin/python3 -m pytest -q -s -p no:cacheprovider test/system/test_chaos.py

# Random schedules of the engine, as many as one likes; SEED: that one only, and told step by step.
SCHEDULES ?= 100000
.PHONY: schedules
schedules: $(B)/engine-tests
	@$(if $(SEED),ENGINE_SEED='$(SEED)' ENGINE_TRACE=1 )ENGINE_SCHEDULES=$(SCHEDULES) $(B)/engine-tests schedule

# ---- fuzzing: clang's libFuzzer, objects of its own ------------------------------------------------

FUZZ_TIME ?= 600
FB := build/fuzz
FUZZ_FLAGS = -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_LIBOBJ := $(filter-out $(MAIN:%.c=$(FB)/%.o),$(SRC:%.c=$(FB)/%.o))
FUZZ_COMPILE = $(CLANG) $(CSTD) -D_GNU_SOURCE -I. $(CPPFLAGS) $(LIB_CFLAGS) $(FUZZ_FLAGS) -pthread

$(FB)/%.o: %.c config.mk
	@mkdir -p $(@D)
	@echo "  FUZZ  $<"
	@$(FUZZ_COMPILE) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<
$(FB)/libargand.a: $(FUZZ_LIBOBJ)
	@rm -f $@
	@$(AR) rcs $@ $^
$(FB)/fuzz_%: $(FB)/test/fuzz/fuzz_%.o $(FB)/libargand.a
	@$(FUZZ_COMPILE) -fsanitize=fuzzer -o $@ $^ $(LIBS)
-include $(FUZZ_LIBOBJ:.o=.d)

.PHONY: fuzz fuzz-build fuzz-smoke $(FUZZERS:%=fuzz-%)
fuzz: $(FUZZERS:%=fuzz-%)
fuzz-build: $(FUZZERS:%=$(FB)/fuzz_%)
fuzz-smoke:
	@$(MAKE) fuzz FUZZ_TIME=10
$(FUZZERS:%=fuzz-%): fuzz-%: $(FB)/fuzz_%
	@test/fuzz/run.sh $< $* $(FUZZ_TIME)

# ---- looking at it ---------------------------------------------------------------------------------

.PHONY: lint format run bench bench-loss man rooms
format:
	clang-format -i $(shell find common master worker modules test -name '*.[ch]')

# argand.conf(5) holds the reference that the program prints; made again when an option is new.
man: $(B)/argand
	man/conf.sh $(B)/argand >$(B)/argand.conf.5
	mv $(B)/argand.conf.5 man/argand.conf.5

lint: $(B)/argand
	$(call deps,build lint)
	@CC='$(CC)' COMPILE='$(filter-out -MMD -MP,$(COMPILE))' ARGAND_BIN=$(abspath $(B)/argand) \
		test/lint/all.sh

# The folders of the sources and which stands on which, from the includes; DOT=1: for Graphviz.
rooms:
	@test/lint/rooms.py $(if $(DOT),--dot)

run: all
	$(call deps,build)
	@exec $(B)/argand run -c etc/demo.conf

BENCHES := $(patsubst test/bench/%.c,$(B)/bench/%,$(wildcard test/bench/bench_*.c))
# BENCH=FOLDER with bench.py compares with other servers; see test/bench/run.sh.
bench: all $(TOOLS) $(BENCHES)
	$(call deps,build bench)
	@ARGAND_BIN=$(abspath $(B)/argand) ARGAND_TOOLS=$(abspath $(B)/tools) test/bench/run.sh
# What is lost during reloads, upgrades and kills, beside other servers: some twenty minutes, then a new results file.
bench-loss: all $(TOOLS)
	$(call deps,build bench)
	@ARGAND_BIN=$(abspath $(B)/argand) ARGAND_TOOLS=$(abspath $(B)/tools) test/bench/loss/loss.py \
		--rounds $(or $(ROUNDS),3) --out test/bench/loss/RESULTS.md
$(B)/bench/%: $(B)/test/bench/%.o $(B)/libargand.a
	@mkdir -p $(@D)
	@$(LINK_TEST) -o $@ $^ $(LIBS)

# ---- installing ------------------------------------------------------------------------------------

etcdir = $(sysconfdir)/argand
pkgdatadir = $(datadir)/argand
completiondir = $(datarootdir)/bash-completion/completions
INSTALL_DATA = install -m 644

# What is made from a template: the paths and the user that configure was told.
$(B)/etc/%: etc/%.in config.mk
	@mkdir -p $(@D)
	@sed -e 's|@sbindir@|$(sbindir)|g' -e 's|@sysconfdir@|$(sysconfdir)|g' \
		-e 's|@runstatedir@|$(runstatedir)|g' -e 's|@localstatedir@|$(localstatedir)|g' \
		-e 's|@datadir@|$(datadir)|g' -e 's|@user@|$(RUN_USER)|g' $< >$@
FROM_TEMPLATE := $(patsubst etc/%.in,$(B)/etc/%,$(sort $(wildcard etc/*.in)))

.PHONY: install uninstall
install: $(B)/argand $(FROM_TEMPLATE)
	install -d $(DESTDIR)$(sbindir) $(DESTDIR)$(etcdir)/sites $(DESTDIR)$(mandir)/man8 \
		$(DESTDIR)$(mandir)/man5 $(DESTDIR)$(docdir) $(DESTDIR)$(systemdsystemunitdir) \
		$(DESTDIR)$(completiondir) $(DESTDIR)$(sysconfdir)/logrotate.d \
		$(DESTDIR)$(prefix)/lib/sysusers.d $(DESTDIR)$(localstatedir)/log/argand
	install -m 755 $(B)/argand $(DESTDIR)$(sbindir)/argand
	@# An operator's configuration is never overwritten.
	test -e $(DESTDIR)$(etcdir)/argand.conf || \
		$(INSTALL_DATA) $(B)/etc/argand.conf $(DESTDIR)$(etcdir)/argand.conf
	test -e $(DESTDIR)$(sysconfdir)/logrotate.d/argand || \
		$(INSTALL_DATA) $(B)/etc/argand.logrotate $(DESTDIR)$(sysconfdir)/logrotate.d/argand
	$(INSTALL_DATA) man/argand.8 $(DESTDIR)$(mandir)/man8/argand.8
	$(INSTALL_DATA) man/argand.conf.5 $(DESTDIR)$(mandir)/man5/argand.conf.5
	$(INSTALL_DATA) README.md ARCHITECTURE.md LICENSE $(B)/etc/argand.conf \
		$(B)/etc/argand.socket.example $(DESTDIR)$(docdir)
	$(INSTALL_DATA) $(B)/etc/argand.service $(DESTDIR)$(systemdsystemunitdir)
	$(INSTALL_DATA) $(B)/etc/argand.sysusers $(DESTDIR)$(prefix)/lib/sysusers.d/argand.conf
	$(INSTALL_DATA) etc/argand.bash-completion $(DESTDIR)$(completiondir)/argand
	install -d $(DESTDIR)$(docdir)/recipes
	$(INSTALL_DATA) etc/recipes/links.* etc/recipes/upload.php $(DESTDIR)$(docdir)/recipes
	cd etc && find demo -type f -exec install -D -m 644 '{}' '$(DESTDIR)$(pkgdatadir)/{}' ';'

# Leaves the configuration: it is the operator's.
uninstall:
	rm -f $(DESTDIR)$(sbindir)/argand $(DESTDIR)$(mandir)/man8/argand.8 \
		$(DESTDIR)$(mandir)/man5/argand.conf.5 $(DESTDIR)$(systemdsystemunitdir)/argand.service \
		$(DESTDIR)$(sysconfdir)/logrotate.d/argand $(DESTDIR)$(completiondir)/argand \
		$(DESTDIR)$(prefix)/lib/sysusers.d/argand.conf
	rm -rf $(DESTDIR)$(pkgdatadir) $(DESTDIR)$(docdir)
	@echo 'Left in place: $(DESTDIR)$(etcdir) and $(DESTDIR)$(localstatedir)/log/argand'

# ---- the source package and tidying up -------------------------------------------------------------

DIST = $(PACKAGE_NAME)-$(PACKAGE_VERSION)
.PHONY: dist clean distclean help
dist: config.mk
	@build-aux/dist.sh $(DIST)

clean:
	rm -rf build argand

distclean: clean
	rm -rf config.mk config.h config.log config.status configure autom4te.cache .configure.lock \
		argand-*.tar.gz .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:
	@build-aux/help.sh
