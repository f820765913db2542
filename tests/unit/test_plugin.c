/* Environments from shared libraries (actor/env/plugin.h), as env_open and the options' tables see them.
 *
 * The plug-ins are those of tests/plugins and the example, built beside this program. */
#include <elf.h>
#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actor/env.h"
#include "actor/env/env_source.h"
#include "actor/env/plugin.h"
#include "tests/support.h"

enum { PATH_BYTES = 4096 };

/* Where the plug-ins were built: ../plugins beside this program. */
static const char *plugins_dir(void)
{
    static char dir[PATH_BYTES + 16];
    char self[PATH_BYTES];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    ck_assert_int_gt(n, 0);
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    snprintf(dir, sizeof(dir), "%s/../plugins", self);
    return dir;
}

static struct env_setup setup_of(const char *name)
{
    return (struct env_setup){ .name = name, .env_path = plugins_dir() };
}

static struct env_model *open_well(const char *name)
{
    struct env_model *m;
    struct error err;
    const struct env_setup setup = setup_of(name);
    ck_assert_msg(env_open(&m, &setup, &err) == 0, "%s", err.text);
    return m;
}

/* That a name cannot be opened, and that what is said ends as expected and holds `also`. */
static void assert_refused(const char *name, const char *path, const char *expected, const char *also)
{
    struct env_model *m;
    struct error err = { 0 };
    const struct env_setup setup = { .name = name, .env_path = path };
    ck_assert_int_eq(env_open(&m, &setup, &err), ERR_CONFIG);
    ck_assert_int_eq(err.code, ERR_CONFIG);
    ck_assert_ptr_null(m);
    const size_t n = strlen(err.text), wanted = strlen(expected);
    ck_assert_msg(n >= wanted && strcmp(err.text + n - wanted, expected) == 0, "\"%s\" does not end in \"%s\"",
                  err.text, expected);
    ck_assert_msg(strstr(err.text, also), "\"%s\" lacks \"%s\"", err.text, also);
}

/* Open with options as a configuration gives them. */
struct opened {
    struct env_source source;
    struct env_spec spec;
    void *model;
    _Alignas(16) unsigned char values[ENV_OPTIONS_BYTES];
};

static int open_with(struct opened *o, const char *name, char *override, struct error *err)
{
    *o = (struct opened){ 0 };
    ck_assert_msg(env_source_find(&o->source, name, plugins_dir(), err) == 0, "%s", err->text);
    const struct environment *ops = o->source.ops;
    const struct option_section section = { .name = "env", .help = "", .options = ops->options,
                                            .n_options = ops->n_options, .base = o->values };
    int rc = options_load(&section, 1, NULL, &override, override ? 1 : 0, err);
    if (rc != 0)
        return rc;
    const struct env_context context = { .ops = ops, .name = name, .file = o->source.file,
                                         .handle = o->source.handle, .options = o->values };
    return ops->open(&o->model, &o->spec, &context, err);
}

static void close_opened(struct opened *o)
{
    if (o->model)
        o->source.ops->close(o->model);
    env_source_release(&o->source);
}

/* ---- names and places ---- */

START_TEST(the_example_is_found_and_described)
{
    struct env_model *m = open_well("slider");
    const struct env_spec *spec = env_spec(m);
    ck_assert_str_eq(spec->name, "slider");
    ck_assert_int_eq(spec->shape.n_obs, 2);
    ck_assert_int_eq(spec->shape.n_act, 1);
    ck_assert_int_eq(spec->n_choices, 0);
    ck_assert_int_eq(spec->time_limit, 100);
    ck_assert_int_eq(spec->n_state, 2);
    ck_assert_double_eq(spec->step_s, 0.1);
    ck_assert_double_eq((double)spec->act_low[0], -2);
    ck_assert_double_eq((double)spec->act_high[0], 2);
    ck_assert_uint_eq(strspn(spec->content, "0123456789abcdef"), 16);
    env_close(&m);
}
END_TEST

START_TEST(names_never_lead_out_of_the_path)
{
    static const char *const names[] = { "../slider", "plugins/slider", "/slider", "slider.so", "a b", "",
                                         "sl\xc3\xbc", "slider\n", "." };
    char path[PATH_BYTES];
    struct error err;
    struct env_source s;
    for (size_t i = 0; i < TEST_COUNT(names); i++) {
        ck_assert_msg(!plugin_is_name(names[i]), "%s", names[i]);
        ck_assert(!plugin_find(names[i], plugins_dir(), path, sizeof(path)));
        ck_assert_int_eq(env_source_find(&s, names[i], plugins_dir(), &err), ERR_CONFIG);
    }
    char longest[ENV_NAME_BYTES + 1];
    memset(longest, 'a', sizeof(longest));
    longest[ENV_NAME_BYTES] = '\0';
    ck_assert(!plugin_is_name(longest));
    longest[ENV_NAME_BYTES - 1] = '\0';
    ck_assert(plugin_is_name(longest));
    ck_assert(plugin_is_name("A-b_9"));
}
END_TEST

START_TEST(directories_are_searched_in_their_order)
{
    char empty[PATH_BYTES], first[PATH_BYTES], path[3 * PATH_BYTES], found[PATH_BYTES], file[2 * PATH_BYTES];
    test_directory("plugin-empty", empty, sizeof(empty));
    test_directory("plugin-first", first, sizeof(first));
    snprintf(file, sizeof(file), "%s/libslider.so", first);
    test_write(file, "not one", 7);

    snprintf(path, sizeof(path), ":%s::%s:%s:", empty, plugins_dir(), first);
    ck_assert(plugin_find("slider", path, found, sizeof(found)));
    ck_assert_ptr_nonnull(strstr(found, "/plugins/libslider.so"));
    snprintf(path, sizeof(path), "%s:%s", first, plugins_dir());
    ck_assert(plugin_find("slider", path, found, sizeof(found)));
    ck_assert_str_eq(found, file);
    ck_assert(!plugin_find("slider", empty, found, sizeof(found)));
    ck_assert(!plugin_find("slider", NULL, found, sizeof(found)));
    ck_assert(!plugin_find("slider", "::", found, sizeof(found)));
}
END_TEST

START_TEST(unknown_names_say_where_was_searched)
{
    assert_refused("sldier", "/nowhere:/there",
                   "unknown environment \"sldier\": it is not built in, and there is no libsldier.so in "
                   "/nowhere:/there", "");
    assert_refused("Pendulm-v1", "/nowhere", "in /nowhere; did you mean \"Pendulum-v1\"?", "");
    assert_refused("Pendulm-v1", "", "unknown environment \"Pendulm-v1\"; did you mean \"Pendulum-v1\"?", "");
    assert_refused("Pendulm-v1", NULL, "unknown environment \"Pendulm-v1\"; did you mean \"Pendulum-v1\"?",
                   "");
}
END_TEST

/* ---- episodes ---- */

enum { STEPS = 40, SLIDER_SIZE = 2 + 2 + 2 };

/* Some steps of a fixed course, whose observations and rewards are kept. */
static void play(struct env *e, int from, float obs[STEPS][2], double rewards[STEPS])
{
    for (int t = from; t < STEPS; t++) {
        const float action = sinf((float)t);
        struct env_outcome out;
        env_step(e, &action, obs[t], &out);
        ck_assert_int_eq(out.kind, ROW_STEP);
        rewards[t] = out.reward;
    }
}

static void start(struct env *e, uint64_t seed)
{
    struct rng rng;
    float obs[2];
    rng_init(&rng, seed, RNG_TEST, 0, 0);
    env_reset(e, &rng, obs);
}

START_TEST(the_example_moves_as_it_says)
{
    struct env_model *m = open_well("slider");
    struct env *e = env_create(m);
    struct env_outcome out;
    struct error err;
    float obs[2];
    const double state[2] = { 0.5, -1 };
    ck_assert_int_eq(env_set_raw_state(e, state, 2, &err), 0);
    env_step(e, &(float){ 0.5 }, obs, &out);
    /* Worked by hand: force 0.5 * 2 - 0.1 * -1 = 1.1 N on 1 kg for 0.1 s; speed -0.89, position 0.411. */
    ck_assert_double_eq_tol((double)obs[1], -0.89, 1e-7);
    ck_assert_double_eq_tol((double)obs[0], 0.411, 1e-7);
    ck_assert_double_eq_tol(out.reward, 1 / (1 + 20 * 0.411 * 0.411), 1e-12);

    const double edge[2] = { 1.95, 1 };
    ck_assert_int_eq(env_set_raw_state(e, edge, 2, &err), 0);
    env_step(e, &(float){ 0 }, obs, &out);
    ck_assert(out.terminated && out.kind == ROW_TERMINATED);
    env_destroy(&e);
    env_close(&m);
}
END_TEST

START_TEST(a_seed_repeats_an_episode)
{
    struct env_model *m = open_well("slider");
    static float obs[3][STEPS][2];
    static double rewards[3][STEPS];
    const uint64_t seeds[3] = { 5, 5, 6 };
    for (int i = 0; i < 3; i++) {
        struct env *e = env_create(m);
        start(e, seeds[i]);
        play(e, 0, obs[i], rewards[i]);
        env_destroy(&e);
    }
    ck_assert_mem_eq(obs[0], obs[1], sizeof(obs[0]));
    ck_assert_mem_eq(rewards[0], rewards[1], sizeof(rewards[0]));
    ck_assert_mem_ne(obs[0], obs[2], sizeof(obs[0]));
    env_close(&m);
}
END_TEST

START_TEST(random_numbers_are_those_of_shoal)
{
    struct env_model *m = open_well("slider");
    struct env *e = env_create(m);
    struct rng rng;
    double state[2];
    start(e, 9);
    ck_assert(env_raw_state(e, state));
    rng_init(&rng, 9, RNG_TEST, 0, 0);
    ck_assert_double_eq(state[0], rng_uniform(&rng, -1, 1));
    ck_assert_double_eq(state[1], 0.1 * rng_normal(&rng));
    env_destroy(&e);
    env_close(&m);
}
END_TEST

START_TEST(a_saved_episode_continues_bit_for_bit)
{
    struct env_model *m = open_well("slider");
    struct env *e = env_create(m), *other = env_create(m);
    static float obs[2][STEPS][2];
    static double rewards[2][STEPS];
    double state[SLIDER_SIZE], later[2][SLIDER_SIZE];
    ck_assert_int_eq(env_state_size(m), SLIDER_SIZE);
    start(e, 3);
    for (int t = 0; t < 10; t++)
        env_step(e, &(float){ 0.3F }, obs[0][0], &(struct env_outcome){ 0 });
    env_get_state(e, state);
    ck_assert_int_eq(env_set_state(other, state), 0);
    play(e, 10, obs[0], rewards[0]);
    play(other, 10, obs[1], rewards[1]);
    ck_assert_mem_eq(obs[0][10], obs[1][10], (STEPS - 10) * sizeof(obs[0][0]));
    ck_assert_mem_eq(rewards[0] + 10, rewards[1] + 10, (STEPS - 10) * sizeof(double));
    env_get_state(e, later[0]);
    env_get_state(other, later[1]);
    ck_assert_mem_eq(later[0], later[1], sizeof(later[0]));
    env_destroy(&other);
    env_destroy(&e);
    env_close(&m);
}
END_TEST

START_TEST(numbers_that_are_none_end_the_episode)
{
    for (int what = 0; what <= 3; what++) {
        struct opened o;
        struct error err;
        char override[64];
        const float action = 0.5F;
        struct env_step step;
        double obs;
        snprintf(override, sizeof(override), "env.what=%d", what);
        ck_assert_int_eq(open_with(&o, "nan", override, &err), 0);
        void *self = o.source.ops->create(o.model);
        struct rng rng;
        rng_init(&rng, 1, RNG_TEST, 0, 0);
        o.source.ops->reset(self, &rng);
        int t = 0;
        do {
            o.source.ops->step(self, &action, &step);
            o.source.ops->observe(self, &obs);
        } while (++t < 300 && isfinite(obs) && isfinite(step.reward) && !step.diverged);
        ck_assert_int_eq(t, 201);    /* `after` is 200 */
        ck_assert_int_eq(isnan(step.reward) != 0, what == 0);
        ck_assert_int_eq(isfinite(obs) == 0, what == 1 || what == 2);
        ck_assert_int_eq(step.diverged, what == 3);
        o.source.ops->destroy(self);
        close_opened(&o);
    }
}
END_TEST

START_TEST(divergence_of_a_plugin_is_counted_and_truncated)
{
    struct env_model *m = open_well("nan");
    struct env *e = env_create(m);
    struct env_outcome out = { 0 };
    float obs;
    int steps = 0;
    struct rng rng;
    rng_init(&rng, 1, RNG_TEST, 0, 0);
    for (int episode = 0; episode < 2; episode++) {
        env_reset(e, &rng, &obs);
        do {
            env_step(e, &(float){ 0 }, &obs, &out);
            steps++;
        } while (out.kind == ROW_STEP);
        ck_assert(!out.diverged && out.kind == ROW_TRUNCATED && out.episode_length == 100);
    }
    env_reset(e, &rng, &obs);
    env_step(e, &(float){ 0 }, &obs, &out);
    ck_assert(out.diverged && out.truncated && out.kind == ROW_TRUNCATED && out.reward == 0);
    ck_assert_int_eq(steps, 200);
    env_destroy(&e);
    env_close(&m);
}
END_TEST

/* ---- options ---- */

START_TEST(options_reach_the_plugin)
{
    struct opened o;
    struct error err;
    const float action = 2;
    struct env_step step;
    const double state[2] = { 0, 0 };
    double obs[2];
    ck_assert_msg(open_with(&o, "slider", (char[]){ "env.mass=4" }, &err) == 0, "%s", err.text);
    void *self = o.source.ops->create(o.model);
    o.source.ops->set_state(self, state);
    o.source.ops->step(self, &action, &step);
    o.source.ops->observe(self, obs);
    ck_assert_double_eq_tol(obs[1], 0.1 * 2 / 4, 1e-15);    /* 1 kg would reach 0.2 */
    o.source.ops->destroy(self);
    close_opened(&o);
}
END_TEST

START_TEST(unknown_options_are_refused_with_the_nearest)
{
    struct opened o;
    struct error err;
    ck_assert_int_eq(open_with(&o, "slider", (char[]){ "env.mas=4" }, &err), ERR_CONFIG);
    ck_assert_msg(strstr(err.text, "did you mean \"mass\"?"), "%s", err.text);
    close_opened(&o);
    ck_assert_int_eq(open_with(&o, "slider", (char[]){ "env.mass=11" }, &err), ERR_CONFIG);
    ck_assert_msg(strstr(err.text, "a number from 0.1 to 10"), "%s", err.text);
    close_opened(&o);
}
END_TEST

START_TEST(defaults_arrive_to_the_last_bit)
{
    struct opened o;
    struct error err;
    ck_assert_int_eq(open_with(&o, "badspec", (char[]){ "env.mistake=50" }, &err), 0);
    double values[2];
    memcpy(values, o.values, sizeof(values));
    ck_assert(values[1] == 0.1);
    ck_assert_str_eq(o.source.ops->options[1].value, "0.1");
    ck_assert_str_eq(o.source.ops->options[1].help, "");
    close_opened(&o);
}
END_TEST

/* ---- libraries that cannot be used ---- */

START_TEST(another_version_is_refused)
{
    assert_refused("version", plugins_dir(),
                   "/libversion.so: it was built for version 2 of the plug-in interface, this program has "
                   "version 1; build it again with this program's shoal/environment.h", "");
}
END_TEST

START_TEST(a_library_that_is_no_plugin_is_refused)
{
    assert_refused("nosymbol", plugins_dir(),
                   "/libnosymbol.so: it has no function shoal_environment, so it is not a plug-in of Shoal; "
                   "define one as shoal/environment.h says (in C++ as extern \"C\")", "");
}
END_TEST

START_TEST(what_the_loader_says_is_passed_on)
{
    assert_refused("unresolved", plugins_dir(), "; `ldd -r` on the file shows what it lacks",
                   "/libunresolved.so cannot be loaded: undefined symbol: function_that_nobody_has;");
}
END_TEST

/* A file in a directory of its own, which is returned. */
static const char *write_library(const char *data, size_t bytes)
{
    static char dir[PATH_BYTES];
    char file[PATH_BYTES + 16];
    test_directory("plugin-file", dir, sizeof(dir));
    snprintf(file, sizeof(file), "%s/libmine.so", dir);
    test_write(file, data, bytes);
    return dir;
}

START_TEST(files_that_are_no_libraries_are_refused)
{
    static const char said[] = "/libmine.so is not a shared library; build it with `cc -shared -fPIC -o "
                               "libNAME.so NAME.c`";
    assert_refused("mine", write_library("", 0), said, "");
    assert_refused("mine", write_library("int main;", 9), said, "");
    assert_refused("mine", write_library("\177ELF", 4), said, "");
}
END_TEST

START_TEST(damaged_and_foreign_libraries_are_refused)
{
    char path[PATH_BYTES + 32];
    size_t bytes;
    snprintf(path, sizeof(path), "%s/libslider.so", plugins_dir());
    char *data = test_read(path, &bytes);
    for (size_t n = 64; n < 12000; n += 1000)
        assert_refused("mine", write_library(data, n), " bytes); build or copy it again",
                       "/libmine.so is only a part of a shared library (");
    const Elf64_Half object = ET_REL, other = EM_S390;
    char *kind = data + offsetof(Elf64_Ehdr, e_type);
    const Elf64_Half shared = ET_DYN;
    memcpy(kind, &object, sizeof(object));
    assert_refused("mine", write_library(data, bytes), "`ldd -r` on the file shows what it lacks",
                   "/libmine.so cannot be loaded: ");
    memcpy(kind, &shared, sizeof(shared));
    memcpy(data + offsetof(Elf64_Ehdr, e_machine), &other, sizeof(other));
    assert_refused("mine", write_library(data, bytes), "; build it on this machine",
                   "/libmine.so is built for another processor and this program for ");
    free(data);
}
END_TEST

START_TEST(tables_with_a_mistake_are_refused)
{
    static const struct { const char *mistake, *said; } cases[] = {
        { "null", "shoal_environment() returned NULL; return the address of a table" },
        { "short", "its table says that it has 16 bytes, but needs 104; set \"bytes\" to sizeof(struct "
                   "shoal_environment)" },
        { "name", "the plug-in calls itself \"other\", not \"badtable\"; name the file libother.so, or change "
                  "its \"name\"" },
        { "step", "\"step\" of its struct shoal_environment is NULL; set it" },
        { "half", "it has only one of get_state and set_state; define both or neither" },
        { "many", "it has 33 options; at most 32 are possible" },
        { "spelling", "option \"Second\": a name has lower-case letters, digits and '_', a letter first, and at "
                      "most 40 of them" },
        { "twice", "option \"first\": there are two of this name; rename one" },
        { "taken", "option \"max_episode_steps\": every environment has an option of this name already; choose "
                   "another" },
        { "range", "option \"second\": low and high must be finite, low not above high" },
        { "default", "option \"second\": its value, the default, is not between low and high" },
        { "help", "option \"second\": its help must be one line" },
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        ck_assert_int_eq(setenv("SHOAL_TEST_MISTAKE", cases[i].mistake, 1), 0);
        assert_refused("badtable", plugins_dir(), cases[i].said, "/libbadtable.so: ");
    }
}
END_TEST

START_TEST(tables_of_a_later_shoal_are_understood)
{
    setenv("SHOAL_TEST_MISTAKE", "longer", 1);
    struct env_model *m = open_well("badtable");
    ck_assert_int_eq(env_state_size(m), 2 + 1 + 3);
    env_close(&m);
}
END_TEST

START_TEST(state_without_functions_for_it_is_refused)
{
    setenv("SHOAL_TEST_MISTAKE", "stateless", 1);
    assert_refused("badtable", plugins_dir(), "its open() set n_state to 3, but it has no get_state; define it or "
                   "set n_state to 0", "");
}
END_TEST

START_TEST(impossible_specifications_are_refused)
{
    static const struct { int mistake; const char *said; } cases[] = {
        { -2, "its open() returned 7 and did not say why" },
        { -1, "no map found; max_speed is 0.1" },
        { 1, "its open() set n_obs to 0; from 1 to 4096 is possible" },
        { 2, "its open() set n_obs to 4097; from 1 to 4096 is possible" },
        { 3, "its open() set n_act to 65; from 1 to 64 is possible" },
        { 4, "its open() bounded action 0 by [-1, -1]; both must be finite and the first the smaller" },
        { 5, "its open() bounded action 0 by [-1, inf]; both must be finite and the first the smaller" },
        { 6, "its open() set n_choices to 3 and n_act to 2; with choices n_act must be 1" },
        { 7, "its open() set n_choices to 1; a choice needs two, and 0 says that actions are continuous" },
        { 8, "its open() set time_limit to -1; from 0 to 1000000000 is possible" },
        { 9, "its open() set n_state to -3; from 0 to 65536 is possible" },
        { 10, "its open() set step_s to nan; it must be finite and not negative" },
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        struct opened o;
        struct error err;
        char override[64];
        snprintf(override, sizeof(override), "env.mistake=%d", cases[i].mistake);
        ck_assert_int_eq(open_with(&o, "badspec", override, &err), ERR_CONFIG);
        const char *said = strstr(err.text, "/libbadspec.so: ");
        ck_assert_msg(said, "%s", err.text);
        ck_assert_str_eq(said + strlen("/libbadspec.so: "), cases[i].said);
        close_opened(&o);
    }
}
END_TEST

START_TEST(other_files_have_other_specifications)
{
    char path[PATH_BYTES + 32], before[ENV_SPEC_HASH_BYTES], after[ENV_SPEC_HASH_BYTES];
    size_t bytes;
    struct env_model *m = open_well("slider");
    env_spec_hash(env_spec(m), before);
    env_close(&m);

    snprintf(path, sizeof(path), "%s/libslider.so", plugins_dir());
    char *data = test_read(path, &bytes);
    char *longer = realloc(data, bytes + 1);
    ck_assert_ptr_nonnull(longer);
    longer[bytes] = '\0';    /* behind its end, where the loader does not look */
    char dir[PATH_BYTES], file[PATH_BYTES + 16];
    test_directory("plugin-other", dir, sizeof(dir));
    snprintf(file, sizeof(file), "%s/libslider.so", dir);
    test_write(file, longer, bytes + 1);
    free(longer);
    struct error err;
    const struct env_setup setup = { .name = "slider", .env_path = dir };
    ck_assert_msg(env_open(&m, &setup, &err) == 0, "%s", err.text);
    env_spec_hash(env_spec(m), after);
    env_close(&m);
    ck_assert_str_ne(before, after);
}
END_TEST

START_TEST(the_rounding_mode_stays_as_it_was)
{
    struct opened o;
    struct error err;
    ck_assert_int_eq(fegetround(), FE_TONEAREST);
    ck_assert_int_eq(open_with(&o, "badspec", (char[]){ "env.mistake=50" }, &err), 0);
    ck_assert_int_eq(fegetround(), FE_TONEAREST);
    close_opened(&o);
}
END_TEST

START_TEST(opening_and_closing_again_leaves_nothing)
{
    for (int i = 0; i < 50; i++) {
        struct env_model *a = open_well("slider"), *b = open_well("slider");
        struct env *e = env_create(a);
        env_close(&b);
        start(e, 1);
        env_destroy(&e);
        env_close(&a);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_example_is_found_and_described,
        names_never_lead_out_of_the_path,
        directories_are_searched_in_their_order,
        unknown_names_say_where_was_searched,
        the_example_moves_as_it_says,
        a_seed_repeats_an_episode,
        random_numbers_are_those_of_shoal,
        a_saved_episode_continues_bit_for_bit,
        numbers_that_are_none_end_the_episode,
        divergence_of_a_plugin_is_counted_and_truncated,
        options_reach_the_plugin,
        unknown_options_are_refused_with_the_nearest,
        defaults_arrive_to_the_last_bit,
        another_version_is_refused,
        a_library_that_is_no_plugin_is_refused,
        what_the_loader_says_is_passed_on,
        files_that_are_no_libraries_are_refused,
        damaged_and_foreign_libraries_are_refused,
        tables_with_a_mistake_are_refused,
        tables_of_a_later_shoal_are_understood,
        state_without_functions_for_it_is_refused,
        impossible_specifications_are_refused,
        other_files_have_other_specifications,
        the_rounding_mode_stays_as_it_was,
        opening_and_closing_again_leaves_nothing,
    };
    return suite_run("plugin", tests, TEST_COUNT(tests), 20);
}
