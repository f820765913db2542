# ---- tests ----
#
# One test program per file. unit, golden and fuzz are quick; simulation and system run whole
# trainings; double holds the numerical sources in double precision.

.SECONDARY:

TEST_SRC     := $(wildcard tests/unit/test_*.c tests/golden/test_*.c tests/fuzz/test_*.c \
                           tests/simulation/test_*.c)
DOUBLE_SRC   := $(wildcard tests/double/test_*.c)
TEST_BIN     := $(TEST_SRC:%.c=$(BUILD)/%) $(DOUBLE_SRC:%.c=$(BUILD)/%)
TEST_SUPPORT := $(patsubst %.c,$(BUILD)/%.o,tests/support.c tests/golden/golden.c \
                  $(filter-out tests/simulation/test_%,$(wildcard tests/simulation/*.c)) $(wildcard tests/unit/*_desk.c))
DOUBLE_LIB   := $(addprefix $(BUILD)/double/, common/error.o common/arena.o common/rng.o common/rng_fill.o common/matrix.o \
                  common/kernels.o common/kernels_openblas.o common/thread.o common/workers.o common/mlp_pass.o \
                  common/mlp.o common/squashed_gaussian.o common/gaussian.o common/categorical.o \
                  common/vector_math.o common/dispatch.o common/policy_head.o learner/optimiser.o learner/parameters.o learner/returns.o \
                  learner/actor_critic.o learner/ppo.o learner/a2c.o learner/deterministic.o learner/ddpg.o \
                  learner/td3.o learner/sac.o learner/sac_continuous.o learner/sac_value.o \
                  learner/sac_discrete.o tests/double/differences.o)
CHECK_LIBS    = $(shell pkg-config --libs check) -Wl,-rpath,$(MUJOCO)/lib

$(BUILD)/double/%.o: %.c $(BUILD)/flags | $(DEPS)/.stamp
	@mkdir -p $(@D)
	@echo '  cc   $< (double)'; $(COMPILE) -DSHOAL_DOUBLE -c $< -o $@

$(DOUBLE_SRC:%.c=$(BUILD)/%): $(BUILD)/tests/double/%: tests/double/%.c $(DOUBLE_LIB) $(BUILD)/tests/support.o
	@mkdir -p $(@D)
	@echo '  test $@'; $(COMPILE) -DSHOAL_DOUBLE $(filter-out %.h,$^) -o $@ $(LDFLAGS) $(LDLIBS) $(CHECK_LIBS)

$(TEST_SRC:%.c=$(BUILD)/%): $(BUILD)/tests/%: tests/%.c $(TEST_SUPPORT) $(BUILD)/libshoal.a
	@mkdir -p $(@D)
	@echo '  test $@'; $(COMPILE) $(filter-out %.h,$^) -o $@ $(LDFLAGS) $(LDLIBS) $(CHECK_LIBS)

# Plug-ins, built as anybody builds theirs: with the public header and nothing else of Shoal.
PLUGIN_DIR   := $(BUILD)/tests/plugins
PLUGINS      := $(patsubst tests/plugins/%.c,$(PLUGIN_DIR)/lib%.so,$(wildcard tests/plugins/*.c)) \
                $(PLUGIN_DIR)/libslider.so
PLUGIN_CC     = $(CC) -std=c11 -O2 -g -Wall -Wextra -Wpedantic -Wshadow -Werror $(SANITIZE) -shared -fPIC \
                -I $(BUILD)/include

$(BUILD)/include/shoal/environment.h: actor/plugin/shoal_environment.h
	@mkdir -p $(@D)
	@cp $< $@

$(PLUGIN_DIR)/lib%.so: tests/plugins/%.c tests/plugins/plain.h $(BUILD)/include/shoal/environment.h $(BUILD)/flags
	@mkdir -p $(@D)
	@echo '  so   $@'; $(PLUGIN_CC) -o $@ $< -lm

$(PLUGIN_DIR)/lib%.so: actor/plugin/example/%.c $(BUILD)/include/shoal/environment.h $(BUILD)/flags
	@mkdir -p $(@D)
	@echo '  so   $@'; $(PLUGIN_CC) -o $@ $< -lm

$(BUILD)/tests/unit/test_plugin $(BUILD)/tests/unit/test_plugin_refusal: | $(PLUGINS)

.PHONY: tests plugins
plugins: $(PLUGINS)
tests: $(PROGRAM) $(TEST_BIN) $(PLUGINS)

# The AMX kernels with tiles in plain C.
AMX_EMULATED := $(BUILD)/tests/amx_emulated.o $(BUILD)/tests/amx_portable.o
$(BUILD)/tests/unit/test_kernels: $(AMX_EMULATED)

# The bench's view of the machine is made up there.
$(BUILD)/tests/unit/test_bench: LDLIBS += -Wl,--wrap=fopen

# What draws is not in the library; of it only the rasteriser needs no more than the library does.
$(BUILD)/tests/unit/test_canvas: $(BUILD)/actor/render/canvas.o

# Need the packages of `make render`.
RENDER_TEST  := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/render/test_*.c))
RENDER_HELP  := $(BUILD)/tests/render/decode.o
$(RENDER_TEST) $(RENDER_HELP): INCLUDES += $(AV_INCLUDES)
$(RENDER_TEST): $(BUILD)/tests/%: tests/%.c $(RENDER_HELP) $(RENDER_OBJ) $(TEST_SUPPORT) $(BUILD)/libshoal.a
	@mkdir -p $(@D)
	@echo '  test $@'; $(COMPILE) $(filter-out %.h,$^) -o $@ $(LDFLAGS) $(LDLIBS) $(AV_LIBS) -ldl $(CHECK_LIBS)

.PHONY: check-render
check-render: render
	@$(MAKE) --no-print-directory $(JOBS) $(RENDER_TEST)
	@$(if $(SANITIZE),tests/sanitized.sh) tests/run.sh $(VARIANT) $(RENDER_TEST)

# What the thread sanitizer looks at: whatever has threads or crosses them.
THREADED     := $(addprefix $(BUILD)/tests/unit/,test_frame test_local_link test_zmq_link \
                  test_zmq_hostile test_workers test_mlp_pass test_optimiser)
SYSTEM       := $(if $(SANITIZE),tests/sanitized.sh) env SHOAL=$(PROGRAM) \
                /usr/bin/python3 tests/system/system_tests.py

# The system tests that cross threads and processes, for the sanitizers.
SHARED_WORK  := train_writes_a_complete_run_directory by_hand_in_four_terminals \
                ctrl_c_stops_cleanly_and_resume_continues damaged_checkpoints_are_refused \
                python_actor_written_from_the_protocol_is_understood \
                an_environment_that_crashes_costs_restarts_and_never_the_run \
                an_environment_that_hangs_costs_restarts_and_never_the_run \
                an_environment_that_crashes_in_evaluations_costs_those a_killed_learner_leaves_no_evaluator
.PHONY: check-release check-asan check-tsan check-system check-learning boundaries
# What networks compute is held to the references by every set of kernels, not by the CPU's best alone; the other
# golden tests have no networks. golden.c says how far a precision may be off.
BY_KERNELS   := $(filter-out $(patsubst %,$(BUILD)/tests/golden/test_%_golden,env returns distribution optimiser), \
                  $(filter $(BUILD)/tests/golden/%,$(TEST_BIN)))
KERNELS      := openblas avx2 avx512_bf16/bf16x3 avx512_bf16/bf16 amx/bf16x3 amx/bf16
check-release: $(PROGRAM) $(TEST_BIN)
	@tests/run.sh $(VARIANT) $(TEST_BIN)
	@for kernels in $(KERNELS); do \
	    SHOAL_TEST_KERNELS=$$kernels tests/run.sh "$(VARIANT), $$kernels" $(BY_KERNELS) || exit 1; done
check-asan: $(PROGRAM) $(TEST_BIN) $(PLUGINS)
	@tests/sanitized.sh tests/run.sh $(VARIANT) $(TEST_BIN)
	@$(SYSTEM) $(SHARED_WORK)
check-tsan: $(PROGRAM) $(THREADED) $(PLUGINS)
	@tests/sanitized.sh tests/run.sh $(VARIANT) $(THREADED)
	@$(SYSTEM) $(SHARED_WORK)
check-system: $(PROGRAM) $(PLUGINS)
	@$(SYSTEM)
	@$(SYSTEM:system_tests.py=study_tests.py)
# Short trainings that must learn; the long ones are `make test-learning`.
check-learning: $(PROGRAM)
	@rm -rf $(BUILD)/learning
	@SHOAL=$(PROGRAM) /usr/bin/python3 tests/learning/learn.py --dir $(BUILD)/learning --jobs 2 quick
boundaries:
	@tests/boundaries.sh

test: deps
	@$(MAKE) --no-print-directory test-build
	@$(MAKE) --no-print-directory boundaries
	@$(MAKE) --no-print-directory check-release
	@$(MAKE) --no-print-directory check-system
	@$(MAKE) --no-print-directory check-learning
	@$(MAKE) --no-print-directory VARIANT=asan check-asan
	@$(MAKE) --no-print-directory VARIANT=tsan check-tsan
	@echo 'all tests passed'

# Everything is built before anything runs, so that the time of the tests is theirs.
.PHONY: test-build
test-build:
	@$(MAKE) --no-print-directory $(JOBS) tests bench-parts
	@$(MAKE) --no-print-directory $(JOBS) VARIANT=asan tests
	@$(MAKE) --no-print-directory $(JOBS) VARIANT=tsan tests

test-long: deps
	@$(MAKE) --no-print-directory $(JOBS) all
	@SHOAL=$(PROGRAM) /usr/bin/python3 tests/system/system_tests.py --long
	@tests/system/test_ssh.sh
	@$(MAKE) --no-print-directory check-instructions
	@$(MAKE) --no-print-directory check-render
	@$(MAKE) --no-print-directory test-learning

# Every algorithm's learning gates over all seeds: hours. What is done stays in runs/learning; CASES='ppo-*' for some.
.PHONY: test-learning
test-learning: deps
	@$(MAKE) --no-print-directory $(JOBS) all
	@SHOAL=$(PROGRAM) /usr/bin/python3 tests/learning/learn.py --jobs $(shell nproc) $(CASES)

# Against the real Gymnasium (ENVS=... for some) and rliable, in a Python environment of its own (network, once).
PEERS := build/peers
$(PEERS)/.stamp: tests/peers/requirements.txt
	python3 -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

STATISTICS_OF := $(BUILD)/tests/peers/statistics_of
$(STATISTICS_OF): tests/peers/statistics_of.c $(BUILD)/libshoal.a
	@mkdir -p $(@D)
	@echo '  peer $@'; $(COMPILE) $(filter-out %.h,$^) -o $@ $(LDFLAGS) $(LDLIBS) -Wl,-rpath,$(MUJOCO)/lib

.PHONY: test-peers
test-peers: deps $(PEERS)/.stamp
	@$(MAKE) --no-print-directory $(JOBS) all $(STATISTICS_OF)
	@$(PEERS)/bin/python tests/peers/statistics_parity.py --program $(STATISTICS_OF)
	@$(PEERS)/bin/python tests/peers/parity.py --shoal $(PROGRAM) $(ENVS)

# ---- benchmarks ----

# How fast this machine does what a training is made of; BENCH_ARGS='updates --filter sac' for some
.PHONY: bench
bench: deps
	@$(MAKE) --no-print-directory $(JOBS) all
	$(PROGRAM) bench $(BENCH_ARGS)

# The same against others, in turns: ENVS='Ant-v5 ...' against Gymnasium's environments, CASES='sac ...' and
# THREADS=2 against Stable-Baselines3's updates.
# Parts by themselves, for whoever works on them: make bench-parts, then build/release/tests/bench/bench_vector
BENCH_PARTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/*.c))
$(BENCH_PARTS): $(BUILD)/tests/bench/%: tests/bench/%.c $(BUILD)/libshoal.a
	@mkdir -p $(@D)
	@echo '  bench $@'; $(COMPILE) $(filter-out %.h,$^) -o $@ $(LDFLAGS) $(LDLIBS) -Wl,-rpath,$(MUJOCO)/lib
.PHONY: bench-parts
bench-parts: $(BENCH_PARTS)

# Instructions of fixed work against those recorded; ARGS=--record writes the record anew.
.PHONY: check-instructions
check-instructions: deps
	@$(MAKE) --no-print-directory $(JOBS) $(BUILD)/tests/bench/instructions
	@/usr/bin/python3 tests/bench/instructions.py --program $(BUILD)/tests/bench/instructions --cc '$(CC)' \
	    --mujoco $(MUJOCO)/lib/libmujoco.so $(ARGS)

.PHONY: bench-peers bench-peers-environments bench-peers-learners
bench-peers: bench-peers-learners bench-peers-environments
bench-peers-environments: deps $(PEERS)/.stamp
	@$(MAKE) --no-print-directory $(JOBS) all
	@$(PEERS)/bin/python tests/peers/bench_environments.py --shoal $(PROGRAM) $(ENVS)

# PyTorch comes first and alone, so that TORCH_ARGS (pip's, as --index-url) may choose its CPU build.
LEARNER_PEERS := build/peers-learners
THREADS       ?= 1
$(LEARNER_PEERS)/.stamp: tests/peers/requirements-learners.txt
	python3 -m venv $(LEARNER_PEERS)
	$(LEARNER_PEERS)/bin/pip install --quiet --disable-pip-version-check $(TORCH_ARGS) $(shell grep '^torch' tests/peers/requirements-learners.txt)
	$(LEARNER_PEERS)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@
bench-peers-learners: deps $(LEARNER_PEERS)/.stamp
	@$(MAKE) --no-print-directory $(JOBS) all
	@$(LEARNER_PEERS)/bin/python tests/peers/bench_learners.py --shoal $(PROGRAM) --threads $(THREADS) $(CASES)

# make unit T=tests/unit/test_row.c builds and runs one test program
unit: $(if $(T),$(BUILD)/$(T:.c=),no-test-named)
	$<

.PHONY: no-test-named
no-test-named:
	@echo 'make unit: say which test: make unit T=tests/unit/test_row.c' >&2; exit 1

-include $(AMX_EMULATED:.o=.d) $(STATISTICS_OF:=.d) $(BENCH_PARTS:=.d) $(TEST_BIN:=.d) $(TEST_SUPPORT:.o=.d) $(DOUBLE_LIB:.o=.d) $(RENDER_TEST:=.d) $(RENDER_HELP:.o=.d)
