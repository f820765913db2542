/* A study's cells: configurations, names, what a directory holds, what is left. */
#include "deploy/study_cells.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/digest.h"
#include "common/file.h"
#include "deploy/study_progress.h"
#include "tests/support.h"

static char directory[300], complaints[4000];
static struct study study;
static struct cells cells;

static void complain(const char *line)
{
    const size_t used = strlen(complaints);
    snprintf(complaints + used, sizeof(complaints) - used, "%s\n", line);
}

static void make_directory(void)
{
    if (!*directory)
        test_directory("study-cells", directory, sizeof(directory));
}

static void write_file(const char *name, const char *text)
{
    char path[700];
    make_directory();
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    ck_assert_int_eq(file_make_directory(path, NULL), 0);
    *slash = '/';
    test_write(path, text, strlen(text));
}

/* Load a study and its cells. */
static int load(const char *text, char *override, struct error *err)
{
    char path[400];
    make_directory();
    study_fini(&study);
    cells_fini(&cells);
    complaints[0] = '\0';
    snprintf(path, sizeof(path), "%s/a.yaml", directory);
    test_write(path, text, strlen(text));
    int rc = study_load(&study, path, &override, override ? 1 : 0, err);
    ck_assert_msg(rc == 0, "%s", err->text);
    return cells_init(&cells, &study, complain, err);
}

static void accept(const char *text, char *override)
{
    struct error err = { 0 };
    ck_assert_msg(load(text, override, &err) == 0, "%s%s", complaints, err.text);
}

static int look(struct error *err)
{
    *err = (struct error){ 0 };
    return cells_look(&cells, &study, directory, err);
}

#define BASE "settings: {algorithm: ppo, env.name: CartPole-v1, total_steps: 5000}\n"
#define TWO_ARMS BASE "arms: {sync: {mode: sync}, async: {mode: async}}\n"

START_TEST(every_arm_task_and_seed_has_a_cell_with_its_configuration)
{
    accept(TWO_ARMS "tasks: {one: {actors: 1}, \"two, actors=2\": {actors: 2, total_steps: 700}}\n"
           "seeds: [5, 3]\n", NULL);
    static const char *const names[] = { "sync-one-5", "async-one-5", "sync-two_actors2-5", "async-two_actors2-5",
                                         "sync-one-3", "async-one-3", "sync-two_actors2-3", "async-two_actors2-3" };
    ck_assert_int_eq(cells.n, 8);
    for (int i = 0; i < 8; i++) {
        const struct cell *c = &cells.v[i];
        ck_assert_str_eq(c->name, names[i]);
        ck_assert(c->seed == (i < 4 ? 5 : 3) && c->arm == i % 2 && c->task == i / 2 % 2);
        ck_assert_int_eq(c->total_steps, c->task == 0 ? 5000 : 700);
        ck_assert_ptr_nonnull(strstr(c->config, c->seed == 5 ? "seed: 5\n" : "seed: 3\n"));
        ck_assert_ptr_nonnull(strstr(c->config, c->arm == 0 ? "mode: sync\n" : "mode: async\n"));
        ck_assert_ptr_nonnull(strstr(c->config, c->task == 0 ? "\nactors: 1\n" : "\nactors: 2\n"));
        ck_assert_ptr_nonnull(strstr(c->config, "  workers: 1\n"));
    }
    accept(TWO_ARMS "seeds: [1]\n", "learner.workers=3");
    ck_assert_ptr_nonnull(strstr(cells.v[0].config, "  workers: 3\n"));
}
END_TEST

START_TEST(a_task_without_a_name_is_called_after_its_environment)
{
    struct error err = { 0 };
    accept(TWO_ARMS "seeds: [1]\nscores: {CartPole-v1: [0, 500]}\n", NULL);
    ck_assert_str_eq(cells.v[0].name, "sync-CartPole-v1-1");
    accept(TWO_ARMS "vary: {actors: {values: [1, 2], into: tasks}}\nseeds: [1]\n"
           "scores: {CartPole-v1: [0, 500]}\n", NULL);
    ck_assert_str_eq(study.tasks[1].name, "CartPole-v1, actors=2");
    ck_assert_str_eq(cells.v[2].name, "sync-CartPole-v1_actors2-1");
    ck_assert_int_eq(load(BASE "arms: {a: {}, b: {env.name: Pendulum-v1}}\nseeds: [1]\n", NULL, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(complaints, "arm \"b\": the environment is Pendulum-v1, and another arm's "
                                             "CartPole-v1"));
}
END_TEST

START_TEST(mistakes_are_said_together_with_their_place)
{
    struct error err = { 0 };
    ck_assert_int_eq(load("settings: {algorithm: ppo,\n  ppo.gama: 1}\narms: {a: {}, b: {algorithm: sac}}\n"
                          "tasks: {CartPole-v1: , Nope-v1: }\nseeds: [1, 2]\n", NULL, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "a.yaml: 4 of 4 combinations of arm and task cannot be run, for the reasons "
                                           "above; nothing was started"));
    ck_assert_ptr_nonnull(strstr(complaints, "arm \"a\", task \"CartPole-v1\": "));
    ck_assert_ptr_nonnull(strstr(complaints, "a.yaml:2:3: ppo.gama: unknown key \"gama\" in section \"ppo\"; did you "
                                             "mean \"gamma\"?\n"));
    ck_assert_ptr_nonnull(strstr(complaints, "arm \"a\", task \"Nope-v1\" (and 1 more alike): the configuration: "
                                             "unknown environment \"Nope-v1\""));
    /* What only the environment knows. */
    ck_assert_int_eq(load("arms: {a: {algorithm: ddpg, env.name: CartPole-v1}}\nseeds: [1]\n", NULL, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(complaints, "arm \"a\": "));
    /* A base that is not there any more was refused before; one that is wrong names itself. */
    write_file("base.yaml", "algorithm: ppo\nenv: {name: CartPole-v1}\nactors: many\n");
    ck_assert_int_eq(load("base: base.yaml\narms: {a: {}}\nseeds: [1]\n", NULL, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(complaints, "base.yaml:3:9: actors: expected"));
    ck_assert_int_eq(load("arms: {a: {base: base.yaml}}\ntasks: {t: {base: base.yaml}}\nseeds: [1]\n", NULL, &err),
                     ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(complaints, "both have a `base`"));
}
END_TEST

START_TEST(names_that_share_a_directory_and_incomplete_scores_are_refused)
{
    struct error err = { 0 };
    ck_assert_int_eq(load(BASE "arms: {\"a, b\": {mode: sync}, \"a b\": {}}\nseeds: [1]\n", NULL, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "would both be called a_b-CartPole-v1-1; rename one"));
    ck_assert_int_eq(load(TWO_ARMS "seeds: [1]\nscores: {X: [1, 2]}\n", NULL, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "scores: \"CartPole-v1\" has none; give every task one"));
    ck_assert_int_eq(load(TWO_ARMS "seeds: [1]\nscores:\n  CartPole-v1: [1, 2]\n  X: [1, 2]\n", NULL, &err),
                     ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "a.yaml:6:3: scores: there is no task \"X\""));
}
END_TEST

START_TEST(a_summary_decides_whether_a_cell_is_run_gone_on_with_or_left_alone)
{
    static const struct {
        const char *summary;
        enum cell_state state;
    } cases[] = {
        { NULL, CELL_INTERRUPTED }, { "{\"status\": \"interrupted\"}", CELL_INTERRUPTED },
        { "{\"status\": \"finished\"}", CELL_DONE }, { "{\"status\": \"stopped at eval.stop_at\"}", CELL_DONE },
        { "{\"status\": \"diverged\"}", CELL_FAILED }, { "{\"status\": \"fini", CELL_INTERRUPTED },
        { "", CELL_INTERRUPTED },
    };
    accept(TWO_ARMS "seeds: [1]\n", NULL);
    struct error err;
    ck_assert_int_eq(look(&err), 0);
    ck_assert_int_eq(cells.v[0].state, CELL_NEW);
    write_file("runs/sync-CartPole-v1-1/config.yaml", cells.v[0].config);
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        if (cases[i].summary)
            write_file("runs/sync-CartPole-v1-1/summary.json", cases[i].summary);
        ck_assert_msg(look(&err) == 0, "%s", err.text);
        ck_assert_int_eq(cells.v[0].state, cases[i].state);
        ck_assert_int_eq(cells.v[1].state, CELL_NEW);
    }
}
END_TEST

START_TEST(runs_of_another_configuration_are_refused_by_the_first_setting_that_differs)
{
    struct error err;
    accept(TWO_ARMS "seeds: [1, 2]\n", NULL);
    ck_assert_int_eq(cells_write(&cells, &study, directory, "shoal study a.yaml", &err), 0);
    write_file("runs/async-CartPole-v1-2/config.yaml", cells.v[3].config);
    ck_assert_msg(look(&err) == 0, "%s", err.text);
    accept(TWO_ARMS "seeds: [1, 2, 3]\n", NULL);
    ck_assert_msg(look(&err) == 0, "%s", err.text);
    ck_assert_int_eq(cells.v[3].state, CELL_INTERRUPTED);

    static char *const overrides[] = { "total_steps=6000", "ppo.gamma=0.5", "network.hidden=8", "algorithm=a2c" };
    static const char *const expected[] = { "total_steps: 5000, the study now has total_steps: 6000;",
        "ppo.gamma: 0.99, the study now has gamma: 0.5;", "network.hidden: [64, 64], the study now has hidden: [8];",
        "algorithm: ppo, the study now has algorithm: a2c;" };
    for (size_t i = 0; i < TEST_COUNT(overrides); i++) {
        accept(TWO_ARMS "seeds: [1, 2]\n", overrides[i]);
        ck_assert_int_eq(look(&err), ERR_CONFIG);
        ck_assert_ptr_nonnull(strstr(err.text, "/runs/async-CartPole-v1-2/config.yaml was run with "));
        ck_assert_msg(strstr(err.text, expected[i]) != NULL, "%s", err.text);
    }
    accept(TWO_ARMS "seeds: [2]\n", NULL);
    ck_assert_int_eq(look(&err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "study.yaml has seed 1, which the study no longer has"));
}
END_TEST

START_TEST(a_study_goes_on_from_its_own_copy)
{
    struct error err;
    char path[400], hash[2][DIGEST_HEX_BYTES];
    write_file("base.yaml", "algorithm: a2c\nenv: {name: Pendulum-v1}\n");
    accept("base: base.yaml\narms: {a: {mode: sync}}\nvary: {actors: {values: [1, 2], into: tasks}}\nseeds: [1]\n",
           "total_steps=321");
    ck_assert_int_eq(cells_write(&cells, &study, directory, "shoal study a.yaml", &err), 0);
    cells_hash(&cells, &study, hash[0]);
    char *config = memory_copy_text(cells.v[1].config);
    study_fini(&study);
    cells_fini(&cells);
    snprintf(path, sizeof(path), "%s/study.yaml", directory);
    ck_assert_int_eq(study_load(&study, path, NULL, 0, &err), 0);
    ck_assert_msg(cells_init(&cells, &study, complain, &err) == 0, "%s", complaints);
    ck_assert_str_eq(cells.v[1].name, "a-Pendulum-v1_actors2-1");
    ck_assert_str_eq(cells.v[1].config, config);
    cells_hash(&cells, &study, hash[1]);
    ck_assert_str_eq(hash[0], hash[1]);
    free(config);
    /* What a cell is given is there to be read. */
    snprintf(path, sizeof(path), "%s/configs/a-Pendulum-v1_actors2-1.yaml", directory);
    ck_assert(file_exists(path));
}
END_TEST

START_TEST(transitions_and_returns_are_read_from_runs_as_they_are_written)
{
    accept(TWO_ARMS "seeds: [1]\n", NULL);
    const struct cell *c = &cells.v[0];
    ck_assert_int_eq(cell_steps(c, directory), 0);
    ck_assert(isnan(cell_return(c, directory)));
    static const char *const texts[] = { "time_s,env_steps,x\n", "time_s,env_steps,x\n0.5,7",
                                         "a,b,env_steps\n1,2,3\n,,40\n",
                                         "env_steps,x\n10,1\n20,1\n3", "x\n1\n2\n", "", "env_steps\n" };
    static const int64_t steps[] = { 0, 0, 40, 20, 0, 0, 0 };
    for (size_t i = 0; i < TEST_COUNT(texts); i++) {
        write_file("runs/sync-CartPole-v1-1/metrics.csv", texts[i]);
        ck_assert_msg(cell_steps(c, directory) == steps[i], "%s", texts[i]);
    }
    /* Longer than what is read of it. */
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    fputs("time_s,env_steps\n", out);
    for (int i = 1; i <= 2000; i++)
        fprintf(out, "%d.125,%d\n", i, 10 * i);
    fclose(out);
    write_file("runs/sync-CartPole-v1-1/metrics.csv", text);
    free(text);
    ck_assert_int_eq(cell_steps(c, directory), 20000);
    write_file("runs/sync-CartPole-v1-1/summary.json", "{\"final_evaluation\": {\"mean\": -3.5}}");
    ck_assert(cell_return(c, directory) == -3.5);
    write_file("runs/sync-CartPole-v1-1/summary.json", "{\"final_evaluation\": \"failed, see log.txt\"}");
    ck_assert(isnan(cell_return(c, directory)));
}
END_TEST

START_TEST(what_is_left_is_told_by_the_nearest_cells_speed)
{
    char text[64];
    accept(BASE "arms: {a: {mode: sync}, b: {mode: async}}\ntasks: {s: {total_steps: 1000}, t: {total_steps: 2000}}\n"
           "seeds: [1, 2]\n", NULL);
    ck_assert(isnan(study_seconds_left(&cells, 1, 100000000)));
    study_format_left(&cells, 1, 100000000, text, sizeof(text));
    ck_assert_str_eq(text, "");
    /* a on s took 10 s for 1000 transitions; b on t needed 30 s for half of 2000. */
    cells.v[0].state = CELL_DONE;
    cells.v[0].began_us = 1;
    cells.v[0].ended_us = 10000001;
    cells.v[0].steps = 1000;
    cells.v[3].state = CELL_RUNNING;
    cells.v[3].began_us = 70000000;
    cells.v[3].steps = 1000;
    /* Left of seed 1: b on s as a on s, 10 s; a on t as b on t, 60 s; b on t 30 s; of seed 2: 10 + 10 + 60 + 60. */
    ck_assert_double_eq_tol(study_seconds_left(&cells, 1, 100000000), 240, 1e-6);
    ck_assert_double_eq_tol(study_seconds_left(&cells, 2, 100000000), 120, 1e-6);
    /* The longest cell alone takes so long, however many run beside it. */
    ck_assert_double_eq_tol(study_seconds_left(&cells, 100, 100000000), 60, 1e-6);
    study_format_left(&cells, 1, 100000000, text, sizeof(text));
    ck_assert_str_eq(text, ", 4m00s left");
    study_format_duration(7505, text, sizeof(text));
    ck_assert_str_eq(text, "2h05m");
    study_format_duration(9.9, text, sizeof(text));
    ck_assert_str_eq(text, "9s");
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        every_arm_task_and_seed_has_a_cell_with_its_configuration,
        a_task_without_a_name_is_called_after_its_environment,
        mistakes_are_said_together_with_their_place,
        names_that_share_a_directory_and_incomplete_scores_are_refused,
        a_summary_decides_whether_a_cell_is_run_gone_on_with_or_left_alone,
        runs_of_another_configuration_are_refused_by_the_first_setting_that_differs,
        a_study_goes_on_from_its_own_copy,
        transitions_and_returns_are_read_from_runs_as_they_are_written,
        what_is_left_is_told_by_the_nearest_cells_speed,
    };
    return suite_run("study cells", tests, TEST_COUNT(tests), 30);
}
