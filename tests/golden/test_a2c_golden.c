/* A2C in all its forms against PyTorch: losses, gradients, and parameters after 1 and 10 updates. */
#include <stdlib.h>

#include "learner/a2c.h"
#include "learner/algorithms.h"
#include "tests/golden/golden.h"

enum { SIZES = 17, N_STEPS = 10, MAX_FRAGMENTS = 64 };

static const struct golden_column columns[] = {
    { "policy_loss", 0.1 }, { "value_loss", 0.1 }, { "entropy", 0.1 }, { "explained_variance", 0.1 },
    { "advantage_std", 0.1 }, { "grad_norm", 0.1 }, { "learning_rate", 0 }, { "rho_mean", 0.1 },
    { "rho_clipped", 0.1 },
};

struct trial {
    struct golden_case g;
    struct a2c_hyper hyper;
    int n_rounds, n_fragments;              /* n_fragments: of a round */
    int *first;                             /* of all fragments, in the rows */
    int round_first[MAX_FRAGMENTS + 1];     /* of the present round's */
    int64_t staleness[MAX_FRAGMENTS];
    struct round round;
    struct rng rng;
};

static void read_hyper(struct trial *c, const double *sizes)
{
    double *h = golden(c->g.file, "hyper");
    c->hyper = (struct a2c_hyper){
        .form = (int)sizes[7], .normalise_advantages = (int)sizes[8], .vtrace = sizes[9] > 0,
        .truncation_terminates = sizes[10] > 0, .log_sigma = (int)sizes[11],
        .value_epochs = (int64_t)sizes[12], .learning_rate = h[0], .gamma = h[1], .lambda = h[2],
        .value_coef = h[3], .entropy_coef = h[4], .rho_bar = h[5], .c_bar = h[6],
        .optimiser = { .kind = (int)sizes[13], .schedule = (int)sizes[14], .epsilon = h[7],
                       .beta1 = 0.9, .beta2 = 0.999, .decay = 0.99, .max_grad_norm = h[8] },
    };
    free(h);
}

/* A fresh A2C at the golden start, in front of the first round. */
static void open_case(struct trial *c, const char *name)
{
    *c = (struct trial){ .n_rounds = 0 };
    golden_case_open(&c->g, &a2c_algorithm, name);
    ck_assert_uint_eq(golden_count(c->g.file, "sizes"), SIZES);
    double *sizes = golden(c->g.file, "sizes");
    read_hyper(c, sizes);
    c->n_rounds = (int)sizes[15];
    c->n_fragments = (int)sizes[16];
    const int n_first = c->n_rounds * c->n_fragments + 1;
    ck_assert_uint_eq(golden_count(c->g.file, "first"), (size_t)n_first);
    ck_assert_int_le(c->n_fragments, MAX_FRAGMENTS);
    c->first = golden_int(c->g.file, "first");
    const int n_rows = c->first[n_first - 1];
    const struct mlp_body body = golden_body(sizes + 3);
    c->g.setup = (struct algorithm_setup){
        .shape = { (int)sizes[0], (int)sizes[1] }, .n_choices = (int)sizes[2], .seed = 1, .policy = body,
        .critic = body, .hyper = &c->hyper, .max_rows = n_rows, .max_transitions = n_rows,
        .max_fragments = c->n_fragments,
    };
    free(sizes);
    golden_case_create(&c->g);
    rng_init(&c->rng, 1, RNG_TEST, 0, 0);
}

static void close_case(struct trial *c)
{
    free(c->first);
    golden_case_close(&c->g);
}

static void take_round(struct trial *c, int i)
{
    const int *first = c->first + i * c->n_fragments, stride = row_stride(c->g.setup.shape);
    for (int f = 0; f <= c->n_fragments; f++)
        c->round_first[f] = first[f] - first[0];
    c->round = (struct round){ .shape = c->g.setup.shape, .n_rows = c->round_first[c->n_fragments],
                               .n_fragments = c->n_fragments, .rows = c->g.rows + first[0] * stride,
                               .first = c->round_first, .staleness = c->staleness,
                               .progress = (double)i / c->n_rounds };
    for (int t = 0; t < c->round.n_rows; t++)
        c->round.n_transitions +=
            c->round.rows[t * stride + row_kind(c->g.setup.shape)] < (real)ROW_CLOSE;
}

static void check_case(const char *name)
{
    struct trial c;
    struct error err;
    int n_steps = 0;
    open_case(&c, name);
    for (int i = 0; i < c.n_rounds; i++) {
        take_round(&c, i);
        a2c_algorithm.begin(c.g.self, &c.round, &c.rng);
        for (; a2c_algorithm.has_more(c.g.self); n_steps++) {
            ck_assert_int_eq(a2c_algorithm.step(c.g.self, c.g.metrics, &err), 0);
            golden_check_metrics(&c.g, n_steps, columns, TEST_COUNT(columns));
            if (n_steps > 0)
                continue;
            golden_check_actor_critic(&c.g);
            golden_check_way(name, c.g.params, c.g.file, "params1", "params0");
        }
    }
    ck_assert_int_eq(n_steps, N_STEPS);
    ck_assert_uint_eq(golden_count(c.g.file, "metrics"), N_STEPS * TEST_COUNT(columns));
    golden_check_way(name, c.g.params, c.g.file, "params10", "params0");
    close_case(&c);
}

/* The same, each update as a gradient and its application: rounds of one update alone. */
static void check_apart(const char *name)
{
    struct trial c;
    struct error err;
    open_case(&c, name);
    real *grad = malloc(c.g.params.n * sizeof(*grad));
    ck_assert_int_eq(c.n_rounds, N_STEPS);
    for (int i = 0; i < c.n_rounds; i++) {
        take_round(&c, i);
        ck_assert_int_eq(a2c_algorithm.gradient(c.g.self, &c.round, grad, c.g.metrics, &err), 0);
        ck_assert_int_eq(a2c_algorithm.apply(c.g.self, grad, c.round.progress, c.g.metrics, &err), 0);
        golden_check_metrics(&c.g, i, columns, TEST_COUNT(columns));
        if (i == 0)
            golden_check_actor_critic(&c.g);
    }
    golden_check_way(name, c.g.params, c.g.file, "params10", "params0");
    free(grad);
    close_case(&c);
}

START_TEST(gaussian_with_free_sigmas_gae_and_clipped_rmsprop_equals_pytorch)
{
    check_case("a2c_gaussian");
}
END_TEST

START_TEST(categorical_with_n_step_returns_and_an_entropy_bonus_equals_pytorch)
{
    check_case("a2c_categorical");
}
END_TEST

START_TEST(vtrace_of_stale_rows_with_sigmas_of_the_state_equals_pytorch)
{
    check_case("a2c_vtrace");
}
END_TEST

START_TEST(batch_actor_critic_that_fits_values_first_equals_pytorch)
{
    check_case("a2c_episodes");
}
END_TEST

START_TEST(online_actor_critic_transition_by_transition_equals_pytorch)
{
    check_case("a2c_online");
}
END_TEST

START_TEST(gradients_and_their_application_equal_pytorch)
{
    check_apart("a2c_gaussian");
    check_apart("a2c_categorical");
    check_apart("a2c_vtrace");
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        gaussian_with_free_sigmas_gae_and_clipped_rmsprop_equals_pytorch,
        categorical_with_n_step_returns_and_an_entropy_bonus_equals_pytorch,
        vtrace_of_stale_rows_with_sigmas_of_the_state_equals_pytorch,
        batch_actor_critic_that_fits_values_first_equals_pytorch,
        online_actor_critic_transition_by_transition_equals_pytorch,
        gradients_and_their_application_equal_pytorch,
    };
    return suite_run("a2c_golden", tests, TEST_COUNT(tests), 60);
}
