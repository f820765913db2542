/* A study's file: what it says, what is refused, and its copy. */
#include "deploy/study.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "tests/support.h"

static char directory[300], path[400];

/* A study beside a configuration that may serve as base. */
static int load(struct study *s, const char *text, char *const *overrides, int n_overrides, struct error *err)
{
    char base[400];
    if (!*directory)
        test_directory("study", directory, sizeof(directory));
    snprintf(base, sizeof(base), "%s/base.yaml", directory);
    test_write(base, "env: {name: CartPole-v1}\n", 25);
    snprintf(path, sizeof(path), "%s/a.yaml", directory);
    test_write(path, text, strlen(text));
    return study_load(s, path, overrides, n_overrides, err);
}

static void accept(struct study *s, const char *text)
{
    struct error err = { 0 };
    ck_assert_msg(load(s, text, NULL, 0, &err) == 0, "%s", err.text);
}

/* The message, behind the directory. */
static void refuse(const char *text, const char *override, const char *expected)
{
    struct study s;
    struct error err = { 0 };
    char *overrides[] = { (char *)(uintptr_t)override };
    ck_assert_msg(load(&s, text, overrides, override ? 1 : 0, &err) == ERR_CONFIG, "accepted: %s", text);
    study_fini(&s);
    const char *found = strstr(err.text, "a.yaml:");
    ck_assert_str_eq(found ? found : err.text, expected);
}

/* "base | key=value key=value" of an arm on a task. */
static const char *merged(const struct study *s, int arm, int task)
{
    static char text[1000];
    struct study_setting *v;
    const char *base;
    const int n = study_merge(s, arm, task, &v, &base);
    const char *slash = base ? strrchr(base, '/') : NULL;
    int used = snprintf(text, sizeof(text), "%s |", slash ? slash + 1 : "-");
    for (int i = 0; i < n; i++)
        used += snprintf(text + used, sizeof(text) - (size_t)used, " %s=%s", v[i].key, v[i].value);
    return text;
}

#define TWO_ARMS "arms: {a: {mode: sync}, b: {mode: async}}\n"

START_TEST(a_study_says_what_is_compared_over_what)
{
    struct study s;
    accept(&s, "title: Two modes\nquestion: \"Which\\nis better?\"\nbase: base.yaml\n" TWO_ARMS
               "tasks:\n  Pendulum-v1:\n  short: {env.name: CartPole-v1, total_steps: 1e3}\n"
               "seeds: [7, 1e3]\nbaseline: b\nrun: simulate\nmeasure: mean\n"
               "scores: {short: [-1.5, 500], Pendulum-v1: [-1200, -150]}\n");
    ck_assert_str_eq(s.title, "Two modes");
    ck_assert_str_eq(s.question, "Which is better?");
    ck_assert(s.n_arms == 2 && s.n_tasks == 2 && s.n_seeds == 2 && s.baseline == 1);
    ck_assert(s.seeds[0] == 7 && s.seeds[1] == 1000 && s.runner == STUDY_SIMULATE && s.scores_are_means);
    ck_assert_str_eq(s.tasks[1].name, "short");
    ck_assert(study_score(&s, 1)->low == -1.5 && study_score(&s, 0)->high == -150);
    study_fini(&s);
}
END_TEST

START_TEST(a_setting_wins_over_those_in_front_of_it)
{
    struct study s;
    struct error err = { 0 };
    char *overrides[] = { "total_steps=9", "e=6", "e=7" };
    ck_assert_msg(load(&s, "settings: {a: 0, b: 0, c: 0, d: 0, total_steps: 1, ppo: {gamma: 0.5, lambda: 1}}\n"
                           "tasks:\n  T: {env: {name: X}, b: 1, c: 1, d: 1, total_steps: 2}\n"
                           "arms:\n  A: {c: 2, d: 2, ppo.gamma: 0.25}\nvary: {v: [3], w: {values: [4], into: tasks}}\n"
                           "seeds: [1]\n", overrides, 3, &err) == 0, "%s", err.text);
    ck_assert_str_eq(merged(&s, 0, 0), "- | a=0 b=1 c=2 d=2 total_steps=9 ppo.gamma=0.25 ppo.lambda=1 env.name=X "
                                       "w=4 v=3 e=7");
    study_fini(&s);
}
END_TEST

START_TEST(what_varies_multiplies_arms_or_tasks)
{
    struct study s;
    accept(&s, TWO_ARMS "seeds: [1]\nbaseline: b, actors=4, hidden=[8, 8]\nvary:\n  actors: [1, 4]\n"
               "  network.hidden: [[8, 8]]\n  simulate.staleness: {into: tasks, values: [0, 16]}\n");
    ck_assert(s.n_arms == 4 && s.n_tasks == 2 && s.baseline == 3);
    ck_assert_str_eq(s.arms[0].name, "a, actors=1, hidden=[8, 8]");
    ck_assert_str_eq(s.arms[2].name, "b, actors=1, hidden=[8, 8]");
    ck_assert_str_eq(s.arms[2].origin, "b");
    ck_assert_str_eq(s.tasks[1].name, "staleness=16");
    ck_assert_str_eq(merged(&s, 3, 1), "- | mode=async simulate.staleness=16 actors=4 network.hidden=[8, 8]");
    study_fini(&s);
    accept(&s, "vary: {actors: [1, 4, 16]}\ntasks: [Pendulum-v1]\nseeds: [1]\nscores: {Pendulum-v1: [0, 1]}\n");
    ck_assert(s.n_arms == 3 && s.n_tasks == 1);
    ck_assert_str_eq(s.arms[2].name, "actors=16");
    ck_assert_str_eq(merged(&s, 2, 0), "- | env.name=Pendulum-v1 actors=16");
    study_fini(&s);
}
END_TEST

START_TEST(what_varies_may_be_called_otherwise)
{
    struct study s;
    accept(&s, TWO_ARMS "seeds: [1]\ntasks: [X]\nvary:\n  simulate.staleness: {values: [0, 16], into: tasks, as: lag}\n"
               "  actors: {as: many hands, values: [2]}\n");
    ck_assert_str_eq(s.tasks[1].name, "X, lag=16");
    ck_assert_str_eq(s.arms[1].name, "b, many hands=2");
    ck_assert_str_eq(merged(&s, 1, 1), "- | env.name=X mode=async simulate.staleness=16 actors=2");
    study_fini(&s);
}
END_TEST

START_TEST(a_task_is_in_the_environment_it_is_named_after_unless_it_says_where)
{
    struct study s;
    accept(&s, TWO_ARMS "seeds: [1]\nbase: base.yaml\ntasks:\n  Hopper-v5:\n  long: {base: base.yaml}\n"
               "  other: {env: {name: X}}\n");
    ck_assert_str_eq(merged(&s, 0, 0), "base.yaml | env.name=Hopper-v5 mode=sync");
    ck_assert_str_eq(merged(&s, 0, 1), "base.yaml | mode=sync");
    ck_assert_str_eq(merged(&s, 0, 2), "base.yaml | env.name=X mode=sync");
    study_fini(&s);
    accept(&s, TWO_ARMS "seeds: [1]\nsettings: {env.name: X}\ntasks: {long: {total_steps: 5}}\n");
    ck_assert_str_eq(merged(&s, 1, 0), "- | env.name=X total_steps=5 mode=async");
    study_fini(&s);
}
END_TEST

START_TEST(places_are_looked_for_from_the_study)
{
    struct study s;
    char task[420], expected[PATH_MAX], name[PATH_MAX + 40];
    accept(&s, TWO_ARMS "seeds: [1]\n");
    study_fini(&s);
    snprintf(task, sizeof(task), "%s/b.yaml", directory);
    test_write(task, "x", 1);
    ck_assert_ptr_nonnull(realpath(task, expected));
    accept(&s, "arms: {a: {base: ./base.yaml}}\nseeds: [1]\nsettings: {env.name: b.yaml}\n");
    snprintf(name, sizeof(name), "base.yaml | env.name=%s", expected);
    ck_assert_str_eq(merged(&s, 0, 0), name);
    ck_assert_int_eq(s.arms[0].base[0], '/');
    study_fini(&s);
    struct error err = { 0 };
    ck_assert_int_eq(load(&s, "base: nowhere.yaml\n" TWO_ARMS "seeds: [1]\n", NULL, 0, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "a.yaml:1:7: base: there is no configuration"));
    study_fini(&s);
}
END_TEST

START_TEST(what_a_study_cannot_mean_is_refused_where_it_stands)
{
    static const char *const wrong[][2] = {
        { "arm: {}\n", "a.yaml:1:1: unknown key \"arm\" in a study; did you mean \"arms\"?" },
        { TWO_ARMS "total_steps: 7\nseeds: [1]\n", "a.yaml:2:1: unknown key \"total_steps\" in a study; what is for "
          "all runs stands below settings:" },
        { TWO_ARMS, "a.yaml:1:1: seeds: expected a list such as [1, 2, 3, 4, 5]" },
        { TWO_ARMS "seeds: []\n", "a.yaml:2:8: seeds: expected a list such as [1, 2, 3, 4, 5]" },
        { TWO_ARMS "seeds: [1, 2, 1]\n",
          "a.yaml:2:15: seeds: expected whole numbers from 0, each once, found \"1\"" },
        { TWO_ARMS "seeds: [1.5]\n", "a.yaml:2:9: seeds: expected whole numbers from 0, each once, found \"1.5\"" },
        { TWO_ARMS "seeds: [-1]\n", "a.yaml:2:9: seeds: expected whole numbers from 0, each once, found \"-1\"" },
        { "seeds: [1]\n", "a.yaml:1:1: arms: what is to be compared? Give two or more names with settings, or `vary` "
          "something" },
        { TWO_ARMS "seeds: [1]\nbaseline: c\n", "a.yaml:3:11: baseline: there is no arm \"c\"; the first of 2 is "
          "\"a\"" },
        { TWO_ARMS "seeds: [1]\nmeasure: best\n", "a.yaml:3:10: measure: expected last or mean, found \"best\"" },
        { TWO_ARMS "seeds: [1]\nrun: drain\n", "a.yaml:3:6: run: expected train or simulate, found \"drain\"" },
        { TWO_ARMS "seeds: [1]\nscores: {x: [2, 1]}\n", "a.yaml:3:13: scores: x: expected two numbers, the return "
          "that counts as 0 and a higher one that counts as 1" },
        { TWO_ARMS "seeds: [1]\nscores: {x: 1}\n", "a.yaml:3:13: scores: x: expected two numbers, the return "
          "that counts as 0 and a higher one that counts as 1" },
        { "arms: {a: {seed: 3}}\nseeds: [1]\n", "a.yaml:1:12: seed: every run of a study has its own; list them in "
          "`seeds`" },
        { "arms: {a: {x.y: 3, x: {y: 4}}}\nseeds: [1]\n", "a.yaml:1:24: x.y is given twice; first on line 1" },
        { "arms: {a: {x: }}\nseeds: [1]\n", "a.yaml:1:15: x: expected a value, found nothing" },
        { "arms: {a: {x: {y: {z: 1}}}}\nseeds: [1]\n", "a.yaml:1:19: x.y: expected a value, found a mapping" },
        { "arms: {a: 7}\nseeds: [1]\n", "a.yaml:1:11: a: expected settings below it, found a text" },
        { "arms: {\"a\\nb\": {}}\nseeds: [1]\n",
          "a.yaml:1:8: arms: a control character or a line's end is not accepted" },
        { TWO_ARMS "vary: {mode: [sync, async]}\nseeds: [1]\n", "a.yaml:2:8: vary: arm \"a\" gives mode as well; take "
          "it out of one" },
        { TWO_ARMS "vary: {x: [1, 2, 1]}\nseeds: [1]\n", "a.yaml:2:18: vary.x: 1 is given twice" },
        { TWO_ARMS "vary: {seed: [1, 2]}\nseeds: [1]\n", "a.yaml:2:8: seed: every run of a study has its own; list them "
          "in `seeds`" },
        { TWO_ARMS "vary: {a b: [1, 2]}\nseeds: [1]\n", "a.yaml:2:8: expected the name of an option, found \"a b\"" },
        { TWO_ARMS "vary: {x: 1}\nseeds: [1]\n", "a.yaml:2:11: vary.x: expected a list of values" },
        { TWO_ARMS "vary: {x: {values: [1], into: arm}}\nseeds: [1]\n", "a.yaml:2:31: vary.x: `into` is arms or "
          "tasks" },
        { TWO_ARMS "vary: {x: {y: [1]}}\nseeds: [1]\n", "a.yaml:2:12: vary.x: unknown key \"y\"; write values: [...], "
          "into: arms or tasks, and as: NAME; sections are dotted here: vary.x.y" },
        { TWO_ARMS "vary: {x: {values: [1], as: [y]}}\nseeds: [1]\n", "a.yaml:2:29: as: expected a text, found a list" },
        { TWO_ARMS "vary: {x: {values: [1], as: \"\"}}\nseeds: [1]\n", "a.yaml:2:29: as: expected 1 to 64 bytes, found 0" },
    };
    for (size_t i = 0; i < TEST_COUNT(wrong); i++)
        refuse(wrong[i][0], NULL, wrong[i][1]);
}
END_TEST

START_TEST(the_command_line_changes_all_runs_and_never_what_is_compared)
{
    static const char *const text = TWO_ARMS "tasks: [X, Y]\nvary: {z: {values: [1, 2], into: tasks}}\nseeds: [1]\n";
    static const char *const wrong[][2] = {
        { "mode=sync", "override \"mode=sync\": arm \"a\" gives mode, and what arms are compared by cannot be "
          "overridden" },
        { "z=3", "override \"z=3\": the tasks of this study differ by z" },
        { "env.name=Z", "override \"env.name=Z\": the tasks of this study differ by env.name" },
        { "seed=3", "override \"seed=3\": every run has its own seed: seeds=1,2,3" },
        { "seeds=1,,2", "override \"seeds=1,,2\": expected whole numbers, each once: seeds=1,2,3" },
        { "=3", "override \"=3\": expected key=value" },
    };
    struct study s;
    struct error err = { 0 };
    for (size_t i = 0; i < TEST_COUNT(wrong); i++)
        refuse(text, wrong[i][0], wrong[i][1]);
    ck_assert_int_eq(load(&s, text, (char *[]){ "seeds=[4, 5]" }, 1, &err), 0);
    ck_assert(s.n_seeds == 2 && s.seeds[0] == 4 && s.seeds[1] == 5 && s.overrides.n == 0);
    study_fini(&s);
}
END_TEST

static void reread(const struct study *s, struct study *again)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    study_print(s, out);
    fclose(out);
    accept(again, text);
    free(text);
}

START_TEST(a_copy_reads_back_as_the_same_study)
{
    struct study s, again;
    struct error err = { 0 };
    char *overrides[] = { "total_steps=9", "x=a \"b\" \\c", "total_steps=10" };
    ck_assert_msg(load(&s, "title: \"A: \\\"study\\\"\"\nbase: base.yaml\n"
                           "settings: {total_steps: 3, w: null x}\n" TWO_ARMS
                           "tasks: {X: {total_steps: 4}, \"Y, far\": {env.name: Y, u: [1, 2], q: -3}}\n"
                           "vary: {z: [1, -2], t: {values: [[a], b c], into: tasks}}\nseeds: [3, 1]\n"
                           "baseline: \"b, z=1\"\nrun: simulate\nmeasure: mean\nscores: {X: [0.1, 1], \"Y, far\": [-1, 2]}\n",
                       overrides, 3, &err) == 0, "%s", err.text);
    reread(&s, &again);
    ck_assert_str_eq(again.title, "A: \"study\"");
    ck_assert(again.n_arms == 4 && again.n_tasks == 4 && again.n_seeds == 2 && again.baseline == s.baseline
              && again.runner == STUDY_SIMULATE && again.scores_are_means && again.seeds[0] == 3);
    for (int arm = 0; arm < 4; arm++)
        for (int task = 0; task < 4; task++) {
            /* In another order. */
            struct study_setting *v, *w;
            const char *base, *base_again;
            const int n = study_merge(&s, arm, task, &v, &base);
            ck_assert_int_eq(study_merge(&again, arm, task, &w, &base_again), n);
            ck_assert_str_eq(base, base_again);
            for (int i = 0; i < n; i++) {
                int k = 0;
                while (k < n && strcmp(v[i].key, w[k].key) != 0)
                    k++;
                ck_assert_int_lt(k, n);
                ck_assert_str_eq(v[i].value, w[k].value);
            }
            ck_assert_str_eq(s.tasks[task].name, again.tasks[task].name);
            ck_assert(study_score(&again, task)->low == study_score(&s, task)->low);
        }
    ck_assert_int_eq(study_extends(&again, &s, &err), 0);
    study_fini(&s);
    study_fini(&again);
}
END_TEST

START_TEST(a_study_may_grow_and_never_shrink)
{
    static const char *const texts[] = {
        TWO_ARMS "tasks: [X]\nseeds: [1, 2]\n",
        "arms: {b: {}, c: {}, a: {}}\ntasks: [X, Y]\nseeds: [2, 3, 1]\n",
        "arms: {b: {}}\ntasks: [X]\nseeds: [1, 2]\n",
        TWO_ARMS "tasks: [Y]\nseeds: [1, 2]\n",
        TWO_ARMS "tasks: [X]\nseeds: [2]\n",
        TWO_ARMS "tasks: [X]\nseeds: [1, 2]\nrun: simulate\n",
    };
    static const char *const expected[] = { NULL, NULL, "a.yaml has arm \"a\", which the study no longer has",
        "a.yaml has task \"X\", which the study no longer has", "a.yaml has seed 1, which the study no longer has",
        "a.yaml has run: train, the study now says simulate" };
    struct study old, s;
    for (size_t i = 0; i < TEST_COUNT(texts); i++) {
        struct error err = { 0 };
        accept(&old, texts[0]);
        accept(&s, texts[i]);
        ck_assert_int_eq(study_extends(&s, &old, &err), expected[i] ? ERR_CONFIG : 0);
        if (expected[i])
            ck_assert_str_eq(strstr(err.text, "a.yaml"), expected[i]);
        study_fini(&s);
        study_fini(&old);
    }
}
END_TEST

START_TEST(files_that_cannot_be_read_are_errors)
{
    struct study s;
    struct error err = { 0 };
    ck_assert_int_eq(study_load(&s, "/nowhere/a.yaml", NULL, 0, &err), ERR_MISSING);
    study_fini(&s);
    refuse("", NULL, "a.yaml: expected a study: arms, seeds and so on; see configs/study");
    refuse("- a\n", NULL, "a.yaml: expected a study: arms, seeds and so on; see configs/study");
    refuse("arms: [\n", NULL, "a.yaml:2:1: not YAML: did not find expected node content (while parsing a flow node "
                              "that begins at line 2, column 1)");
}
END_TEST

START_TEST(the_ready_studies_are_studies)
{
    static const char *const names[] = { "sync_vs_async_ppo", "a2c_a3c_impala", "sac_actors", "staleness_vtrace" };
    static const int n_arms[] = { 3, 3, 4, 2 }, n_tasks[] = { 4, 2, 2, 10 }, n_seeds[] = { 10, 5, 5, 10 };
    for (size_t i = 0; i < TEST_COUNT(names); i++) {
        char file[200];
        struct study s;
        struct error err = { 0 };
        snprintf(file, sizeof(file), "configs/study/%s.yaml", names[i]);
        ck_assert_msg(study_load(&s, file, NULL, 0, &err) == 0, "%s", err.text);
        ck_assert(s.n_arms == n_arms[i] && s.n_tasks == n_tasks[i] && s.n_seeds == n_seeds[i]);
        for (int k = 0; k < s.n_tasks; k++)
            ck_assert_ptr_nonnull(study_score(&s, k));
        study_fini(&s);
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        a_study_says_what_is_compared_over_what,
        a_setting_wins_over_those_in_front_of_it,
        what_varies_multiplies_arms_or_tasks, what_varies_may_be_called_otherwise,
        a_task_is_in_the_environment_it_is_named_after_unless_it_says_where,
        places_are_looked_for_from_the_study,
        what_a_study_cannot_mean_is_refused_where_it_stands,
        the_command_line_changes_all_runs_and_never_what_is_compared,
        a_copy_reads_back_as_the_same_study,
        a_study_may_grow_and_never_shrink,
        files_that_cannot_be_read_are_errors,
        the_ready_studies_are_studies,
    };
    return suite_run("study", tests, TEST_COUNT(tests), 30);
}
