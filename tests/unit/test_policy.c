/* Acting: the policy head and policy files. */
#include "common/policy.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/rng.h"
#include "common/squashed_gaussian.h"
#include "tests/support.h"

enum { MAX_BATCH = 64, MAX_WIDTH = 256 };

static void fill(struct rng *rng, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)rng_normal(rng);
}

/* ---- acting ---- */

struct acting {
    struct arena *arena;
    struct policy_shape shape;
    struct policy *policy;
    float *params;
    int stride;
    float *rows[MAX_BATCH];                       /* observations filled */
    float noise[MAX_BATCH * 6];
    const float *out;                             /* [MAX_BATCH][2 n_act] by mlp_forward */
};

static void acting_create(struct acting *a, enum activation activation, struct row_shape row)
{
    const struct mlp_body body = { 2, { 33, 17 }, activation, false };
    struct mlp_cache cache;
    struct rng rng;
    memset(a, 0, sizeof(*a));
    rng_init(&rng, 3, RNG_TEST, 0, 0);
    a->arena = arena_create(1 << 16);
    a->shape = policy_shape_make(HEAD_SQUASHED_GAUSSIAN, &body, row, 0);
    size_t n = policy_n_params(&a->shape);
    ck_assert_uint_eq(n, (size_t)(row.n_obs + 1) * 33 + 34 * 17 + 18 * 2 * (size_t)row.n_act);
    a->policy = policy_create(&a->shape, MAX_BATCH, a->arena);
    a->params = arena_alloc(a->arena, n, sizeof(float));
    fill(&rng, a->params, n);
    for (size_t i = 0; i < n; i++)
        a->params[i] *= 0.25f;
    policy_set(a->policy, a->params);
    a->stride = row_stride(row);
    float *block = arena_alloc(a->arena, (size_t)(MAX_BATCH * a->stride), sizeof(float));
    for (int i = 0; i < MAX_BATCH; i++) {
        a->rows[i] = block + (size_t)i * (size_t)a->stride;
        fill(&rng, a->rows[i], (size_t)row.n_obs);
    }
    fill(&rng, a->noise, (size_t)(MAX_BATCH * row.n_act));
    mlp_cache_init(&cache, &a->shape.net, MAX_BATCH, NULL, a->arena);
    a->out = mlp_forward(&a->shape.net, a->params, MAX_BATCH, block, a->stride, &cache);
}

static void acting_destroy(struct acting *a)
{
    arena_destroy(&a->arena);
}

static const struct { enum activation activation; struct row_shape row; } actings[] = {
    { ACTIVATION_RELU, { 3, 1 } }, { ACTIVATION_TANH, { 4, 1 } }, { ACTIVATION_RELU, { 17, 6 } },
    { ACTIVATION_TANH, { 1, 3 } },
};

START_TEST(actions_agree_with_the_networks_the_learner_trains)
{
    for (size_t k = 0; k < TEST_COUNT(actings); k++) {
        struct acting a;
        acting_create(&a, actings[k].activation, actings[k].row);
        int n_act = a.shape.row.n_act;
        float act[MAX_BATCH * 6], log_prob[MAX_BATCH];
        squashed_gaussian_sample(MAX_BATCH, n_act, a.out, a.noise, n_act, act, n_act, log_prob);
        policy_act(a.policy, MAX_BATCH, a.rows, a.noise);
        for (int i = 0; i < MAX_BATCH; i++) {
            const float *row = a.rows[i];
            for (int j = 0; j < n_act; j++)
                ck_assert_double_eq_tol((double)row[row_act(a.shape.row) + j],
                                        (double)act[i * n_act + j], 1e-5);
            ck_assert_double_eq_tol((double)row[row_log_prob(a.shape.row)], (double)log_prob[i],
                                    1e-5 * (1 + fabs((double)log_prob[i])));
        }
        acting_destroy(&a);
    }
}
END_TEST

START_TEST(without_noise_the_action_is_the_mean_and_has_no_log_prob)
{
    for (size_t k = 0; k < TEST_COUNT(actings); k++) {
        struct acting a;
        acting_create(&a, actings[k].activation, actings[k].row);
        int n_act = a.shape.row.n_act;
        for (int i = 0; i < MAX_BATCH; i++)
            a.rows[i][row_log_prob(a.shape.row)] = 7;
        policy_act(a.policy, MAX_BATCH, a.rows, NULL);
        for (int i = 0; i < MAX_BATCH; i++) {
            for (int j = 0; j < n_act; j++)
                ck_assert_double_eq_tol((double)a.rows[i][row_act(a.shape.row) + j],
                                        tanh((double)a.out[2 * n_act * i + j]), 1e-5);
            ck_assert(a.rows[i][row_log_prob(a.shape.row)] == 0);
        }
        acting_destroy(&a);
    }
}
END_TEST

/* log pi(a) by the change of variables: the Gaussian's density at artanh(a), divided by 1 - a^2. */
static double density_by_definition(const float *out, const float *act, int n_act)
{
    double sum = 0;
    for (int j = 0; j < n_act; j++) {
        double a = (double)act[j], u = atanh(a);
        double log_sigma = fmin(fmax((double)out[n_act + j], LOG_SIGMA_MIN), LOG_SIGMA_MAX);
        double z = (u - (double)out[j]) / exp(log_sigma);
        sum += -z * z / 2 - log_sigma - log(2 * acos(-1.0)) / 2 - log(1 - a * a);
    }
    return sum;
}

START_TEST(log_prob_is_the_density_of_the_action_taken)
{
    for (size_t k = 0; k < TEST_COUNT(actings); k++) {
        struct acting a;
        int n_checked = 0;
        acting_create(&a, actings[k].activation, actings[k].row);
        int n_act = a.shape.row.n_act;
        policy_act(a.policy, MAX_BATCH, a.rows, a.noise);
        for (int i = 0; i < MAX_BATCH; i++) {
            const float *act = a.rows[i] + row_act(a.shape.row);
            bool is_inside = true;    /* float32 forgets u where tanh is flat */
            for (int j = 0; j < n_act; j++)
                is_inside &= fabs((double)act[j]) < 0.99;
            if (!is_inside)
                continue;
            n_checked++;
            double expected = density_by_definition(a.out + (size_t)(2 * n_act * i), act, n_act);
            ck_assert_double_eq_tol((double)a.rows[i][row_log_prob(a.shape.row)], expected, 2e-3);
        }
        ck_assert_int_gt(n_checked, 8);
        acting_destroy(&a);
    }
}
END_TEST

START_TEST(an_action_depends_on_its_own_row_only)
{
    for (size_t k = 0; k < TEST_COUNT(actings); k++) {
        struct acting a;
        float alone[MAX_BATCH][32];
        acting_create(&a, actings[k].activation, actings[k].row);
        size_t n_act = (size_t)a.shape.row.n_act, bytes = (size_t)a.stride * sizeof(float);
        for (size_t i = 0; i < MAX_BATCH; i++) {
            policy_act(a.policy, 1, &a.rows[i], a.noise + i * n_act);
            memcpy(alone[i], a.rows[i], bytes);
        }
        for (int n = 1; n <= MAX_BATCH; n++)
            for (size_t first = 0; first + (size_t)n <= MAX_BATCH; first += 9) {
                policy_act(a.policy, n, a.rows + first, a.noise + first * n_act);
                for (size_t i = first; i < first + (size_t)n; i++)
                    if (memcmp(a.rows[i], alone[i], bytes) != 0)
                        ck_abort_msg("row %zu differs in a batch of %d from %zu", i, n, first);
            }
        acting_destroy(&a);
    }
}
END_TEST

START_TEST(parameters_may_come_from_any_address)
{
    struct acting a;
    acting_create(&a, ACTIVATION_RELU, (struct row_shape){ 3, 1 });
    size_t bytes = policy_n_params(&a.shape) * sizeof(float);
    struct policy *other = policy_create(&a.shape, 1, a.arena);
    for (size_t shift = 0; shift < sizeof(float); shift++) {
        char *frame = malloc(bytes + shift);
        memcpy(frame + shift, a.params, bytes);
        policy_set(other, frame + shift);
        ck_assert_mem_eq(policy_params(other), a.params, bytes);
        free(frame);
    }
    ck_assert_int_eq(policy_shape_of(other)->net.width[1], 33);
    acting_destroy(&a);
}
END_TEST

START_TEST(unknown_heads_and_activations_are_named)
{
    enum policy_head head;
    enum activation activation;
    struct error err;
    ck_assert_int_eq(policy_head_find("laplace", &head, &err), ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "\"laplace\""));
    ck_assert_int_eq(activation_find("gelu", &activation, &err), ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "\"gelu\""));
}
END_TEST

/* ---- files ---- */

static char directory[256];

static const char *path_of(const char *name)
{
    static char paths[2][512];
    static int turn;
    char *path = paths[turn++ % 2];
    if (!*directory)
        test_directory("policy", directory, sizeof(directory));
    snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
    return path;
}

static const struct tensor_metadata about[] = { { "environment", "Pendulum-v1" } };

static void save(const struct acting *a, const char *path)
{
    struct error err;
    ck_assert_msg(policy_save(path, &a->shape, a->params, about, 1, &err) == 0,
                  "%s", err.text);
}

START_TEST(a_saved_policy_is_loaded_bit_for_bit)
{
    for (size_t k = 0; k < TEST_COUNT(actings); k++) {
        struct acting a;
        struct policy_shape shape;
        struct error err;
        float *params = NULL;
        acting_create(&a, actings[k].activation, actings[k].row);
        a.params[0] = -0.0f;
        a.params[1] = 1e-45f;
        const char *path = path_of("policy.safetensors");
        save(&a, path);
        ck_assert_msg(policy_load(path, &shape, &params, &err) == 0, "%s", err.text);
        ck_assert_int_eq(shape.row.n_obs, a.shape.row.n_obs);
        ck_assert_int_eq(shape.row.n_act, a.shape.row.n_act);
        ck_assert_int_eq(shape.net.n_layers, 3);
        ck_assert_int_eq(shape.net.activation, a.shape.net.activation);
        for (int l = 0; l <= 3; l++)
            ck_assert_int_eq(shape.net.width[l], a.shape.net.width[l]);
        ck_assert_mem_eq(params, a.params, policy_n_params(&shape) * sizeof(float));
        free(params);
        acting_destroy(&a);
    }
}
END_TEST

START_TEST(normalising_policy_is_the_plain_one_on_normalised_observations)
{
    struct acting a;
    struct error err;
    acting_create(&a, ACTIVATION_RELU, (struct row_shape){ 4, 2 });
    const size_t n_plain = policy_n_params(&a.shape);
    struct policy_shape shape = a.shape, loaded;
    shape.normalises = true;
    ck_assert_uint_eq(policy_n_params(&shape), n_plain + 2 * 4);
    struct policy *p = policy_create(&shape, MAX_BATCH, a.arena);
    float *params = malloc(policy_n_params(&shape) * sizeof(float)), *again = NULL;
    const float mean[] = { 0.5f, -2, 0, 1 }, inverse_std[] = { 2, 0.25f, 1000, 0.1f };
    memcpy(params, a.params, n_plain * sizeof(float));
    memcpy(params + n_plain, mean, sizeof(mean));
    memcpy(params + n_plain + 4, inverse_std, sizeof(inverse_std));

    /* Through a file, as eval and resume take it. */
    const char *path = path_of("normalising");
    ck_assert_int_eq(policy_save(path, &shape, params, NULL, 0, &err), 0);
    ck_assert_msg(policy_load(path, &loaded, &again, &err) == 0, "%s", err.text);
    ck_assert(loaded.normalises);
    ck_assert_mem_eq(params, again, policy_n_params(&shape) * sizeof(float));
    policy_set(p, again);

    for (int i = 0; i < 8; i++) {
        float raw[9], plain[9], *one = raw, *two = plain;
        memcpy(raw, a.rows[i], sizeof(raw));
        memcpy(plain, raw, sizeof(plain));
        for (int k = 0; k < 4; k++)
            plain[k] = fminf(fmaxf((raw[k] - mean[k]) * inverse_std[k], -10), 10);
        policy_act(p, 1, &one, a.noise);
        policy_act(a.policy, 1, &two, a.noise);
        ck_assert_mem_eq(raw + 4, plain + 4, 2 * sizeof(float));
        ck_assert_mem_eq(raw, a.rows[i], 4 * sizeof(float));    /* rows stay raw */
    }
    free(params);
    free(again);
    acting_destroy(&a);
}
END_TEST

START_TEST(equal_policies_make_equal_files)
{
    struct acting a;
    size_t n_first, n_second;
    acting_create(&a, ACTIVATION_RELU, (struct row_shape){ 3, 1 });
    save(&a, path_of("first"));
    save(&a, path_of("second"));
    char *first = test_read(path_of("first"), &n_first);
    char *second = test_read(path_of("second"), &n_second);
    ck_assert_uint_eq(n_first, n_second);
    ck_assert_mem_eq(first, second, n_first);
    ck_assert_ptr_null(strstr(first + 8, directory));
    free(second);
    a.params[5] += 1;
    save(&a, path_of("second"));
    second = test_read(path_of("second"), &n_second);
    ck_assert_mem_ne(first, second, n_first);
    free(first);
    free(second);
    acting_destroy(&a);
}
END_TEST

/* A network 2 -> 3 -> 2 whose parameters count 0, 1, 2, ...: in a file the weights stand as
 * PyTorch's linear layers keep them, [out][in]. */
START_TEST(weights_stand_in_the_file_as_pytorch_keeps_them)
{
    static const float expected[] = {
        0, 3, 1, 4, 2, 5,             /* weight [3][2] of [[0 1 2] [3 4 5]] */
        6, 7, 8,                      /* bias */
        9, 11, 13, 10, 12, 14,        /* weight [2][3] of [[9 10] [11 12] [13 14]] */
        15, 16,
    };
    const struct mlp_body body = { 1, { 3 }, ACTIVATION_RELU, false };
    float params[17], found[17];
    struct policy_shape shape;
    struct error err;
    uint64_t header;
    size_t bytes;
    for (int i = 0; i < 17; i++)
        params[i] = (float)i;
    shape = policy_shape_make(HEAD_SQUASHED_GAUSSIAN, &body, (struct row_shape){ 2, 1 }, 0);
    ck_assert_int_eq(policy_save(path_of("counting"), &shape, params, NULL, 0, &err), 0);
    char *raw = test_read(path_of("counting"), &bytes);
    memcpy(&header, raw, sizeof(header));
    ck_assert_uint_eq(bytes, sizeof(header) + header + sizeof(expected));
    memcpy(found, raw + sizeof(header) + header, sizeof(found));
    ck_assert_mem_eq(found, expected, sizeof(expected));
    free(raw);

    struct safetensors *file;
    ck_assert_int_eq(safetensors_open(&file, path_of("counting"), &err), 0);
    const struct tensor *t = safetensors_find(file, "policy.0.weight");
    ck_assert(t && t->n_dims == 2 && t->dims[0] == 3 && t->dims[1] == 2);
    ck_assert(((const float *)t->data)[1 * 2 + 0] == params[0 * 3 + 1]);
    ck_assert_str_eq(safetensors_metadata(file, "head"), "squashed_gaussian");
    ck_assert_str_eq(safetensors_metadata(file, "activation"), "relu");
    ck_assert_str_eq(safetensors_metadata(file, "n_act"), "1");
    ck_assert_int_eq(safetensors_count(file), 4);
    safetensors_close(&file);
}
END_TEST

/* A usable file for a network 2 -> 3 -> 2, to be spoilt. */
struct parts {
    struct tensor tensors[4];
    int n_tensors;
    struct tensor_metadata metadata[3];
    int n_metadata;
};
static float numbers[32];

static struct parts usable_parts(void)
{
    for (size_t i = 0; i < TEST_COUNT(numbers); i++)
        numbers[i] = 0.5f;
    return (struct parts){
        .tensors = {
            { "policy.0.weight", TENSOR_F32, 2, { 3, 2 }, numbers },
            { "policy.0.bias", TENSOR_F32, 1, { 3 }, numbers },
            { "policy.1.weight", TENSOR_F32, 2, { 2, 3 }, numbers },
            { "policy.1.bias", TENSOR_F32, 1, { 2 }, numbers },
        },
        .n_tensors = 4,
        .metadata = { { "activation", "relu" }, { "head", "squashed_gaussian" }, { "n_act", "1" } },
        .n_metadata = 3,
    };
}

/* Loading must fail with one sentence that names the file and says `words`. */
static void expect_refused(const struct parts *p, const char *words)
{
    struct policy_shape shape;
    struct error err = { 0 };
    float *params = NULL;
    const char *path = path_of("broken");
    ck_assert_int_eq(safetensors_write(path, p->tensors, p->n_tensors, p->metadata, p->n_metadata,
                                       &err), 0);
    int rc = policy_load(path, &shape, &params, &err);
    ck_assert_msg(rc != 0, "accepted, but should say: %s", words);
    ck_assert_int_eq(rc, err.code);
    ck_assert_msg(strstr(err.text, words) != NULL, "it says: %s", err.text);
    ck_assert_msg(strstr(err.text, path) != NULL, "it says: %s", err.text);
    ck_assert_ptr_null(params);
}

START_TEST(the_file_that_the_next_tests_spoil_is_usable)
{
    struct parts p = usable_parts();
    struct policy_shape shape;
    struct error err;
    float *params = NULL;
    ck_assert_int_eq(safetensors_write(path_of("usable"), p.tensors, 4, p.metadata, 3, &err), 0);
    ck_assert_msg(policy_load(path_of("usable"), &shape, &params, &err) == 0, "%s", err.text);
    free(params);
}
END_TEST

START_TEST(layers_that_do_not_fit_are_refused)
{
    struct parts p = usable_parts();
    p.tensors[2].dims[1] = 4;    /* 2 x 4 behind 3 outputs */
    expect_refused(&p, "\"policy.1.weight\"");
    p = usable_parts();
    p.tensors[0].n_dims = 1;
    expect_refused(&p, "\"policy.0.weight\"");
    p = usable_parts();
    p.tensors[0].type = TENSOR_I64;
    expect_refused(&p, "\"policy.0.weight\"");
    p = usable_parts();
    p.tensors[0].dims[1] = 0;
    expect_refused(&p, "\"policy.0.weight\"");
    p = usable_parts();
    p.tensors[1].dims[0] = 4;
    expect_refused(&p, "\"policy.0.bias\"");
    p = usable_parts();
    p.tensors[2].dims[0] = 3;    /* three outputs are not mean and log sigma of one action */
    p.tensors[3].dims[0] = 3;
    expect_refused(&p, "n_act");
}
END_TEST

START_TEST(missing_layers_are_refused)
{
    struct parts p = usable_parts();
    p.n_tensors = 3;
    expect_refused(&p, "\"policy.1.bias\"");
    p = usable_parts();
    p.tensors[0].name[0] = 'P';
    expect_refused(&p, "not a policy");
    p = usable_parts();
    p.n_tensors = 0;
    expect_refused(&p, "not a policy");
}
END_TEST

START_TEST(missing_or_wrong_metadata_are_refused)
{
    for (int i = 0; i < 3; i++) {
        struct parts p = usable_parts();
        p.metadata[i] = p.metadata[2];
        p.n_metadata = 2;
        if (i == 2)
            p.metadata[2].key = "other";
        expect_refused(&p, "metadata");
    }
    struct parts p = usable_parts();
    p.metadata[0].value = "gelu";
    expect_refused(&p, "\"gelu\"");
    p = usable_parts();
    p.metadata[1].value = "categorical";
    expect_refused(&p, "\"categorical\"");
    static const char *const n_acts[] = { "0", "2", "-1", "one", "" };
    for (size_t i = 0; i < TEST_COUNT(n_acts); i++) {
        p = usable_parts();
        p.metadata[2].value = n_acts[i];
        expect_refused(&p, "n_act");
    }
}
END_TEST

START_TEST(numbers_that_are_not_finite_are_refused)
{
    static const float bad[] = { NAN, INFINITY, -INFINITY };
    float block[6] = { 0 };
    for (size_t k = 0; k < TEST_COUNT(bad); k++)
        for (int t = 0; t < 4; t++) {
            struct parts p = usable_parts();
            p.tensors[t].data = block;
            int last = (int)tensor_count(&p.tensors[t]) - 1;
            block[last] = bad[k];
            expect_refused(&p, "not finite");
            block[last] = 0;
        }
}
END_TEST

START_TEST(files_that_are_no_policies_are_refused)
{
    struct policy_shape shape;
    struct error err;
    float *params = NULL;
    ck_assert_int_eq(policy_load(path_of("nowhere"), &shape, &params, &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "nowhere"));
    test_write(path_of("text"), "these are not tensors", 21);
    ck_assert_int_eq(policy_load(path_of("text"), &shape, &params, &err), ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "text"));
    ck_assert_ptr_null(params);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        actions_agree_with_the_networks_the_learner_trains,
        without_noise_the_action_is_the_mean_and_has_no_log_prob,
        log_prob_is_the_density_of_the_action_taken,
        an_action_depends_on_its_own_row_only,
        parameters_may_come_from_any_address,
        unknown_heads_and_activations_are_named,
        a_saved_policy_is_loaded_bit_for_bit,
        normalising_policy_is_the_plain_one_on_normalised_observations,
        equal_policies_make_equal_files,
        weights_stand_in_the_file_as_pytorch_keeps_them,
        the_file_that_the_next_tests_spoil_is_usable,
        layers_that_do_not_fit_are_refused,
        missing_layers_are_refused,
        missing_or_wrong_metadata_are_refused,
        numbers_that_are_not_finite_are_refused,
        files_that_are_no_policies_are_refused,
    };
    return suite_run("policy", tests, TEST_COUNT(tests), 60);
}
