/* The learner's end: a ROUTER for everything and an XPUB for snapshots. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include "proto/zmq_link_private.h"

enum {
    BACKLOG = 1024,
    SUBSCRIPTION_BYTES = 1024,       /* largest message to the XPUB; also holds a handshake */
    SUBSCRIPTIONS_PER_DRAIN = 256
};

/* ---- binding ---- */

static int bind_error(const char *text, int code, struct error *err)
{
    switch (code) {
    case EADDRINUSE:
        return error_set(err, ERR_TEMPORARY, "%s is in use: another learner may be running; stop "
                         "it, or choose another port (* lets the system choose)", text);
    case EADDRNOTAVAIL:
        return error_set(err, ERR_USAGE, "%s: this machine has no such address", text);
    case ENODEV:
        return error_set(err, ERR_USAGE, "%s: a learner listens at an address of its machine, not "
                         "at a name", text);
    case EACCES:
        return error_set(err, ERR_IO, "%s: no permission to listen there (ports below 1024 need "
                         "privileges; an ipc path needs a writable directory)", text);
    default:
        return error_set(err, ERR_IO, "listen at %s: %s", text, zmq_strerror(code));
    }
}

/* libzmq deletes whatever is at the path it binds: refuse anything but a socket that nobody
 * listens to, which is what a learner leaves behind when it is killed. */
static int check_ipc_path(const char *text, struct error *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", text + strlen("ipc://"));
    const char *path = address.sun_path;
    struct stat st;
    if (lstat(path, &st) != 0) {
        int length = (int)(strrchr(path, '/') - path);
        if (errno != ENOENT)
            return bind_error(text, errno, err);
        char directory[sizeof(address.sun_path)];
        snprintf(directory, sizeof(directory), "%.*s", length ? length : 1, path);
        if (stat(directory, &st) != 0)
            return error_set(err, ERR_MISSING, "%s: there is no directory %s; make it first", text,
                             directory);
        return 0;
    }
    if (!S_ISSOCK(st.st_mode))
        return error_set(err, ERR_USAGE, "%s: something else is at that path and will not be "
                         "overwritten; choose another", text);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_errno(err, "socket");
    /* A full backlog (EAGAIN) is also somebody. */
    int rc = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN
                 ? error_set(err, ERR_TEMPORARY, "%s is in use: another learner may be running; "
                             "stop it, or choose another path", text)
                 : 0;
    close(fd);
    return rc;
}

/* Bind, and write the concrete endpoint to `bound`. */
static int bind_socket(struct zmq_link *l, void *socket, const char *text,
                       char bound[static ENDPOINT_BYTES], struct error *err)
{
    if (strncmp(text, "ipc:", 4) == 0) {
        int rc = check_ipc_path(text, err);
        if (rc)
            return rc;
    }
    if (zmq_bind(socket, text) != 0)
        return bind_error(text, errno, err);
    l->n_bound++;
    size_t bytes = ENDPOINT_BYTES;
    if (zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, bound, &bytes) != 0)
        return error_set(err, ERR_IO, "find out where %s is: %s", text, zmq_strerror(errno));
    return 0;
}

static int hub_bind(struct zmq_link *l, int snapshot_port, struct error *err)
{
    char text[ENDPOINT_BYTES], bound[ENDPOINT_BYTES];
    zmq_link_option(l->direct.socket, ZMQ_ROUTER_MANDATORY, 1);
    zmq_link_option(l->direct.socket, ZMQ_BACKLOG, BACKLOG);
    zmq_link_option(l->direct.socket, ZMQ_RCVHWM, 0);    /* why: zmq_link.c */
    l->direct.has_sender = true;
    endpoint_format(&l->endpoint, l->endpoint.port, "", text);
    int rc = bind_socket(l, l->direct.socket, text, l->endpoint_text, err);
    if (rc)
        return rc;

    l->snapshots.socket = zmq_link_open(l, ZMQ_XPUB, err);
    if (!l->snapshots.socket)
        return ERR_IO;
    int64_t max_bytes = SUBSCRIPTION_BYTES;
    zmq_setsockopt(l->snapshots.socket, ZMQ_MAXMSGSIZE, &max_bytes, sizeof(max_bytes));
    zmq_link_option(l->snapshots.socket, ZMQ_BACKLOG, BACKLOG);
    zmq_link_option(l->snapshots.socket, ZMQ_RCVHWM, 0);
    zmq_link_option(l->snapshots.socket, ZMQ_SNDHWM, l->limits.queue_snapshots);
    zmq_link_option(l->snapshots.socket, ZMQ_LINGER, 0);
    endpoint_format(&l->endpoint, snapshot_port, IPC_SNAPSHOTS, text);
    rc = bind_socket(l, l->snapshots.socket, text, bound, err);
    if (rc)
        return error_prefix(err, "snapshots");
    if (!l->endpoint.is_ipc)
        l->snapshot_port = (int)strtol(strrchr(bound, ':') + 1, NULL, 10);
    return 0;
}

const char *zmq_hub_endpoint(const struct link *l)
{
    return ((const struct zmq_link *)l)->endpoint_text;
}

int zmq_hub_snapshot_port(const struct link *l)
{
    return ((const struct zmq_link *)l)->snapshot_port;
}

/* ---- the slots ---- */

/* Read subscriptions, which nobody needs, so that they do not pile up. */
static void drain_subscriptions(struct zmq_link *l)
{
    char byte;
    for (int i = 0; i < SUBSCRIPTIONS_PER_DRAIN; i++)
        if (zmq_recv(l->snapshots.socket, &byte, sizeof(byte), ZMQ_DONTWAIT) < 0)
            return;
}

static int hub_send(struct link *base, uint64_t peer, struct frame *f)
{
    void *router = ((struct zmq_link *)base)->direct.socket;
    unsigned char id[7];
    size_t length = peer >> 56;
    int rc = -1;
    errno = EHOSTUNREACH;
    if (length >= 1 && length <= sizeof(id)) {
        for (size_t i = 0; i < length; i++)
            id[i] = (unsigned char)(peer >> 8 * i);
        do
            rc = zmq_send(router, id, length, ZMQ_DONTWAIT | ZMQ_SNDMORE);
        while (rc < 0 && errno == EINTR);
    }
    if (rc < 0) {
        rc = errno == EHOSTUNREACH ? ERR_MISSING : ERR_AGAIN;
        frame_release(f);
        return rc;
    }
    return zmq_link_write(router, f);
}

static void hub_publish(struct link *base, struct frame *f)
{
    struct zmq_link *l = (struct zmq_link *)base;
    drain_subscriptions(l);
    zmq_link_write(l->snapshots.socket, f);
}

static struct frame *hub_receive(struct link *base, uint64_t *peer)
{
    struct zmq_link *l = (struct zmq_link *)base;
    struct frame *f = zmq_link_read(l, &l->direct);
    if (f)
        *peer = l->direct.peer;
    return f;
}

static void hub_wait(struct link *base, int timeout_ms)
{
    zmq_link_wait(base, timeout_ms);
    drain_subscriptions((struct zmq_link *)base);
}

/* libzmq would leave the files of ipc sockets behind. They go while we still listen, so that they
 * cannot be a successor's. */
static void hub_destroy(struct link *base)
{
    struct zmq_link *l = (struct zmq_link *)base;
    char path[ENDPOINT_BYTES];
    if (l->endpoint.is_ipc && l->n_bound > 0)
        unlink(l->endpoint.host);
    snprintf(path, sizeof(path), "%s" IPC_SNAPSHOTS, l->endpoint.host);
    if (l->endpoint.is_ipc && l->n_bound > 1)
        unlink(path);
    zmq_link_destroy(base);
}

static const struct link_ops hub_ops = {
    .send = hub_send,
    .publish = hub_publish,
    .receive = hub_receive,
    .wait = hub_wait,
    .wake = zmq_link_wake,
    .destroy = hub_destroy,
};

struct link *zmq_hub_create(const char *endpoint, int snapshot_port, bool allow_remote,
                            const struct zmq_limits *limits, struct error *err)
{
    struct endpoint e;
    if (zmq_endpoint_check(endpoint, allow_remote, err) || endpoint_parse(endpoint, &e, err))
        return NULL;
    if (snapshot_port < 0 || snapshot_port > 65535) {
        error_set(err, ERR_USAGE, "the snapshot port %d is not from 1 to 65535 (or 0 for any)",
                  snapshot_port);
        return NULL;
    }
    struct zmq_link *l = zmq_link_create(&hub_ops, ZMQ_ROUTER, &e, limits, err);
    if (l && hub_bind(l, snapshot_port, err) != 0) {
        hub_destroy(&l->link);
        return NULL;
    }
    return l ? &l->link : NULL;
}
