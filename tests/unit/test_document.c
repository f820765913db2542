#include "common/document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support.h"

static struct document *accept(const char *text, int max_depth)
{
    struct document *d = NULL;
    struct error err = { 0 };
    int rc = document_parse(&d, "a.yaml", text, strlen(text), max_depth, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    return d;
}

/* Returns what stands in front of the error. */
static struct document *refuse(const char *text, int max_depth, const char *expected)
{
    struct document *d = NULL;
    struct error err = { 0 };
    ck_assert_int_eq(document_parse(&d, "a.yaml", text, strlen(text), max_depth, &err), ERR_CONFIG);
    ck_assert_int_eq(err.code, ERR_CONFIG);
    ck_assert_str_eq(err.text, expected);
    ck_assert_ptr_nonnull(d);
    return d;
}

static void refuse_line(const char *line, const char *expected)
{
    struct document *d = NULL;
    struct error err = { 0 };
    ck_assert_msg(document_parse_line(&d, "peer", line, strlen(line), 2, &err) == ERR_CONFIG,
                  "accepted: %s", line);
    ck_assert_str_eq(err.text, expected);
    document_free(&d);
}

/* Every node of a tree as "(line:column text)", "[...]" or "{key=value}". */
static void show(const struct node *node, FILE *out)
{
    if (!node) {
        fputs("-", out);
    } else if (node->kind == NODE_SCALAR) {
        fprintf(out, "(%d:%d %s%.*s)", node->line, node->column, node->is_quoted ? "'" : "",
                (int)node->bytes, node->text);
    } else {
        bool is_list = node->kind == NODE_LIST;
        fprintf(out, "%c%d:%d/%d", is_list ? '[' : '{', node->line, node->column, node->n);
        for (const struct node *e = node->first; e; e = e->next) {
            fputc(' ', out);
            show(e, out);
            if (is_list)
                continue;
            fputc('=', out);
            show(e->value, out);
        }
        fprintf(out, "%c%s", is_list ? ']' : '}', node->is_whole ? "" : "...");
    }
}

static void shows(struct document *d, const char *expected)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    show(document_root(d), out);
    fclose(out);
    ck_assert_str_eq(text, expected);
    free(text);
    document_free(&d);
    ck_assert_ptr_null(d);
}

START_TEST(nodes_keep_kind_order_text_and_position)
{
    shows(accept("a: 1\n\"b c\":\n  - x\n  - 'y'\n  - {}\nd: [[], {e: }]\n", 4),
          "{1:1/3 (1:1 a)=(1:4 1) (2:1 'b c)=[3:3/3 (3:5 x) (4:5 'y) {5:5/0}]"
          " (6:1 d)=[6:4/2 [6:5/0] {6:9/1 (6:10 e)=(6:13 )}]}");
    shows(accept("\xC3\xA9t\xC3\xA9: \"\\u00e9\"\r\nb: |\r\n  two\r\n  lines\r\n", 1),
          "{1:1/2 (1:1 \xC3\xA9t\xC3\xA9)=(1:6 '\xC3\xA9) (2:1 b)=(2:4 'two\nlines\n)}");
    shows(accept("just words", 1), "(1:1 just words)");
}
END_TEST

START_TEST(texts_may_hold_nul_and_are_terminated)
{
    struct document *d = accept("\"a\\0b\"", 1);
    const struct node *root = document_root(d);
    ck_assert_uint_eq(root->bytes, 3);
    ck_assert_int_eq(memcmp(root->text, "a\0b", 4), 0);
    document_free(&d);
}
END_TEST

START_TEST(texts_without_content_have_no_root)
{
    static const char *const empty[] = { "", "\n", "# a comment\n", "---\n", "---\n...\n",
                                         "\xEF\xBB\xBF" };
    for (size_t i = 0; i < TEST_COUNT(empty); i++)
        shows(accept(empty[i], 1), "-");
    shows(accept("''", 1), "(1:1 ')");
    struct document *d = NULL;
    document_free(&d);
}
END_TEST

START_TEST(values_are_found_by_key)
{
    struct document *d = accept("a: 1\nab: {c: 3}\n\"a\\0\": 2\n", 2);
    const struct node *root = document_root(d);
    ck_assert_str_eq(document_find(root, "a")->text, "1");
    ck_assert_str_eq(document_find(document_find(root, "ab"), "c")->text, "3");
    ck_assert_ptr_null(document_find(root, "b"));
    ck_assert_ptr_null(document_find(document_find(root, "a"), "a"));
    document_free(&d);
}
END_TEST

START_TEST(what_stands_in_front_of_a_mistake_is_kept)
{
    shows(refuse("a: 1\nb: [x, &y 2]\nc: 3", 2,
                 "a.yaml:2:8: anchors (&name) are not accepted; remove it"),
          "{1:1/2 (1:1 a)=(1:4 1) (2:1 b)=[2:4/1 (2:5 x)]...}...");
    shows(refuse("a:\n  b: @", 2, "a.yaml:2:6: not YAML: found character that cannot start any"
                                  " token (while scanning for the next token that begins at line"
                                  " 2, column 6)"),
          "{1:1/1 (1:1 a)={2:3/1 (2:3 b)=-}...}...");
    shows(refuse("a: 1\n<<: {b: 1}\n", 2,
                 "a.yaml:2:1: merge keys (<<) are not accepted; write the keys out"),
          "{1:1/1 (1:1 a)=(1:4 1)}...");
    shows(refuse("? [a]\n: 1\n", 2, "a.yaml:1:3: expected a key, found a list"), "{1:1/0}...");
    shows(refuse("%YAML 1.1\n---\na: 1\n", 1,
                 "a.yaml:1:1: directives (%YAML, %TAG) are not accepted"), "-");
    shows(refuse("a\n--- b\n", 1, "a.yaml:2:1: a second document; a configuration is one"),
          "(1:1 a)");
}
END_TEST

START_TEST(the_first_node_that_is_too_deep_is_refused_where_it_stands)
{
    shows(accept("a: [1]", 2), "{1:1/1 (1:1 a)=[1:4/1 (1:5 1)]}");
    shows(refuse("a: [1, [2], 3]", 2, "a.yaml:1:8: nested too deeply; 2 lists and mappings within"
                                      " each other are the most"),
          "{1:1/1 (1:1 a)=[1:4/2 (1:5 1) [1:8/0]...]...}...");
    char *text = malloc(1 << 20);
    memset(text, '[', 1 << 20);
    struct document *d = NULL;
    struct error err;
    clock_t start = clock();
    ck_assert_int_eq(document_parse(&d, "a.yaml", text, 1 << 20, 50, &err), ERR_CONFIG);
    ck_assert_int_eq(strncmp(err.text, "a.yaml:1:51: nested too deeply", 30), 0);
    ck_assert(clock() - start < CLOCKS_PER_SEC / 2);
    document_free(&d);
    free(text);
}
END_TEST

START_TEST(keys_given_twice_are_refused_at_any_depth)
{
    struct document *d = refuse("a: 1\nb:\n  - {x: 1, y: 2}\n  - {x: 1,\n     z: 3,\n     'x': 2}",
                                3, "a.yaml:6:6: this key is given twice; first on line 4");
    document_free(&d);
    shows(accept("a: {a: {a: 1}}", 3), "{1:1/1 (1:1 a)={1:4/1 (1:5 a)={1:8/1 (1:9 a)=(1:12 1)}}}");
}
END_TEST

/* "[1,1,...,1]" */
static char *list_of(size_t n)
{
    char *text = malloc(2 * n + 2);
    for (size_t i = 0; i < n; i++)
        memcpy(text + 2 * i, i ? ",1" : "[1", 2);
    memcpy(text + 2 * n, "]", 2);
    return text;
}

START_TEST(nodes_are_limited_and_many_keys_cost_little_time)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    for (int i = 0; i < 49999; i++)
        fprintf(out, "%d:\n", i * 7919 % 49999);
    fclose(out);
    clock_t start = clock();
    struct document *d = accept(text, 1);
    ck_assert_int_eq(document_root(d)->n, 49999);
    ck_assert(clock() - start < CLOCKS_PER_SEC);
    document_free(&d);
    free(text);

    text = list_of(DOCUMENT_NODES - 1);
    d = accept(text, 1);
    document_free(&d);
    free(text);
    text = list_of(DOCUMENT_NODES);
    d = refuse(text, 1, "a.yaml:1:200000: more than 100000 keys and values");
    ck_assert_int_eq(document_root(d)->n, DOCUMENT_NODES - 1);
    document_free(&d);
    free(text);
}
END_TEST

START_TEST(callers_place_their_own_mistakes)
{
    char name[2000];
    memset(name, 'x', sizeof(name));
    snprintf(name + sizeof(name) - 8, 8, "/a.yaml");
    struct document *d = NULL;
    struct error err = { 0 };
    ck_assert_int_eq(document_parse(&d, name, "a:\n  b: 7", 9, 2, &err), 0);
    const struct node *b = document_find(document_find(document_root(d), "a"), "b");
    ck_assert_int_eq(document_fail(d, b, &err, "%s is %d too many", "b", 2), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "xxx/a.yaml:2:6: b is 2 too many"));
    ck_assert_uint_lt(strlen(err.text), 200);
    ck_assert_int_eq(document_fail(d, b, NULL, "nobody listens"), ERR_CONFIG);
    document_free(&d);
}
END_TEST

START_TEST(files_that_cannot_be_read_leave_no_document)
{
    char directory[200], path[300];
    struct error err = { 0 };
    struct document *d = NULL;
    test_directory("document", directory, sizeof(directory));
    ck_assert_int_eq(document_read_file(&d, directory, 1, &err), ERR_IO);
    ck_assert_ptr_null(d);
    snprintf(path, sizeof(path), "%s/a.yaml", directory);
    ck_assert_int_eq(document_read_file(&d, path, 1, NULL), ERR_MISSING);
    ck_assert_int_eq(document_read_file(&d, path, 1, &err), ERR_MISSING);
    ck_assert_int_eq(err.code, ERR_MISSING);
    ck_assert_ptr_null(d);
    test_write(path, "a: 1", 4);
    ck_assert_int_eq(document_read_file(&d, path, 1, &err), 0);
    shows(d, "{1:1/1 (1:1 a)=(1:4 1)}");
}
END_TEST

START_TEST(a_line_is_the_inside_of_a_mapping)
{
    struct document *d = NULL;
    struct error err = { 0 };
    ck_assert_int_eq(document_parse_line(&d, "peer", "a: 1, b: [2, -.inf]", 19, 2, &err), 0);
    shows(d, "{1:1/2 (1:1 a)=(1:4 1) (1:7 b)=[1:10/2 (1:11 2) (1:14 -.inf)]}");
    ck_assert_int_eq(document_parse_line(&d, "peer", "", 0, 2, &err), 0);
    shows(d, "{1:1/0}");
    ck_assert_int_eq(document_parse_line(&d, "peer", "a: 1  # why", 11, 2, &err), 0);
    shows(d, "{1:1/1 (1:1 a)=(1:4 1)}");
    refuse_line("a: &b 1", "peer:1:4: anchors (&name) are not accepted; remove it");
    refuse_line("a: 1\nb: 2", "peer: expected one line, found more");
    refuse_line("a: 1\rb: 2", "peer: expected one line, found more");
    refuse_line("a: {b: [1]}", "peer:1:8: nested too deeply; 2 lists and mappings within each"
                               " other are the most");
    refuse_line("a: 1} #", "peer:1:8: not YAML: did not find expected <document start>");
    refuse_line("a: 1}, {b: 2", "peer:1:6: not YAML: did not find expected <document start>");
    refuse_line("a: [\xC3\xA9", "peer:1:6: not YAML: did not find expected ',' or ']' (while parsing"
                                " a flow sequence that begins at line 1, column 4)");
}
END_TEST

/* ---- arbitrary bytes ---- */

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A tree that was accepted is whole; one that was not is whole but for its last branch. */
static void check_tree(const struct node *node, bool is_accepted, int depth)
{
    ck_assert_int_le(depth, 5);
    ck_assert(node->line > 0 && node->column > 0 && node->text[node->bytes] == '\0');
    ck_assert(node->is_whole || !is_accepted);
    int n = 0;
    for (const struct node *e = node->first; e; e = e->next, n++) {
        bool is_last = e->next == NULL;
        check_tree(e, is_accepted || !is_last || node->is_whole, depth + 1);
        if (e->value)
            check_tree(e->value, is_accepted || !is_last || node->is_whole, depth + 1);
        else
            ck_assert(node->kind == NODE_LIST || (is_last && !node->is_whole));
    }
    ck_assert_int_eq(n, node->n);
}

START_TEST(mutated_texts_give_sound_trees)
{
    static const char seed_text[] =
        "# comment\nseed: 12\nname: \"a b\"\nlist:\n- {a: 1, b: [2, 3]}\n- ['x', {}]\n"
        "deep:\n  er: {and: {deeper: 1}}\n  text: |\n    two\n    lines\n";
    static const char spice[] = "\t\n\r \"'#%&*!|>-?:,[]{}<~01289_.\\\0\xC3\xA9\xFF\xE2\x80";
    uint64_t state = 88172645463325252u;
    int n_accepted = 0;
    for (int round = 0; round < 4000; round++) {
        /* Exactly as large as the text, so that reading past its end is seen. */
        size_t bytes = round % 4 ? sizeof(seed_text) - 1 : random_next(&state) % sizeof(seed_text);
        char *text = malloc(bytes ? bytes : 1);
        memcpy(text, seed_text, bytes);
        for (uint64_t n = random_next(&state) % 4; bytes && n > 0; n--)
            text[random_next(&state) % bytes] = spice[random_next(&state) % (sizeof(spice) - 1)];
        struct document *d = NULL;
        struct error err = { 0 };
        int rc = document_parse(&d, "a.yaml", text, bytes, 4, &err);
        ck_assert(rc == 0 || (rc == ERR_CONFIG && strncmp(err.text, "a.yaml:", 7) == 0));
        free(text);
        if (document_root(d))
            check_tree(document_root(d), rc == 0, 0);
        n_accepted += rc == 0;
        document_free(&d);
    }
    ck_assert_int_gt(n_accepted, 1000);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        nodes_keep_kind_order_text_and_position,
        texts_may_hold_nul_and_are_terminated,
        texts_without_content_have_no_root,
        values_are_found_by_key,
        what_stands_in_front_of_a_mistake_is_kept,
        the_first_node_that_is_too_deep_is_refused_where_it_stands,
        keys_given_twice_are_refused_at_any_depth,
        nodes_are_limited_and_many_keys_cost_little_time,
        callers_place_their_own_mistakes,
        files_that_cannot_be_read_leave_no_document,
        a_line_is_the_inside_of_a_mapping,
        mutated_texts_give_sound_trees,
    };
    return suite_run("document", tests, TEST_COUNT(tests), 30);
}
