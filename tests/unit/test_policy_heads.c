/* Every policy head: what it computes against a plain reference in double, bit for bit whatever the
 * batch, and through files. */
#include "common/policy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/kernels.h"
#include "common/vector_math.h"
#include "tests/support.h"

enum { MAX_ROWS = 33, MAX_WIDTH = 64 };

/* ---- policies of all kinds ---- */

static const struct kind {
    enum policy_head head;
    struct row_shape row;
    int n_choices, n_hidden;
    enum activation activation;
    bool has_layer_norm, normalises;
} kinds[] = {
    { HEAD_SQUASHED_GAUSSIAN, { 5, 3 }, 0, 2, ACTIVATION_SILU, true, false },
    { HEAD_SQUASHED_GAUSSIAN, { 17, 6 }, 0, 2, ACTIVATION_RELU, false, true },
    { HEAD_GAUSSIAN, { 3, 1 }, 0, 2, ACTIVATION_TANH, false, false },
    { HEAD_GAUSSIAN, { 17, 6 }, 0, 2, ACTIVATION_SILU, true, true },
    { HEAD_GAUSSIAN, { 2, 2 }, 0, 0, ACTIVATION_TANH, false, true },
    { HEAD_GAUSSIAN_OF_STATE, { 4, 2 }, 0, 1, ACTIVATION_SILU, false, true },
    { HEAD_GAUSSIAN_OF_STATE, { 11, 3 }, 0, 2, ACTIVATION_TANH, true, false },
    { HEAD_CATEGORICAL, { 4, 1 }, 2, 2, ACTIVATION_TANH, false, false },
    { HEAD_CATEGORICAL, { 6, 1 }, 17, 2, ACTIVATION_RELU, true, true },
    { HEAD_DETERMINISTIC, { 3, 1 }, 0, 2, ACTIVATION_RELU, false, false },
    { HEAD_DETERMINISTIC, { 8, 4 }, 0, 2, ACTIVATION_RELU, true, true },
};
#define EACH_KIND(k) (size_t k = 0; k < TEST_COUNT(kinds); k++)

struct acting {
    struct arena *arena;
    struct policy_shape shape;
    struct policy *policy;
    float *params;
    size_t n_params;
    int stride, n_out;
    float *rows[MAX_ROWS];        /* observations filled */
    float *noise;                 /* [MAX_ROWS][n_act] drawn */
    double out[MAX_ROWS][MAX_WIDTH];    /* the network's outputs by the reference */
};

static void fill(struct rng *rng, float *out, size_t n, double scale)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(scale * rng_normal(rng));
}

/* One hidden layer behind its weights: layer normalisation, then the activation. */
static void reference_hidden(const struct mlp_shape *net, const float *norm, double *z, int n)
{
    double mean = 0, var = 0;
    for (int j = 0; j < n; j++)
        mean += z[j] / n;
    for (int j = 0; j < n; j++)
        var += (z[j] - mean) * (z[j] - mean) / n;
    for (int j = 0; j < n; j++) {
        if (net->has_layer_norm)
            z[j] = (double)norm[j] * (z[j] - mean) / sqrt(var + 1e-5) + (double)norm[n + j];
        z[j] = net->activation == ACTIVATION_TANH ? tanh(z[j])
             : net->activation == ACTIVATION_SILU ? z[j] / (1 + exp(-z[j])) : fmax(z[j], 0);
    }
}

/* Parameters taken one after the other, as PROTOCOL.md tells it: no offsets of mlp.h. */
static void reference(const struct policy_shape *s, const float *params, const float *obs, double *out)
{
    double x[MAX_WIDTH], y[MAX_WIDTH];
    const struct mlp_shape *net = &s->net;
    const float *p = params, *mean = params + policy_n_params(s) - 2 * s->row.n_obs;
    for (int i = 0; i < s->row.n_obs; i++) {
        double scaled = ((double)obs[i] - (double)mean[i]) * (double)mean[s->row.n_obs + i];
        x[i] = s->normalises ? fmin(fmax(scaled, -10), 10) : (double)obs[i];
    }
    for (int l = 0; l < net->n_layers; l++) {
        const int k = net->width[l], n = net->width[l + 1];
        const float *bias = p + (size_t)(k * n);
        for (int j = 0; j < n; j++) {
            y[j] = (double)bias[j];
            for (int i = 0; i < k; i++)
                y[j] += x[i] * (double)p[i * n + j];
        }
        p = bias + n;
        if (l + 1 < net->n_layers) {
            reference_hidden(net, p, y, n);
            p += net->has_layer_norm ? 2 * n : 0;
        }
        memcpy(x, y, sizeof(x));
    }
    memcpy(out, x, sizeof(x));
}

static void acting_create(struct acting *a, const struct kind *kind)
{
    const struct mlp_body body = { kind->n_hidden, { 33, 17 }, kind->activation, kind->has_layer_norm };
    struct rng rng;
    memset(a, 0, sizeof(*a));
    rng_init(&rng, 5, RNG_TEST, 0, 0);
    a->arena = arena_create(1 << 16);
    a->shape = policy_shape_make(kind->head, &body, kind->row, kind->n_choices);
    a->shape.normalises = kind->normalises;
    a->n_params = policy_n_params(&a->shape);
    a->n_out = a->shape.net.width[a->shape.net.n_layers];
    a->policy = policy_create(&a->shape, MAX_ROWS, a->arena);
    a->params = arena_alloc(a->arena, a->n_params, sizeof(float));
    fill(&rng, a->params, a->n_params, 0.4);
    policy_set(a->policy, a->params);
    a->stride = row_stride(kind->row);
    a->noise = arena_alloc(a->arena, (size_t)(MAX_ROWS * kind->row.n_act), sizeof(float));
    for (int i = 0; i < MAX_ROWS; i++) {
        a->rows[i] = arena_alloc(a->arena, (size_t)a->stride, sizeof(float));
        fill(&rng, a->rows[i], (size_t)kind->row.n_obs, 1);
        policy_draw(a->policy, &rng, a->noise + i * kind->row.n_act);
        if (kind->head == HEAD_DETERMINISTIC)
            fill(&rng, a->noise + i * kind->row.n_act, (size_t)kind->row.n_act, 0.5);
        reference(&a->shape, a->params, a->rows[i], a->out[i]);
    }
}

static void acting_destroy(struct acting *a)
{
    arena_destroy(&a->arena);
}

static const float *action_of(const struct acting *a, int i)
{
    return a->rows[i] + row_act(a->shape.row);
}

static double log_prob_of(const struct acting *a, int i)
{
    return (double)a->rows[i][row_log_prob(a->shape.row)];
}

/* log sigma of action j in row i. */
static double log_sigma_of(const struct acting *a, int i, int j)
{
    const int n_act = a->shape.row.n_act;
    const float *own = a->params + a->n_params - (a->shape.normalises ? 2 * a->shape.row.n_obs : 0) - n_act;
    double raw = a->shape.head == HEAD_GAUSSIAN ? (double)own[j] : a->out[i][n_act + j];
    return fmin(fmax(raw, -20), 2);
}

/* ---- what is computed ---- */

START_TEST(vectors_are_network_then_head_then_statistics)
{
    for EACH_KIND(k) {
        const struct kind *kind = &kinds[k];
        struct acting a;
        acting_create(&a, kind);
        size_t net = mlp_n_params(&a.shape.net);
        size_t extra = kind->head == HEAD_GAUSSIAN ? (size_t)kind->row.n_act : 0;
        ck_assert_uint_eq(policy_head_offset(&a.shape), net);
        ck_assert_uint_eq(policy_statistics_offset(&a.shape), net + extra);
        ck_assert_uint_eq(a.n_params, net + extra + (kind->normalises ? 2 * (size_t)kind->row.n_obs : 0));
        ck_assert_int_eq(a.n_out, kind->head == HEAD_CATEGORICAL ? kind->n_choices
                         : kind->head == HEAD_GAUSSIAN || kind->head == HEAD_DETERMINISTIC
                         ? kind->row.n_act : 2 * kind->row.n_act);
        acting_destroy(&a);
    }
}
END_TEST

/* The learner's network and the reference agree, so actors and the learner do. */
START_TEST(the_reference_is_what_the_learner_computes)
{
    for EACH_KIND(k) {
        struct acting a;
        struct mlp_cache cache;
        if (kinds[k].normalises)
            continue;
        acting_create(&a, &kinds[k]);
        mlp_cache_init(&cache, &a.shape.net, 1, NULL, a.arena);
        for (int i = 0; i < MAX_ROWS; i++) {
            const float *out = mlp_forward(&a.shape.net, a.params, 1, a.rows[i], a.stride, &cache);
            for (int j = 0; j < a.n_out; j++)
                ck_assert_double_eq_tol((double)out[j], a.out[i][j], 1e-5 * (1 + fabs(a.out[i][j])));
        }
        acting_destroy(&a);
    }
}
END_TEST

/* Whatever the activation, with layer normalisation and without; OpenBLAS sums in other orders, and so do the sets of
 * other precisions. */
START_TEST(a_deterministic_action_is_bit_for_bit_what_the_learner_computes)
{
    const bool is_chain = kernels_default() != &kernels_openblas && kernels_default()->precision == PRECISION_F32;
    for (int f = ACTIVATION_RELU; f <= ACTIVATION_SILU && is_chain; f++)
        for (int has_norm = 0; has_norm < 2; has_norm++) {
            const struct kind kind = { HEAD_DETERMINISTIC, { 17, 6 }, 0, 2, (enum activation)f, has_norm, false };
            struct acting a;
            struct mlp_cache cache;
            acting_create(&a, &kind);
            mlp_cache_init(&cache, &a.shape.net, 1, NULL, a.arena);
            policy_act(a.policy, MAX_ROWS, a.rows, NULL);
            for (int i = 0; i < MAX_ROWS; i++) {
                float *out = mlp_forward(&a.shape.net, a.params, 1, a.rows[i], a.stride, &cache);
                vector_tanh(out, (size_t)a.n_out);
                ck_assert_mem_eq(action_of(&a, i), out, (size_t)a.n_out * sizeof(*out));
            }
            acting_destroy(&a);
        }
}
END_TEST

START_TEST(without_noise_the_action_is_the_mode_and_has_no_log_prob)
{
    for EACH_KIND(k) {
        struct acting a;
        acting_create(&a, &kinds[k]);
        for (int i = 0; i < MAX_ROWS; i++)
            a.rows[i][row_log_prob(a.shape.row)] = 7;
        policy_act(a.policy, MAX_ROWS, a.rows, NULL);
        for (int i = 0; i < MAX_ROWS; i++) {
            const enum policy_head head = kinds[k].head;
            ck_assert(log_prob_of(&a, i) == 0);
            if (head == HEAD_CATEGORICAL) {
                int choice = (int)action_of(&a, i)[0];
                for (int j = 0; j < a.n_out; j++)
                    ck_assert_double_ge(a.out[i][choice], a.out[i][j] - 1e-5);
                continue;
            }
            bool is_bounded = head == HEAD_SQUASHED_GAUSSIAN || head == HEAD_DETERMINISTIC;
            for (int j = 0; j < a.shape.row.n_act; j++) {
                double mean = is_bounded ? tanh(a.out[i][j]) : a.out[i][j];
                ck_assert_double_eq_tol((double)action_of(&a, i)[j], mean, 1e-5 * (1 + fabs(mean)));
            }
        }
        acting_destroy(&a);
    }
}
END_TEST

START_TEST(gaussian_actions_are_mean_and_noise_and_log_prob_is_their_density)
{
    for EACH_KIND(k) {
        struct acting a;
        if (kinds[k].head != HEAD_GAUSSIAN && kinds[k].head != HEAD_GAUSSIAN_OF_STATE)
            continue;
        acting_create(&a, &kinds[k]);
        int n_act = a.shape.row.n_act;
        policy_act(a.policy, MAX_ROWS, a.rows, a.noise);
        for (int i = 0; i < MAX_ROWS; i++) {
            double density = 1;
            for (int j = 0; j < n_act; j++) {
                double sigma = exp(log_sigma_of(&a, i, j)), eps = (double)a.noise[i * n_act + j];
                double act = (double)action_of(&a, i)[j], expected = a.out[i][j] + sigma * eps;
                ck_assert_double_eq_tol(act, expected, 2e-5 * (1 + fabs(expected)));
                density *= exp(-eps * eps / 2) / (sigma * sqrt(2 * acos(-1.0)));
            }
            ck_assert_double_eq_tol(log_prob_of(&a, i), log(density), 2e-4 * (1 + fabs(log(density))));
        }
        acting_destroy(&a);
    }
}
END_TEST

START_TEST(squashed_actions_have_the_density_of_what_is_squashed_over_its_slope)
{
    for EACH_KIND(k) {
        struct acting a;
        if (kinds[k].head != HEAD_SQUASHED_GAUSSIAN)
            continue;
        acting_create(&a, &kinds[k]);
        int n_act = a.shape.row.n_act;
        policy_act(a.policy, MAX_ROWS, a.rows, a.noise);
        for (int i = 0; i < MAX_ROWS; i++) {
            double log_density = 0;
            for (int j = 0; j < n_act; j++) {
                double sigma = exp(log_sigma_of(&a, i, j)), eps = (double)a.noise[i * n_act + j];
                double u = a.out[i][j] + sigma * eps, slope = 1 / (cosh(u) * cosh(u));
                ck_assert_double_eq_tol((double)action_of(&a, i)[j], tanh(u), 1e-5);
                log_density += log(exp(-eps * eps / 2) / (sigma * sqrt(2 * acos(-1.0))) / slope);
            }
            ck_assert_double_eq_tol(log_prob_of(&a, i), log_density, 2e-4 * (1 + fabs(log_density)));
        }
        acting_destroy(&a);
    }
}
END_TEST

/* Evenly spaced numbers choose each index as often as its probability says. */
START_TEST(categorical_choices_come_as_often_as_their_probabilities)
{
    enum { DRAWS = 4096 };
    for EACH_KIND(k) {
        struct acting a;
        if (kinds[k].head != HEAD_CATEGORICAL)
            continue;
        acting_create(&a, &kinds[k]);
        for (int i = 0; i < 4; i++) {
            int count[MAX_WIDTH] = { 0 };
            double total = 0;
            for (int j = 0; j < a.n_out; j++)
                total += exp(a.out[i][j]);
            for (int d = 0; d < DRAWS; d++) {
                float uniform = ((float)d + 0.5f) / DRAWS;
                policy_act(a.policy, 1, &a.rows[i], &uniform);
                int choice = (int)action_of(&a, i)[0];
                ck_assert(choice >= 0 && choice < a.n_out && (float)choice == action_of(&a, i)[0]);
                count[choice]++;
                ck_assert_double_eq_tol(exp(log_prob_of(&a, i)), exp(a.out[i][choice]) / total, 1e-5);
            }
            for (int j = 0; j < a.n_out; j++)
                ck_assert_double_eq_tol((double)count[j] / DRAWS, exp(a.out[i][j]) / total, 2e-3);
        }
        acting_destroy(&a);
    }
}
END_TEST

START_TEST(noise_is_added_to_deterministic_actions_within_the_bounds)
{
    for EACH_KIND(k) {
        struct acting a;
        int n_clipped = 0;
        if (kinds[k].head != HEAD_DETERMINISTIC)
            continue;
        acting_create(&a, &kinds[k]);
        int n_act = a.shape.row.n_act;
        policy_act(a.policy, MAX_ROWS, a.rows, a.noise);
        for (int i = 0; i < MAX_ROWS; i++) {
            ck_assert(log_prob_of(&a, i) == 0);
            for (int j = 0; j < n_act; j++) {
                double expected = tanh(a.out[i][j]) + (double)a.noise[i * n_act + j];
                n_clipped += fabs(expected) > 1;
                expected = fmin(fmax(expected, -1), 1);
                ck_assert_double_eq_tol((double)action_of(&a, i)[j], expected, 1e-5);
                ck_assert(fabs((double)action_of(&a, i)[j]) <= 1);
            }
        }
        ck_assert_int_gt(n_clipped, 0);
        acting_destroy(&a);
    }
}
END_TEST

START_TEST(an_action_depends_on_its_own_row_only)
{
    for EACH_KIND(k) {
        struct acting a;
        float alone[MAX_ROWS][32];
        acting_create(&a, &kinds[k]);
        size_t n_act = (size_t)a.shape.row.n_act, bytes = (size_t)a.stride * sizeof(float);
        for (int with_noise = 0; with_noise < 2; with_noise++) {
            const float *noise = with_noise ? a.noise : NULL;
            for (size_t i = 0; i < MAX_ROWS; i++) {
                policy_act(a.policy, 1, &a.rows[i], noise ? noise + i * n_act : NULL);
                memcpy(alone[i], a.rows[i], bytes);
            }
            for (int n = 1; n <= MAX_ROWS; n++)
                for (size_t first = 0; first + (size_t)n <= MAX_ROWS; first += 5) {
                    policy_act(a.policy, n, a.rows + first, noise ? noise + first * n_act : NULL);
                    for (size_t i = first; i < first + (size_t)n; i++)
                        if (memcmp(a.rows[i], alone[i], bytes) != 0)
                            ck_abort_msg("kind %zu: row %zu differs in a batch of %d", k, i, n);
                }
        }
        acting_destroy(&a);
    }
}
END_TEST

START_TEST(every_head_draws_what_it_needs)
{
    for EACH_KIND(k) {
        struct acting a;
        struct rng rng, other;
        float noise[8], normals[8];
        const size_t n_act = (size_t)kinds[k].row.n_act;
        acting_create(&a, &kinds[k]);
        rng_init(&rng, 9, RNG_ACTION, 0, 0);
        other = rng;
        for (int t = 0; t < 1000; t++) {
            uint64_t before = rng.position;
            policy_draw(a.policy, &rng, noise);
            if (kinds[k].head == HEAD_CATEGORICAL) {
                ck_assert(noise[0] >= 0 && noise[0] < 1);
                ck_assert_uint_eq(rng.position, before + 1);
            } else if (kinds[k].head == HEAD_DETERMINISTIC) {
                for (size_t j = 0; j < n_act; j++)
                    ck_assert(noise[j] == 0);
                ck_assert_uint_eq(rng.position, before);
            } else {
                rng_fill_normal(&other, normals, n_act);
                ck_assert_mem_eq(noise, normals, n_act * sizeof(float));
            }
        }
        acting_destroy(&a);
    }
}
END_TEST

START_TEST(discrete_actions_fit_the_categorical_head_alone)
{
    for (int head = 0; head < N_POLICY_HEADS; head++) {
        bool is_categorical = head == HEAD_CATEGORICAL;
        ck_assert(policy_head_fits((enum policy_head)head, 1, 2) == is_categorical);
        ck_assert(policy_head_fits((enum policy_head)head, 1, 0) == !is_categorical);
        ck_assert(policy_head_fits((enum policy_head)head, 3, 0) == !is_categorical);
        ck_assert(!policy_head_fits((enum policy_head)head, 2, 3));
        ck_assert(!policy_head_fits((enum policy_head)head, 0, 0));
        enum policy_head found;
        ck_assert_int_eq(policy_head_find(policy_head_name((enum policy_head)head), &found, NULL), 0);
        ck_assert_int_eq(found, head);
    }
}
END_TEST

/* ---- files ---- */

static const char *path_of(const char *name)
{
    static char directory[256], path[512];
    if (!*directory)
        test_directory("policy_heads", directory, sizeof(directory));
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

START_TEST(every_policy_is_loaded_bit_for_bit)
{
    for EACH_KIND(k) {
        struct acting a;
        struct policy_shape shape;
        struct error err;
        float *params = NULL;
        acting_create(&a, &kinds[k]);
        const char *path = path_of("policy");
        ck_assert_msg(policy_save(path, &a.shape, a.params, NULL, 0, &err) == 0, "%s", err.text);
        ck_assert_msg(policy_load(path, &shape, &params, &err) == 0, "kind %zu: %s", k, err.text);
        ck_assert_mem_eq(&shape, &a.shape, sizeof(shape));
        ck_assert_mem_eq(params, a.params, a.n_params * sizeof(float));
        free(params);
        acting_destroy(&a);
    }
}
END_TEST

/* A file of this policy, taken apart. */
struct parts {
    struct safetensors *file;
    struct tensor tensors[48];
    int n_tensors;
    struct tensor_metadata metadata[4];
};

static struct parts parts_of(const struct kind *kind)
{
    static const char *const keys[] = { "activation", "head", "n_act", "n_choices" };
    struct acting a;
    struct parts p = { 0 };
    acting_create(&a, kind);
    ck_assert_int_eq(policy_save(path_of("whole"), &a.shape, a.params, NULL, 0, NULL), 0);
    ck_assert_int_eq(safetensors_open(&p.file, path_of("whole"), NULL), 0);
    for (; p.n_tensors < safetensors_count(p.file); p.n_tensors++)
        p.tensors[p.n_tensors] = *safetensors_get(p.file, p.n_tensors);
    for (int i = 0; i < 4; i++)
        p.metadata[i] = (struct tensor_metadata){ keys[i], safetensors_metadata(p.file, keys[i]) };
    acting_destroy(&a);
    return p;
}

/* The names of a tensor that a kind has. */
static struct tensor *part(struct parts *p, const char *name)
{
    for (int i = 0; i < p->n_tensors; i++)
        if (strcmp(p->tensors[i].name, name) == 0)
            return &p->tensors[i];
    ck_abort_msg("no tensor %s", name);
}

static int load_parts(struct parts *p, struct error *err)
{
    struct policy_shape shape;
    float *params = NULL;
    const char *path = path_of("parts");
    ck_assert_int_eq(safetensors_write(path, p->tensors, p->n_tensors, p->metadata, 4, err), 0);
    int rc = policy_load(path, &shape, &params, err);
    ck_assert((rc == 0) == (params != NULL));
    ck_assert(rc == 0 || strstr(err->text, path) != NULL);
    free(params);
    safetensors_close(&p->file);
    return rc;
}

static void expect_refused(struct parts *p, const char *words)
{
    struct error err = { 0 };
    ck_assert_msg(load_parts(p, &err) != 0, "accepted, but should say: %s", words);
    ck_assert_msg(strstr(err.text, words) != NULL, "it says: %s", err.text);
}

static const struct kind normed = { HEAD_GAUSSIAN, { 3, 2 }, 0, 2, ACTIVATION_TANH, true, true };
static const struct kind choosing = { HEAD_CATEGORICAL, { 4, 1 }, 3, 2, ACTIVATION_RELU, false, false };
static const struct kind plain = { HEAD_DETERMINISTIC, { 3, 2 }, 0, 2, ACTIVATION_RELU, false, false };

START_TEST(files_that_lack_something_are_refused)
{
    static const char *const names[] = {
        "policy.0.norm.bias", "policy.1.norm.weight", "policy.1.norm.bias", "policy.log_sigma",
        "policy.2.bias", "observation.inverse_std",
    };
    struct error err;
    struct parts p = parts_of(&normed);
    ck_assert_msg(load_parts(&p, &err) == 0, "%s", err.text);
    for (size_t i = 0; i < TEST_COUNT(names); i++) {
        p = parts_of(&normed);
        *part(&p, names[i]) = p.tensors[p.n_tensors - 1];
        p.n_tensors--;
        expect_refused(&p, names[i]);
        p = parts_of(&normed);
        part(&p, names[i])->dims[0]++;
        expect_refused(&p, names[i]);
    }
}
END_TEST

START_TEST(files_that_hold_more_are_refused)
{
    static const char *const names[] = { "policy.log_sigma", "policy.0.norm.weight", "policy.1.norm.weight",
                                         "policy.2.norm.bias", "policy.3.bias", "value.0.weight",
                                         "observation.inverse_std" };
    static const float numbers[64];
    struct error err;
    struct parts p = parts_of(&plain);
    ck_assert_msg(load_parts(&p, &err) == 0, "%s", err.text);
    for (size_t i = 0; i < TEST_COUNT(names); i++) {
        p = parts_of(&plain);
        struct tensor *t = &p.tensors[p.n_tensors++];
        *t = (struct tensor){ .type = TENSOR_F32, .n_dims = 1, .dims = { 33 }, .data = numbers };
        snprintf(t->name, sizeof(t->name), "%s", names[i]);
        ck_assert_int_ne(load_parts(&p, &err), 0);
    }
}
END_TEST

START_TEST(heads_that_do_not_fit_are_refused)
{
    static const struct { int which; const char *value; } wrong[] = {
        { 3, "2" }, { 3, "4" }, { 3, "0" }, { 3, "-3" }, { 3, "3 " }, { 3, "" }, { 3, "99999999999" },
        { 2, "2" }, { 2, "3" }, { 1, "gaussian" }, { 1, "deterministic" }, { 1, "squashed_gaussian" },
    };
    struct error err;
    struct parts p = parts_of(&choosing);
    ck_assert_msg(load_parts(&p, &err) == 0, "%s", err.text);
    for (size_t i = 0; i < TEST_COUNT(wrong); i++) {
        p = parts_of(&choosing);
        p.metadata[wrong[i].which].value = wrong[i].value;
        expect_refused(&p, "n_choices");
    }
    p = parts_of(&choosing);    /* a file from before there were choices holds none */
    p.metadata[3].key = "other";
    expect_refused(&p, "\"categorical\"");
    p = parts_of(&plain);
    p.metadata[3].key = "other";
    ck_assert_msg(load_parts(&p, &err) == 0, "%s", err.text);
    p = parts_of(&plain);
    p.metadata[3].value = "2";
    expect_refused(&p, "n_choices \"2\"");
    p = parts_of(&plain);    /* as many outputs, but then log sigma is missing */
    p.metadata[1].value = "gaussian";
    expect_refused(&p, "policy.log_sigma");
}
END_TEST

START_TEST(a_log_sigma_that_is_not_finite_is_refused)
{
    const float bad[] = { 0, NAN };
    struct parts p = parts_of(&normed);
    part(&p, "policy.log_sigma")->data = bad;
    expect_refused(&p, "not finite");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        vectors_are_network_then_head_then_statistics, the_reference_is_what_the_learner_computes,
        a_deterministic_action_is_bit_for_bit_what_the_learner_computes,
        without_noise_the_action_is_the_mode_and_has_no_log_prob,
        gaussian_actions_are_mean_and_noise_and_log_prob_is_their_density,
        squashed_actions_have_the_density_of_what_is_squashed_over_its_slope,
        categorical_choices_come_as_often_as_their_probabilities,
        noise_is_added_to_deterministic_actions_within_the_bounds,
        an_action_depends_on_its_own_row_only,
        every_head_draws_what_it_needs,
        discrete_actions_fit_the_categorical_head_alone,
        every_policy_is_loaded_bit_for_bit,
        files_that_lack_something_are_refused,
        files_that_hold_more_are_refused,
        heads_that_do_not_fit_are_refused,
        a_log_sigma_that_is_not_finite_is_refused,
    };
    return suite_run("policy_heads", tests, TEST_COUNT(tests), 60);
}
