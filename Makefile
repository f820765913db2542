# Shoal: build, test, install. `make train` and `make test` set up everything they need.
#
#   make train            install what is missing, build, train the main job
#                         (CONFIG=... ARGS='seed=2 actors=4' for another)
#   make render           shoal-render, which draws videos; installs what it needs
#   make test             install what is missing, build, run every test that is not long
#   make check-render     tests of shoal-render
#   make test-long        the learning and system tests that take longer (hours)
#   make test-learning    the learning gates alone, all seeds; CASES='ppo-hopper td3-*' for some
#   make test-peers       every environment against the real Gymnasium, statistics against rliable
#   make bench            how fast kernels, updates, actors, transport and replay are here
#   make bench-parts      programs that measure single parts, under build/release/tests/bench
#   make check-instructions  instructions of fixed work against those recorded; ARGS=--record
#   make bench-peers      updates against Stable-Baselines3, steps against Gymnasium, in one run
#   make deps             Debian packages, MuJoCo and the models, under build/deps
#   make install PREFIX=  program, models and MuJoCo's library, self-contained
#   make VARIANT=asan     build one of: release (default), asan, tsan

MUJOCO_VERSION ?= 3.3.7
MUJOCO_DIR     ?=
SHOAL_MODELS   ?=
PREFIX         ?= /usr/local
VARIANT        ?= release
CONFIG         ?= configs/sac/inverted_pendulum.yaml
ifeq ($(origin CC),default)
CC             := gcc
endif

VERSION    := 0.1.0
DEPS       := build/deps
BUILD      := build/$(VARIANT)
MUJOCO     := $(abspath $(if $(MUJOCO_DIR),$(MUJOCO_DIR),$(DEPS)/mujoco))
MODELS     := $(abspath $(if $(SHOAL_MODELS),$(SHOAL_MODELS),$(DEPS)/models))

comma      := ,
PKGS       := libzmq libsodium jansson yaml-0.1 zlib libzip openblas
MSGPACK    = $(shell pkg-config --exists msgpack-c 2>/dev/null && echo msgpack-c || echo msgpack)

WARNINGS   := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
              -Wcast-qual -Wdouble-promotion -Wvla -Wformat=2 -Werror
# Nothing here reads errno or the exception flags behind arithmetic; while they are kept, square roots and
# choices between numbers do not vectorise. No result depends on either flag.
DEFINES    := -fno-math-errno -fno-trapping-math -D_GNU_SOURCE -DSHOAL_VERSION='"$(VERSION)"' -DSHOAL_MODELS_DIR='"$(MODELS)"'
INCLUDES   = -I. -isystem $(MUJOCO)/include $(shell pkg-config --cflags $(PKGS) $(MSGPACK) | sed 's/-I/-isystem /g')
HARDENING  := -fstack-protector-strong -fPIE
CFLAGS     ?= -O3 -g
LDLIBS     = $(shell pkg-config --libs $(PKGS) $(MSGPACK)) -L$(MUJOCO)/lib -lmujoco -lm -lpthread
LDFLAGS    += -pie -Wl,-z,relro,-z,now -Wl,-rpath,'$$ORIGIN/../lib/shoal' \
              $(if $(MUJOCO_DIR),-Wl$(comma)-rpath$(comma)$(MUJOCO)/lib,-Wl$(comma)-rpath$(comma)'$$ORIGIN/../deps/mujoco/lib')

ifeq ($(shell uname -m),x86_64)
ARCH       := -march=x86-64-v2 -mtune=haswell
endif

ifeq ($(VARIANT),asan)
SANITIZE   := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS     := -O1 -g
else ifeq ($(VARIANT),tsan)
SANITIZE   := -fsanitize=thread -fno-omit-frame-pointer
CFLAGS     := -O1 -g
else ifeq ($(VARIANT),release)
HARDENING  += -D_FORTIFY_SOURCE=2
else
$(error VARIANT is one of release, asan, tsan)
endif

COMPILE    = $(CC) -std=c17 $(WARNINGS) $(DEFINES) $(CFLAGS) $(ARCH) $(HARDENING) $(SANITIZE) $(INCLUDES) -MMD -MP

LIB_SRC    := $(wildcard common/*.c proto/*.c actor/*.c actor/env/*.c learner/*.c)
DEPLOY_SRC := $(filter-out deploy/main.c deploy/render_main.c,$(wildcard deploy/*.c))
RENDER_SRC := $(wildcard actor/render/*.c)
LIB_OBJ    := $(LIB_SRC:%.c=$(BUILD)/%.o) $(DEPLOY_SRC:%.c=$(BUILD)/%.o)
RENDER_OBJ := $(RENDER_SRC:%.c=$(BUILD)/%.o)
PROGRAM    := $(BUILD)/shoal
RENDERER   := $(BUILD)/shoal-render

# As many jobs as cores, unless make was told how many.
JOBS       = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

.PHONY: all train render test test-long deps install clean unit
all: $(PROGRAM)

include tests/rules.mk

# ---- build ----

# Rewritten when the flags change, so that everything is built again.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(CC) $(WARNINGS) $(DEFINES) $(CFLAGS) $(ARCH) $(SANITIZE) $(MUJOCO))' | cmp -s - $@ \
	    || echo '$(subst ','\'',$(CC) $(WARNINGS) $(DEFINES) $(CFLAGS) $(ARCH) $(SANITIZE) $(MUJOCO))' > $@
# Phony, as the .SECONDARY of tests/rules.mk would take a file that is missing for one that may be.
.PHONY: FORCE

$(BUILD)/%.o: %.c $(BUILD)/flags | $(DEPS)/.stamp
	@mkdir -p $(@D)
	@echo '  cc   $<'; $(COMPILE) -c $< -o $@

$(BUILD)/libshoal.a: $(LIB_OBJ)
	@rm -f $@
	@echo '  ar   $@'; ar rcs $@ $^

$(PROGRAM): $(BUILD)/deploy/main.o $(BUILD)/libshoal.a
	@echo '  link $@'; $(CC) $(CFLAGS) $(SANITIZE) $^ $(LDFLAGS) $(LDLIBS) -o $@

# The drawing program is separate, so that nothing else loads video libraries.
AV_PKGS    := libavformat libavcodec libswscale libavutil
AV_LIBS     = $(shell pkg-config --libs $(AV_PKGS))
AV_INCLUDES = $(shell pkg-config --cflags $(AV_PKGS) | sed 's/-I/-isystem /g')
$(BUILD)/actor/render/video.o: INCLUDES += $(AV_INCLUDES)

$(RENDERER): $(BUILD)/deploy/render_main.o $(RENDER_OBJ) $(BUILD)/libshoal.a
	@echo '  link $@'; $(CC) $(CFLAGS) $(SANITIZE) $^ $(LDFLAGS) $(LDLIBS) $(AV_LIBS) -ldl -o $@

deps:
	@MUJOCO_VERSION='$(MUJOCO_VERSION)' MUJOCO_DIR='$(MUJOCO_DIR)' SHOAL_MODELS='$(SHOAL_MODELS)' \
	    BUILD_DEPS='$(DEPS)' DEPS_EXTRA='$(DEPS_EXTRA)' deploy/deps.sh

$(DEPS)/.stamp:
	@$(MAKE) --no-print-directory deps

# ---- use ----

train: deps
	@$(MAKE) --no-print-directory $(JOBS) all
	$(PROGRAM) train $(CONFIG) $(ARGS)

render:
	@$(MAKE) --no-print-directory DEPS_EXTRA=render deps
	@$(MAKE) --no-print-directory $(JOBS) $(PROGRAM) $(RENDERER)

# A tree that finds its own library and models: $(PREFIX)/bin, lib/shoal, include/shoal, share/shoal.
install: deps
	@$(MAKE) --no-print-directory $(JOBS) all $(wildcard $(RENDERER))
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/shoal \
	    $(DESTDIR)$(PREFIX)/share/shoal/models $(DESTDIR)$(PREFIX)/share/shoal/configs \
	    $(DESTDIR)$(PREFIX)/share/shoal/plugin $(DESTDIR)$(PREFIX)/share/shoal/tasks \
	    $(DESTDIR)$(PREFIX)/include/shoal
	install -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/shoal
	if [ -f $(RENDERER) ]; then install -m 755 $(RENDERER) $(DESTDIR)$(PREFIX)/bin/shoal-render; fi
	cp -P $(MUJOCO)/lib/libmujoco.so.* $(DESTDIR)$(PREFIX)/lib/shoal/
	install -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/shoal/LICENSE
	if [ -f $(MUJOCO)/LICENSE ]; then install -m 644 $(MUJOCO)/LICENSE $(DESTDIR)$(PREFIX)/lib/shoal/; fi
	if [ -f $(MODELS)/LICENSE ]; then install -m 644 $(MODELS)/LICENSE $(DESTDIR)$(PREFIX)/share/shoal/models/; fi
	install -m 644 $(MODELS)/*.xml $(DESTDIR)$(PREFIX)/share/shoal/models/
	cp -R configs/. $(DESTDIR)$(PREFIX)/share/shoal/configs/
	install -m 644 actor/task/*.yaml $(DESTDIR)$(PREFIX)/share/shoal/tasks/
	install -m 644 actor/plugin/shoal_environment.h $(DESTDIR)$(PREFIX)/include/shoal/environment.h
	install -m 644 actor/plugin/README.md actor/plugin/example/* $(DESTDIR)$(PREFIX)/share/shoal/plugin/

clean:
	rm -rf build/release build/asan build/tsan build/double

-include $(LIB_OBJ:.o=.d) $(RENDER_OBJ:.o=.d) $(BUILD)/deploy/main.d $(BUILD)/deploy/render_main.d
