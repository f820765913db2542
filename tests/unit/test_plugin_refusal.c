/* Libraries that cannot be environments: each is refused with one sentence that says what to do. */
#include <elf.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/unit/plugin_support.h"

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

START_TEST(a_pipe_in_place_of_a_library_is_refused_at_once)
{
    struct env_model *m;
    struct error err;
    char dir[PATH_BYTES], file[PATH_BYTES + 16];
    test_directory("plugin-pipe", dir, sizeof(dir));
    snprintf(file, sizeof(file), "%s/libmine.so", dir);
    ck_assert_int_eq(mkfifo(file, 0600), 0);
    ck_assert_int_eq(env_open(&m, &(struct env_setup){ .name = "mine", .env_path = dir }, &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "/libmine.so is not a regular file"));
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
        { 11, "its get_state() set number 1 of a new episode to -inf; write finite numbers only" },
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

int main(void)
{
    const TTest *const tests[] = {
        another_version_is_refused,
        a_library_that_is_no_plugin_is_refused,
        what_the_loader_says_is_passed_on,
        files_that_are_no_libraries_are_refused,
        a_pipe_in_place_of_a_library_is_refused_at_once,
        damaged_and_foreign_libraries_are_refused,
        tables_with_a_mistake_are_refused,
        tables_of_a_later_shoal_are_understood,
        state_without_functions_for_it_is_refused,
        impossible_specifications_are_refused,
    };
    return suite_run("plugin refusal", tests, TEST_COUNT(tests), 20);
}
