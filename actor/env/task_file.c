#include "actor/env/task_file.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/env/mujoco_task.h"
#include "common/digest.h"
#include "common/document.h"
#include "common/file.h"
#include "common/text.h"

enum { FILE_DEPTH = 4, SHOWN = 60 };    /* a mapping of lists of mappings of lists */

/* The file, and what was read before the model was loaded. */
struct task_file {
    struct document *document;
    const struct node *root;
    struct error *err;
};

/* ---- values ---- */

/* Whether `key` is among the words, separated by '|'; otherwise the error names the nearest. */
static int check_word(const struct task_file *f, const struct node *key, const char *what,
                      const char *words)
{
    char list[512];
    const char *names[32], *near;
    int n = 0;
    if (strlen(key->text) != key->bytes)
        return document_fail(f->document, key, f->err, "a %s with a NUL character", what);
    snprintf(list, sizeof(list), "%s", words);
    for (char *save = NULL, *w = strtok_r(list, "|", &save); w; w = strtok_r(NULL, "|", &save)) {
        assert(n < 32);
        names[n++] = w;
        if (strcmp(w, key->text) == 0)
            return 0;
    }
    near = nearest_word(key->text, names, n);
    if (near)
        return document_fail(f->document, key, f->err, "unknown %s \"%.*s\"; did you mean \"%s\"?",
                             what, SHOWN, key->text, near);
    return document_fail(f->document, key, f->err, "unknown %s \"%.*s\"; possible are %s", what,
                         SHOWN, key->text, words);
}

static int check_keys(const struct task_file *f, const struct node *mapping, const char *words)
{
    for (const struct node *key = mapping->first; key; key = key->next)
        if (check_word(f, key, "key", words) != 0)
            return ERR_CONFIG;
    return 0;
}

static int need_kind(const struct task_file *f, const struct node *node, enum node_kind kind,
                     const char *what)
{
    static const char *const names[] = { "one value", "a list", "a mapping" };
    if (node->kind == kind)
        return 0;
    return document_fail(f->document, node, f->err, "%s: expected %s, found %s", what, names[kind],
                         names[node->kind]);
}

/* A number; `.inf` and `-.inf` too when `may_be_infinite`. */
static int read_number(const struct task_file *f, const struct node *node, const char *what,
                       bool may_be_infinite, double *out)
{
    if (need_kind(f, node, NODE_SCALAR, what) != 0)
        return ERR_CONFIG;
    const bool is_minus = strcmp(node->text, "-.inf") == 0;
    if (is_minus || strcmp(node->text, ".inf") == 0 || strcmp(node->text, "+.inf") == 0) {
        *out = is_minus ? -INFINITY : INFINITY;
    } else {
        char *end;
        *out = strtod(node->text, &end);
        if (node->is_quoted || node->bytes == 0 || *end || end != node->text + node->bytes
            || !isfinite(*out) || strpbrk(node->text, "xXnN "))
            return document_fail(f->document, node, f->err, "%s: expected a number, found "
                                 "\"%.*s\"", what, SHOWN, node->text);
    }
    if (!may_be_infinite && !isfinite(*out))
        return document_fail(f->document, node, f->err, "%s: a finite number is needed", what);
    return 0;
}

/* The optional integer `key` of a mapping. */
static int read_integer(const struct task_file *f, const struct node *mapping, const char *key,
                        int min, int max, int *out)
{
    const struct node *node = document_find(mapping, key);
    double x;
    if (!node)
        return 0;
    int rc = read_number(f, node, key, false, &x);
    if (rc == 0 && (x < min || x > max || x != floor(x)))
        rc = document_fail(f->document, node, f->err, "%s: expected an integer from %d to %d, "
                           "found \"%.*s\"", key, min, max, SHOWN, node->text);
    if (rc == 0)
        *out = (int)x;
    return rc;
}

static int read_real(const struct task_file *f, const struct node *mapping, const char *key,
                     double *out)
{
    const struct node *node = document_find(mapping, key);
    return node ? read_number(f, node, key, false, out) : 0;
}

static int read_bool(const struct task_file *f, const struct node *mapping, const char *key,
                     bool *out)
{
    const struct node *node = document_find(mapping, key);
    if (!node)
        return 0;
    if (node->kind != NODE_SCALAR || node->is_quoted
        || (strcmp(node->text, "true") != 0 && strcmp(node->text, "false") != 0))
        return document_fail(f->document, node, f->err, "%s: expected true or false", key);
    *out = strcmp(node->text, "true") == 0;
    return 0;
}

/* The optional pair `key: [low, high]`. */
static int read_range(const struct task_file *f, const struct node *mapping, const char *key,
                      bool *is_given, double *low, double *high)
{
    const struct node *node = document_find(mapping, key);
    *is_given = node != NULL;
    if (!node)
        return 0;
    if (node->kind != NODE_LIST || node->n != 2)
        return document_fail(f->document, node, f->err, "%s: expected a list of two numbers, "
                             "[low, high]", key);
    int rc = read_number(f, node->first, key, true, low);
    if (rc == 0)
        rc = read_number(f, node->first->next, key, true, high);
    if (rc == 0 && *low > *high)
        rc = document_fail(f->document, node, f->err, "%s: the lower end is above the upper one",
                           key);
    return rc;
}

/* The list `key` of the file; NULL when it is not there. */
static int find_list(const struct task_file *f, const char *key, const struct node **list)
{
    *list = document_find(f->root, key);
    if (!*list)
        return 0;
    int rc = need_kind(f, *list, NODE_LIST, key);
    if (rc == 0 && (*list)->n > TASK_MAX_TERMS)
        rc = document_fail(f->document, *list, f->err, "%s has %d terms; at most %d are possible",
                           key, (*list)->n, TASK_MAX_TERMS);
    for (const struct node *term = rc == 0 ? (*list)->first : NULL; term && rc == 0;
         term = term->next)
        rc = need_kind(f, term, NODE_MAPPING, key);
    return rc;
}

/* ---- operands ---- */

#define OPERAND_KEYS "source|from|count|body|site|joint|minus"

static const struct {
    const char *name;
    enum term_source source;
} sources[] = {
    { "qpos", SOURCE_QPOS }, { "qvel", SOURCE_QVEL }, { "ctrl", SOURCE_CTRL },
    { "qfrc_actuator", SOURCE_QFRC_ACTUATOR }, { "qfrc_constraint", SOURCE_QFRC_CONSTRAINT },
    { "cinert", SOURCE_CINERT }, { "cvel", SOURCE_CVEL }, { "cfrc_ext", SOURCE_CFRC_EXT },
    { "body_position", SOURCE_XPOS }, { "site_position", SOURCE_SITE_XPOS },
    { "sensordata", SOURCE_SENSORDATA }, { "centre_of_mass", SOURCE_CENTRE_OF_MASS },
};
#define SOURCE_WORDS \
    "qpos|qvel|ctrl|qfrc_actuator|qfrc_constraint|cinert|cvel|cfrc_ext|body_position|" \
    "site_position|sensordata|centre_of_mass"

static int read_source(const struct task_file *f, const struct node *term, enum term_source *out)
{
    const struct node *node = document_find(term, "source");
    if (!node)
        return document_fail(f->document, term, f->err, "this term needs a source, one of %s",
                             SOURCE_WORDS);
    int rc = need_kind(f, node, NODE_SCALAR, "source");
    if (rc == 0 && (strcmp(node->text, "xpos") == 0 || strcmp(node->text, "site_xpos") == 0))
        return document_fail(f->document, node, f->err, "MuJoCo's %s is called %s here", node->text,
                             node->text[0] == 'x' ? "body_position" : "site_position");
    if (rc == 0)
        rc = check_word(f, node, "source", SOURCE_WORDS);
    for (size_t i = 0; rc == 0 && i < sizeof(sources) / sizeof(*sources); i++)
        if (strcmp(sources[i].name, node->text) == 0)
            *out = sources[i].source;
    return rc;
}

/* The number of the named body, site or joint; the nearest name in the error. */
static int find_named(const struct task_file *f, const mjModel *m, const struct node *node,
                      mjtObj type, const char *what, int *id)
{
    if (need_kind(f, node, NODE_SCALAR, what) != 0)
        return ERR_CONFIG;
    *id = mj_name2id(m, type, node->text);
    if (*id >= 0)
        return 0;
    const char *names[256];
    int n = 0, total = type == mjOBJ_BODY ? (int)m->nbody : type == mjOBJ_SITE ? (int)m->nsite
                                                                               : (int)m->njnt;
    for (int i = 0; i < total && n < 256; i++) {
        const char *name = mj_id2name(m, type, i);
        if (name && *name)
            names[n++] = name;
    }
    const char *near = nearest_word(node->text, names, n);
    return document_fail(f->document, node, f->err, "the model has no %s \"%.*s\"%s%s%s", what,
                         SHOWN, node->text, near ? "; did you mean \"" : "", near ? near : "",
                         near ? "\"?" : "");
}

/* Where the named thing's numbers begin in the source, and how many they are. */
static int find_place(const struct task_file *f, const mjModel *m, const struct node *term,
                      enum term_source source, int *begin, int *size)
{
    static const char *const keys[] = { "body", "site", "joint" };
    static const mjtObj types[] = { mjOBJ_BODY, mjOBJ_SITE, mjOBJ_JOINT };
    const bool fits[] = {
        source == SOURCE_XPOS || source == SOURCE_CINERT || source == SOURCE_CVEL
            || source == SOURCE_CFRC_EXT,
        source == SOURCE_SITE_XPOS,
        source == SOURCE_QPOS || source == SOURCE_QVEL || source == SOURCE_QFRC_ACTUATOR
            || source == SOURCE_QFRC_CONSTRAINT,
    };
    *begin = 0;
    *size = term_source_size(m, source);
    for (int i = 0; i < 3; i++) {
        const struct node *node = document_find(term, keys[i]);
        int id;
        if (!node)
            continue;
        if (!fits[i])
            return document_fail(f->document, node, f->err, "%s has no meaning for this source",
                                 keys[i]);
        if (find_named(f, m, node, types[i], keys[i], &id) != 0)
            return ERR_CONFIG;
        if (i < 2) {
            *size = source == SOURCE_CINERT ? 10 : source == SOURCE_XPOS
                 || source == SOURCE_SITE_XPOS ? 3 : 6;
            *begin = id * *size;
        } else {
            static const int positions[] = { 7, 4, 1, 1 }, velocities[] = { 6, 3, 1, 1 };
            const bool is_position = source == SOURCE_QPOS;
            *begin = is_position ? m->jnt_qposadr[id] : m->jnt_dofadr[id];
            *size = (is_position ? positions : velocities)[m->jnt_type[id]];
        }
    }
    return 0;
}

static int read_minus(const struct task_file *f, const mjModel *m, const struct node *term,
                      int from, struct operand *out)
{
    const struct node *node = document_find(term, "minus");
    int id;
    if (!node)
        return 0;
    if (out->source != SOURCE_XPOS && out->source != SOURCE_SITE_XPOS)
        return document_fail(f->document, node, f->err, "minus needs body_position or "
                             "site_position as its source");
    const bool is_body = out->source == SOURCE_XPOS;
    if (!document_find(term, is_body ? "body" : "site"))
        return document_fail(f->document, node, f->err, "minus needs a %s to subtract from",
                             is_body ? "body" : "site");
    int rc = find_named(f, m, node, is_body ? mjOBJ_BODY : mjOBJ_SITE, is_body ? "body" : "site",
                        &id);
    out->is_difference = true;
    out->minus = 3 * id + from;
    return rc;
}

static int read_operand(const struct task_file *f, const mjModel *m, const struct node *term,
                        struct operand *out)
{
    int begin, size, from = 0, count = -1;
    *out = (struct operand){ 0 };
    int rc = read_source(f, term, &out->source);
    if (rc == 0)
        rc = find_place(f, m, term, out->source, &begin, &size);
    if (rc == 0 && size == 0)
        rc = document_fail(f->document, term, f->err, "the model has nothing of this source");
    if (rc == 0)
        rc = read_integer(f, term, "from", 0, size - 1, &from);
    if (rc == 0)
        rc = read_integer(f, term, "count", 1, size - from, &count);
    if (rc != 0)
        return rc;
    out->first = begin + from;
    out->n = count < 0 ? size - from : count;
    return read_minus(f, m, term, from, out);
}

/* ---- terms ---- */

static int read_observation(const struct task_file *f, const mjModel *m, const struct node *term,
                            struct task_terms *t)
{
    struct operand of;
    int rc = check_keys(f, term, OPERAND_KEYS "|function|clip");
    if (rc == 0)
        rc = read_operand(f, m, term, &of);
    if (rc != 0)
        return rc;
    struct observation_term *o = task_observe(t, of);
    const struct node *function = document_find(term, "function");
    if (function) {
        rc = need_kind(f, function, NODE_SCALAR, "function");
        if (rc == 0)
            rc = check_word(f, function, "function", "sin|cos");
        if (rc == 0)
            o->function = strcmp(function->text, "sin") == 0 ? SIN : COS;
    }
    return rc == 0 ? read_range(f, term, "clip", &o->is_clipped, &o->low, &o->high) : rc;
}

static const struct {
    const char *name;
    enum reward_kind kind;
    bool has_operand;
} reward_kinds[] = {
    { "constant", REWARD_CONSTANT, false }, { "alive", REWARD_ALIVE, false },
    { "value", REWARD_VALUE, true }, { "rate", REWARD_RATE, true },
    { "distance", REWARD_DISTANCE, true }, { "squares", REWARD_SQUARES, true },
    { "action_squares", REWARD_ACTION_SQUARES, false },
};
enum { N_REWARD_KINDS = sizeof(reward_kinds) / sizeof(*reward_kinds) };
#define REWARD_WORDS "constant|alive|value|rate|distance|squares|action_squares"

/* What fits together. */
static int check_reward(const struct task_file *f, const struct node *term,
                        const struct reward_term *r)
{
    const char *word = document_find(term, "term")->text;
    if (r->kind != REWARD_SQUARES && (document_find(term, "target") || r->is_clipped))
        return document_fail(f->document, term, f->err, "target and clip belong to the term squares");
    if ((r->kind == REWARD_VALUE || r->kind == REWARD_RATE) && r->of.n != 1)
        return document_fail(f->document, term, f->err, "%s is of one number, and these are %d; pick "
                             "one with from: and count: 1", word, r->of.n);
    if (r->kind == REWARD_RATE && r->is_before)
        return document_fail(f->document, term, f->err, "rate is over the step; before has no meaning "
                             "for it");
    return 0;
}

static int read_reward(const struct task_file *f, const mjModel *m, const struct node *term,
                       struct task_terms *t)
{
    struct operand of = { 0 };
    const struct node *word = document_find(term, "term");
    int k = 0;
    if (!word)
        return document_fail(f->document, term, f->err, "a reward needs a term, one of %s",
                             REWARD_WORDS);
    int rc = need_kind(f, word, NODE_SCALAR, "term");
    if (rc == 0)
        rc = check_word(f, word, "reward term", REWARD_WORDS);
    while (rc == 0 && strcmp(reward_kinds[k].name, word->text) != 0)
        k++;
    if (rc == 0)
        rc = check_keys(f, term, reward_kinds[k].has_operand
                        ? OPERAND_KEYS "|term|weight|target|clip|limit|before"
                        : "term|weight|limit");
    if (rc == 0 && reward_kinds[k].has_operand)
        rc = read_operand(f, m, term, &of);
    if (rc != 0)
        return rc;
    struct reward_term *r = task_reward(t, reward_kinds[k].kind, 1, of);
    rc = read_real(f, term, "weight", &r->weight);
    if (rc == 0)
        rc = read_real(f, term, "target", &r->target);
    if (rc == 0)
        rc = read_range(f, term, "clip", &r->is_clipped, &r->clip_low, &r->clip_high);
    if (rc == 0)
        rc = read_range(f, term, "limit", &r->is_limited, &r->limit_low, &r->limit_high);
    if (rc == 0)
        rc = read_bool(f, term, "before", &r->is_before);
    return rc == 0 ? check_reward(f, term, r) : rc;
}

static int read_health(const struct task_file *f, const mjModel *m, const struct node *term,
                       struct task_terms *t)
{
    struct operand of;
    bool is_given;
    int rc = check_keys(f, term, OPERAND_KEYS "|range|inclusive");
    if (rc == 0)
        rc = read_operand(f, m, term, &of);
    if (rc != 0)
        return rc;
    struct health_term *h = task_require(t, of, (struct option_range){ 0, 0 });
    rc = read_range(f, term, "range", &is_given, &h->low, &h->high);
    if (rc == 0 && !is_given)
        rc = document_fail(f->document, term, f->err, "healthy needs a range: [low, high]");
    if (rc == 0)
        rc = read_bool(f, term, "inclusive", &h->includes_bounds);
    if (rc == 0 && h->low == h->high && !h->includes_bounds)
        rc = document_fail(f->document, document_find(term, "range"), f->err, "nothing is inside "
                           "this range; inclusive: true would count its ends");
    return rc;
}

static int read_reset(const struct task_file *f, const mjModel *m, const struct node *term,
                      struct task_terms *t)
{
    struct operand of;
    bool is_uniform;
    int rc = check_keys(f, term, "source|from|count|joint|uniform|normal");
    if (rc == 0)
        rc = read_operand(f, m, term, &of);
    if (rc != 0)
        return rc;
    if (of.source != SOURCE_QPOS && of.source != SOURCE_QVEL)
        return document_fail(f->document, term, f->err, "a reset draws qpos or qvel");
    struct reset_term *r = &t->resets[t->n_resets++];
    *r = (struct reset_term){ .is_velocity = of.source == SOURCE_QVEL, .first = of.first,
                              .n = of.n, .is_normal = document_find(term, "normal") != NULL };
    rc = read_range(f, term, "uniform", &is_uniform, &r->low, &r->high);
    if (rc == 0)
        rc = read_real(f, term, "normal", &r->scale);
    if (rc == 0 && r->is_normal && r->scale < 0)
        rc = document_fail(f->document, document_find(term, "normal"), f->err, "normal: a standard "
                           "deviation is not negative");
    if (rc == 0 && is_uniform && !(isfinite(r->low) && isfinite(r->high)))
        rc = document_fail(f->document, term, f->err, "uniform needs finite ends");
    if (rc == 0 && is_uniform == r->is_normal)
        rc = document_fail(f->document, term, f->err, "a reset needs either uniform: [low, high] "
                           "or normal: scale");
    return rc;
}

static int read_terms(const struct task_file *f, const mjModel *m, const char *key,
                      struct task_terms *t,
                      int (*read)(const struct task_file *, const mjModel *, const struct node *,
                                  struct task_terms *))
{
    const struct node *list;
    int rc = find_list(f, key, &list);
    for (const struct node *term = rc == 0 && list ? list->first : NULL; term && rc == 0;
         term = term->next)
        rc = read(f, m, term, t);
    return rc;
}

/* Called under MuJoCo's guard, with the model loaded. */
static int build_file(void *context, struct task_terms *t, const mjModel *m, struct error *err)
{
    struct task_file *f = context;
    f->err = err;
    int rc = read_terms(f, m, "observation", t, read_observation);
    if (rc == 0)
        rc = read_terms(f, m, "reward", t, read_reward);
    if (rc == 0)
        rc = read_terms(f, m, "healthy", t, read_health);
    if (rc == 0)
        rc = read_terms(f, m, "reset", t, read_reset);
    t->ends_when_unhealthy = t->n_healths > 0;
    if (rc == 0)
        rc = read_bool(f, f->root, "end_when_unhealthy", &t->ends_when_unhealthy);
    if (rc == 0 && t->ends_when_unhealthy && t->n_healths == 0)
        rc = document_fail(f->document, document_find(f->root, "end_when_unhealthy"), err,
                           "end_when_unhealthy needs a healthy: list that says what health is");
    if (rc == 0 && terms_n_obs(t) > ENV_MAX_OBS)
        rc = document_fail(f->document, document_find(f->root, "observation"), err,
                           "%d observations are more than %d", terms_n_obs(t), ENV_MAX_OBS);
    return rc;
}

/* ---- the file ---- */

static int check_root(const struct task_file *f)
{
    static const char *const needed[] = { "model", "observation", "reward" };
    int rc = check_keys(f, f->root, "model|frame_skip|time_limit|observation|reward|healthy|"
                                    "end_when_unhealthy|reset");
    for (int i = 0; i < 3 && rc == 0; i++) {
        const struct node *node = document_find(f->root, needed[i]);
        if (!node)
            return document_fail(f->document, f->root, f->err, "a task needs %s %s",
                                 needed[i][0] == 'o' ? "an" : "a", needed[i]);
        rc = need_kind(f, node, i == 0 ? NODE_SCALAR : NODE_LIST, needed[i]);
        if (rc == 0 && (node->kind == NODE_LIST ? node->n == 0 : node->bytes == 0))
            rc = document_fail(f->document, node, f->err, "%s is empty", needed[i]);
    }
    return rc;
}

static int read_file(struct task_file *f, const char *path, char hex[DIGEST_HEX_BYTES])
{
    char *text = NULL;
    size_t bytes;
    int rc = file_read(path, DOCUMENT_BYTES, &text, &bytes, f->err);
    if (rc != 0)
        return rc;
    digest_sha256_hex(text, bytes, hex);
    rc = document_parse(&f->document, path, text, bytes, FILE_DEPTH, f->err);
    free(text);
    if (rc != 0)
        return rc;
    f->root = document_root(f->document);
    if (!f->root || f->root->kind != NODE_MAPPING)
        return error_set(f->err, ERR_CONFIG, "%s:1:1: a task is a mapping: model, observation, "
                         "reward, ...", text_short_path(path));
    return check_root(f);
}

static int task_file_open(void **model, struct env_spec *spec, const struct env_context *context,
                          struct error *err)
{
    struct task_file f = { .err = err };
    struct mujoco_source source = { .name = context->name, .frame_skip = 1, .time_limit = 1000,
                                    .build = build_file, .context = &f };
    char hex[DIGEST_HEX_BYTES];
    int rc = read_file(&f, context->file, hex);
    if (rc == 0)
        rc = read_integer(&f, f.root, "frame_skip", 1, 10000, &source.frame_skip);
    if (rc == 0)
        rc = read_integer(&f, f.root, "time_limit", 0, 1000000000, &source.time_limit);
    if (rc == 0) {
        const struct node *xml = document_find(f.root, "model");
        source.xml = xml->text;
        source.digest = hex;
        if (strchr(xml->text, '/') || strlen(xml->text) != xml->bytes)
            rc = document_fail(f.document, xml, err, "model: \"%.*s\" must be the name of a file, "
                               "which is looked for beside the task, on the environment path and "
                               "among the models", SHOWN, xml->text);
    }
    if (rc == 0)
        rc = mujoco_task_load(model, spec, &source, context, err);
    document_free(&f.document);
    return rc;
}

const struct environment task_file_environment = {
    .name = "a task's file",
    .open = task_file_open,
    MUJOCO_TASK_SLOTS,
};
