/* Endpoints: which are accepted, and what is said about the others. */
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/zmq_support.h"

/* What zmq_endpoint_check says; "" when it is content. */
static const char *complaint(const char *endpoint, bool allow_remote)
{
    static struct error err;
    memset(&err, 0, sizeof(err));
    int rc = zmq_endpoint_check(endpoint, allow_remote, &err);
    ck_assert(rc == 0 || rc == ERR_USAGE);
    ck_assert_int_eq(rc, err.code);
    return err.text;
}

START_TEST(loopback_and_local_paths_are_accepted)
{
    static const char *const good[] = {
        "tcp://127.0.0.1:5555", "tcp://127.0.0.1:*", "tcp://127.9.8.7:1", "tcp://[::1]:65535",
        "tcp://localhost:5555", "ipc:///tmp/shoal.sock",
    };
    for (size_t i = 0; i < TEST_COUNT(good); i++)
        ck_assert_str_eq(complaint(good[i], false), "");
}
END_TEST

START_TEST(other_machines_need_insecure)
{
    static const char *const remote[] = {
        "tcp://*:5555", "tcp://0.0.0.0:5555", "tcp://[::]:5555", "tcp://10.0.0.1:5555",
        "tcp://[fe80::1]:5555", "tcp://learner.example.org:5555", "tcp://128.0.0.1:5555",
        "tcp://localhost.example.org:5555", "tcp://127.1:5555", "tcp://local:5555",
        "tcp://[::ffff:127.0.0.1]:5555",
    };
    for (size_t i = 0; i < TEST_COUNT(remote); i++) {
        const char *text = complaint(remote[i], false);
        ck_assert_msg(strstr(text, "--insecure") && strstr(text, "neither encrypted nor"),
                      "%s: %s", remote[i], text);
        ck_assert_str_eq(complaint(remote[i], true), "");
    }
    struct error err;
    ck_assert_ptr_null(zmq_hub_create("tcp://*:*", 0, false, &limits, &err));
    struct link *hub = zmq_hub_create("tcp://*:*", 0, true, &limits, &err);
    ck_assert_str_ne(zmq_hub_endpoint(hub), "tcp://*:*");
    end(hub, NULL, NULL);
}
END_TEST

START_TEST(malformed_endpoints_are_explained)
{
    char long_path[200] = "ipc:///";
    memset(long_path + 7, 'x', 97);
    static const struct { const char *endpoint, *says; } bad[] = {
        { "", "neither tcp:// nor ipc://" },
        { "127.0.0.1:5555", "neither tcp:// nor ipc://" },
        { "udp://127.0.0.1:5555", "neither tcp:// nor ipc://" },
        { "inproc://x", "neither tcp:// nor ipc://" },
        { "tcp://127.0.0.1", "has no port" },
        { "tcp://[::1]", "has no port" },
        { "tcp://", "has no port" },
        { "tcp://:5555", "host name is missing" },
        { "tcp://127.0.0.1:", "the port \"\" is not a number" },
        { "tcp://127.0.0.1:0", "the port \"0\" is not a number from 1 to 65535" },
        { "tcp://127.0.0.1:65536", "from 1 to 65535" },
        { "tcp://127.0.0.1:99999999999999999999", "from 1 to 65535" },
        { "tcp://127.0.0.1:-5", "from 1 to 65535" },
        { "tcp://127.0.0.1: 5", "from 1 to 65535" },
        { "tcp://127.0.0.1:55x", "from 1 to 65535" },
        { "tcp://::1:5555", "in brackets" },
        { "tcp://[::1:5555", "closing bracket is missing" },
        { "tcp://[::g]:5555", "not an IPv6 address" },
        { "tcp://a b:5555", "neither an address nor a name" },
        { "tcp://127.0.0.1:1;127.0.0.1:5555", "in brackets" },
        { "ipc://", "absolute path" },
        { "ipc://relative/path", "absolute path" },
        { "ipc://@abstract", "absolute path" },
        { "ipc:///tmp/", "absolute path" },
    };
    for (size_t i = 0; i < TEST_COUNT(bad); i++)
        for (int allow_remote = 0; allow_remote < 2; allow_remote++) {
            const char *text = complaint(bad[i].endpoint, allow_remote);
            ck_assert_msg(strstr(text, bad[i].says) != NULL, "%s: %s", bad[i].endpoint, text);
        }
    /* 97 bytes of path and ".snapshots" are what fits. */
    const char *text = complaint(long_path, false);
    ck_assert_msg(strstr(text, "98 bytes and may have 97") && strstr(text, ".snapshots") &&
                  strstr(text, "107"), "%s", text);
    long_path[strlen(long_path) - 1] = '\0';
    ck_assert_str_eq(complaint(long_path, false), "");
}
END_TEST

START_TEST(an_actor_needs_a_real_address)
{
    static const char *const vague[] = { "tcp://*:5555", "tcp://0.0.0.0:5555", "tcp://[::]:5555",
                                         "tcp://127.0.0.1:*" };
    for (size_t i = 0; i < TEST_COUNT(vague); i++) {
        struct error err = { 0 };
        ck_assert_ptr_null(zmq_actor_create(vague[i], &limits, &err));
        ck_assert_int_eq(err.code, ERR_USAGE);
        ck_assert_msg(strstr(err.text, "as the learner prints them") != NULL, "%s", err.text);
    }
}
END_TEST

/* Why a hub cannot be made. */
static const char *refusal(const char *endpoint, int snapshot_port, int code)
{
    static struct error err;
    memset(&err, 0, sizeof(err));
    ck_assert_ptr_null(zmq_hub_create(endpoint, snapshot_port, true, &limits, &err));
    ck_assert_int_eq(err.code, code);
    return err.text;
}

START_TEST(a_port_in_use_is_reported)
{
    struct link *hub = hub_at("tcp://localhost:*");
    ck_assert_int_ne(zmq_hub_snapshot_port(hub), port_of(hub));
    const char *text = refusal(zmq_hub_endpoint(hub), 0, ERR_TEMPORARY);
    ck_assert_ptr_nonnull(strstr(text, zmq_hub_endpoint(hub)));
    ck_assert_ptr_nonnull(strstr(text, "is in use: another learner"));
    text = refusal(LOOPBACK, zmq_hub_snapshot_port(hub), ERR_TEMPORARY);
    ck_assert_ptr_nonnull(strstr(text, "snapshots: tcp://127.0.0.1:"));
    ck_assert_ptr_nonnull(strstr(refusal(LOOPBACK, 65536, ERR_USAGE), "65536"));
    ck_assert_ptr_nonnull(strstr(refusal("tcp://203.0.113.1:5555", 0, ERR_USAGE),
                                 "no such address"));
    ck_assert_ptr_nonnull(strstr(refusal("tcp://no.such.name.invalid:5555", 0, ERR_USAGE),
                                 "not at a name"));
    /* The chosen snapshot port is used. */
    int port = free_port();
    struct error err;
    struct link *chosen = zmq_hub_create(LOOPBACK, port, false, &limits, &err);
    ck_assert_int_eq(zmq_hub_snapshot_port(chosen), port);
    link_destroy(&chosen);
    end(hub, NULL, NULL);
}
END_TEST

START_TEST(an_ipc_path_is_taken_only_from_the_dead)
{
    char directory[200], endpoint[320], path[300], snapshots[320];
    test_directory("link", directory, sizeof(directory));
    snprintf(path, sizeof(path), "%s/hub", directory);
    snprintf(snapshots, sizeof(snapshots), "%s.snapshots", path);
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/none/hub", directory);
    const char *text = refusal(endpoint, 0, ERR_MISSING);
    ck_assert_msg(strstr(text, "there is no directory") && strstr(text, "/none;"), "%s", text);

    /* A learner that is killed leaves both files behind. */
    snprintf(endpoint, sizeof(endpoint), "ipc://%s", path);
    pid_t child = fork();
    if (child == 0) {
        hub_at(endpoint);
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(stat(snapshots, &st), 0);
    struct link *hub = hub_at(endpoint);
    ck_assert_str_eq(zmq_hub_endpoint(hub), endpoint);
    ck_assert_int_eq(zmq_hub_snapshot_port(hub), 0);

    /* A live one keeps its place. */
    ck_assert_ptr_nonnull(strstr(refusal(endpoint, 0, ERR_TEMPORARY), "is in use"));
    uint64_t peer;
    struct link *a = introduced(hub, &peer);
    end(hub, a, NULL);
    ck_assert_int_ne(stat(path, &st), 0);
    ck_assert_int_ne(stat(snapshots, &st), 0);

    /* A file is not overwritten. */
    test_write(path, "precious", 8);
    ck_assert_ptr_nonnull(strstr(refusal(endpoint, 0, ERR_USAGE), "not be overwritten"));
    free(test_read(path, NULL));
    unlink(path);
    test_write(snapshots, "precious", 8);
    text = refusal(endpoint, 0, ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(text, "hub.snapshots: something else"));
    free(test_read(snapshots, NULL));
    ck_assert_int_ne(stat(path, &st), 0);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        loopback_and_local_paths_are_accepted,
        other_machines_need_insecure,
        malformed_endpoints_are_explained,
        an_actor_needs_a_real_address,
        a_port_in_use_is_reported,
        an_ipc_path_is_taken_only_from_the_dead,
    };
    return suite_run("zmq_endpoint", tests, TEST_COUNT(tests), 30);
}
