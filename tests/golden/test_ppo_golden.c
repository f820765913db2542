/* PPO against PyTorch in float64; make_ppo_golden.py says what the files hold. */
#include <stdlib.h>
#include <string.h>

#include "learner/algorithms.h"
#include "learner/ppo.h"
#include "tests/golden/golden.h"

enum { N_OBS, N_ACT, N_CHOICES, BATCH_SIZE, N_UPDATES, HAS_MORE, N_HIDDEN, HIDDEN_0, HIDDEN_1,
       ACTIVATION, HAS_LAYER_NORM, SIZES };

static const struct golden_column columns[] = {
    { "policy_loss", 1 }, { "value_loss", 1 }, { "entropy", 1 }, { "approx_kl", 0.1 }, { "clip_fraction", 1 },
    { "ratio_max", 1 }, { "explained_variance", 1 }, { "log_sigma", 1 }, { "grad_norm", 1 },
    { "learning_rate", 1 },
};

static const char *const cases[] = { "ppo_gaussian", "ppo_state", "ppo_categorical", "ppo_vtrace",
                                     "ppo_recompute", "ppo_vtrace_recompute", "ppo_kl" };

struct trial {
    struct golden_case g;
    struct ppo_hyper hyper;
    struct round round;
    int *first;
    struct rng rng;
    int n_updates;
    bool has_more;
};

static void read_hyper(struct trial *c)
{
    double *h = golden(c->g.file, "hyper");
    c->hyper = (struct ppo_hyper){
        .learning_rate = h[0], .gamma = h[1], .lambda = h[2], .clip = h[3], .value_clip = h[4],
        .epochs = (int64_t)h[5], .value_coef = h[6], .entropy_coef = h[7],
        .normalise_advantages = (int)h[8], .target_kl = h[9], .recompute_advantages = h[10] > 0,
        .truncation_terminates = h[11] > 0, .vtrace = h[12] > 0, .rho_bar = h[13], .c_bar = h[14],
        .log_sigma = (int)h[15],
        .optimiser = { .kind = OPTIMISER_ADAM, .beta1 = 0.9, .beta2 = 0.999, .epsilon = h[18],
                       .schedule = h[16] > 0 ? SCHEDULE_LINEAR : SCHEDULE_CONSTANT,
                       .max_grad_norm = h[17] },
    };
    c->round.progress = h[19];
    free(h);
}

static void read_round(struct trial *c)
{
    const int stride = row_stride(c->g.setup.shape);
    struct round *r = &c->round;
    r->shape = c->g.setup.shape;
    r->rows = c->g.rows;
    r->n_rows = (int)(golden_count(c->g.file, "rows") / (size_t)stride);
    r->n_fragments = (int)golden_count(c->g.file, "first") - 1;
    c->first = golden_int(c->g.file, "first");
    r->first = c->first;
    for (int t = 0; t < r->n_rows; t++)
        r->n_transitions += c->g.rows[t * stride + row_kind(r->shape)] != (real)ROW_CLOSE;
}

/* A fresh PPO at the golden start, its round begun. */
static void open_case(struct trial *c, const char *name)
{
    *c = (struct trial){ .n_updates = 0 };
    golden_case_open(&c->g, &ppo_algorithm, name);
    ck_assert_uint_eq(golden_count(c->g.file, "sizes"), SIZES);
    double *s = golden(c->g.file, "sizes");
    struct mlp_body body = golden_body(s + N_HIDDEN);
    body.has_layer_norm = s[HAS_LAYER_NORM] > 0;
    c->g.setup = (struct algorithm_setup){
        .shape = { (int)s[N_OBS], (int)s[N_ACT] }, .n_choices = (int)s[N_CHOICES],
        .batch_size = (int)s[BATCH_SIZE], .seed = 1, .policy = body, .critic = body,
        .start = MLP_START_ORTHOGONAL, .hyper = &c->hyper,
    };
    c->n_updates = (int)s[N_UPDATES];
    c->has_more = s[HAS_MORE] > 0;
    free(s);
    read_hyper(c);
    read_round(c);
    c->g.setup.max_rows = c->round.n_rows;
    c->g.setup.max_transitions = c->round.n_transitions;
    c->g.setup.max_fragments = c->round.n_fragments;
    rng_init(&c->rng, 11, RNG_UPDATE, 0, 0);
    golden_case_create(&c->g);
    ppo_algorithm.begin(c->g.self, &c->round, &c->rng);
}

static int step(struct trial *c, struct error *err)
{
    ck_assert(ppo_algorithm.has_more(c->g.self));
    return ppo_algorithm.step(c->g.self, c->g.metrics, err);
}

static void close_case(struct trial *c)
{
    free(c->first);
    golden_case_close(&c->g);
}

START_TEST(losses_gradients_and_parameters_equal_pytorch_after_one_update)
{
    for (size_t k = 0; k < TEST_COUNT(cases); k++) {
        struct trial c;
        struct error err;
        open_case(&c, cases[k]);
        ck_assert_int_eq(step(&c, &err), 0);
        golden_check_metrics(&c.g, 0, columns, TEST_COUNT(columns));
        golden_check_actor_critic(&c.g);
        golden_check_way(c.g.name, c.g.params, c.g.file, "params1", "params0");
        close_case(&c);
    }
}
END_TEST

START_TEST(losses_and_parameters_equal_pytorch_over_ten_shuffled_minibatches)
{
    for (size_t k = 0; k < TEST_COUNT(cases); k++) {
        struct trial c;
        struct error err;
        open_case(&c, cases[k]);
        for (int i = 0; i < c.n_updates; i++) {
            ck_assert_int_eq(step(&c, &err), 0);
            golden_check_metrics(&c.g, i, columns, TEST_COUNT(columns));
        }
        ck_assert_int_eq(ppo_algorithm.has_more(c.g.self), c.has_more);
        golden_check_way(c.g.name, c.g.params, c.g.file, "params_n", "params0");
        close_case(&c);
    }
}
END_TEST

START_TEST(a_minibatch_above_the_target_kl_ends_the_round_and_moves_nothing)
{
    struct trial c;
    struct error err;
    open_case(&c, "ppo_kl");
    real *before = malloc(c.g.params.n * sizeof(real));
    for (int i = 0; i < c.n_updates; i++) {
        memcpy(before, c.g.params.data, c.g.params.n * sizeof(real));
        ck_assert_int_eq(step(&c, &err), 0);
        bool is_last = i + 1 == c.n_updates;
        ck_assert_int_eq(golden_metric(&c.g, "approx_kl") > 1.5 * c.hyper.target_kl, is_last);
        ck_assert_int_eq(memcmp(before, c.g.params.data, c.g.params.n * sizeof(real)) == 0, is_last);
        ck_assert_int_eq(ppo_algorithm.has_more(c.g.self), !is_last);
    }
    free(before);
    close_case(&c);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        losses_gradients_and_parameters_equal_pytorch_after_one_update,
        losses_and_parameters_equal_pytorch_over_ten_shuffled_minibatches,
        a_minibatch_above_the_target_kl_ends_the_round_and_moves_nothing,
    };
    return suite_run("ppo_golden", tests, TEST_COUNT(tests), 60);
}
