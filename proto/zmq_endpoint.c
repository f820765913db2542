/* Endpoints as people write them: what they mean, and what is wrong with them. */
#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "proto/zmq_link_private.h"

#define EXAMPLES "tcp://127.0.0.1:5555 or ipc:///run/shoal.sock"
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"

/* Longest path that leaves room for the suffix and the end of the string in a socket's address. */
enum {
    SOCKET_PATH_MAX = sizeof(((struct sockaddr_un *)0)->sun_path) - 1,
    IPC_PATH_MAX = SOCKET_PATH_MAX - (sizeof(IPC_SNAPSHOTS) - 1)
};

static int parse_ipc(const char *text, const char *path, struct endpoint *e, struct error *err)
{
    size_t length = strlen(path);
    if (path[0] != '/' || path[length - 1] == '/')
        return error_set(err, ERR_USAGE, "endpoint \"%.100s\": ipc:// needs the absolute path of a "
                         "file, as in ipc:///run/shoal.sock", text);
    if (length > IPC_PATH_MAX)
        return error_set(err, ERR_USAGE, "endpoint \"%.40s...\": the path has %zu bytes and may "
                         "have %d (\"" IPC_SNAPSHOTS "\" is put behind it, and a socket's address "
                         "holds %d)", text, length, IPC_PATH_MAX, SOCKET_PATH_MAX);
    memcpy(e->host, path, length + 1);
    e->is_ipc = true;
    e->is_loopback = true;
    return 0;
}

/* Fill in `e->port`. */
static int parse_port(const char *text, const char *port, struct endpoint *e, struct error *err)
{
    if (strcmp(port, "*") == 0) {
        e->port = ENDPOINT_ANY_PORT;
        return 0;
    }
    char *end;
    long value = isdigit((unsigned char)port[0]) ? strtol(port, &end, 10) : -1;
    if (value < 1 || value > 65535 || *end)
        return error_set(err, ERR_USAGE, "endpoint \"%.100s\": the port \"%s\" is not a number from 1 "
                         "to 65535 (or * for any)", text, port);
    e->port = (int)value;
    return 0;
}

/* Copy `length` bytes of a host and say what kind of address it is. */
static int parse_host(const char *text, const char *host, size_t length, struct endpoint *e,
                      struct error *err)
{
    unsigned char address[sizeof(struct in6_addr)];
    if (length == 0 || length >= sizeof(e->host))
        return error_set(err, ERR_USAGE, "endpoint \"%.100s\": the host name is %s", text,
                         length ? "too long" : "missing");
    if (length == strlen("localhost") && strncmp(host, "localhost", length) == 0) {
        host = "127.0.0.1";
        length = strlen(host);
    }
    memcpy(e->host, host, length);
    e->host[length] = '\0';
    if (e->is_ipv6) {
        if (inet_pton(AF_INET6, e->host, address) != 1)
            return error_set(err, ERR_USAGE, "endpoint \"%.100s\": \"%s\" is not an IPv6 address",
                             text, e->host);
        e->is_loopback = memcmp(address, &in6addr_loopback, sizeof(in6addr_loopback)) == 0;
        e->is_wildcard = memcmp(address, &in6addr_any, sizeof(in6addr_any)) == 0;
    } else if (strcmp(e->host, "*") == 0) {
        e->is_wildcard = true;
    } else if (inet_pton(AF_INET, e->host, address) == 1) {
        e->is_loopback = address[0] == 127;
        e->is_wildcard = memcmp(address, (unsigned char[4]){ 0 }, 4) == 0;
    } else if (strchr(e->host, ':')) {
        return error_set(err, ERR_USAGE, "endpoint \"%.100s\": write an IPv6 address in brackets, as "
                         "in tcp://[::1]:5555", text);
    } else {
        size_t good = strspn(e->host, NAME_CHARACTERS);
        if (e->host[good])
            return error_set(err, ERR_USAGE, "endpoint \"%.100s\": \"%s\" is neither an address nor a "
                             "name", text, e->host);
    }
    return 0;
}

static int parse_tcp(const char *text, const char *rest, struct endpoint *e, struct error *err)
{
    const char *colon = strrchr(rest, ':');
    const char *bracket = rest[0] == '[' ? strchr(rest, ']') : NULL;
    if (rest[0] == '[' && !bracket)
        return error_set(err, ERR_USAGE, "endpoint \"%.100s\": the closing bracket is missing", text);
    if (!colon || (bracket && colon != bracket + 1))
        return error_set(err, ERR_USAGE, "endpoint \"%.100s\" has no port; write it as in " EXAMPLES,
                         text);
    e->is_ipv6 = bracket != NULL;
    const char *host = rest + e->is_ipv6;
    const char *host_end = bracket ? bracket : colon;
    int rc = parse_host(text, host, (size_t)(host_end - host), e, err);
    return rc ? rc : parse_port(text, colon + 1, e, err);
}

int endpoint_parse(const char *text, struct endpoint *e, struct error *err)
{
    memset(e, 0, sizeof(*e));
    if (strncmp(text, "tcp://", 6) == 0)
        return parse_tcp(text, text + 6, e, err);
    if (strncmp(text, "ipc://", 6) == 0)
        return parse_ipc(text, text + 6, e, err);
    return error_set(err, ERR_USAGE, "endpoint \"%.100s\" starts with neither tcp:// nor ipc://; "
                     "write it as in " EXAMPLES, text);
}

void endpoint_format(const struct endpoint *e, int port, const char *suffix,
                     char text[static ENDPOINT_BYTES])
{
    char number[16] = "*";
    if (port != ENDPOINT_ANY_PORT)
        snprintf(number, sizeof(number), "%d", port);
    if (e->is_ipc)
        snprintf(text, ENDPOINT_BYTES, "ipc://%s%s", e->host, suffix);
    else
        snprintf(text, ENDPOINT_BYTES, e->is_ipv6 ? "tcp://[%s]:%s" : "tcp://%s:%s", e->host,
                 number);
}

int zmq_endpoint_check(const char *endpoint, bool allow_remote, struct error *err)
{
    struct endpoint e;
    int rc = endpoint_parse(endpoint, &e, err);
    if (rc || e.is_loopback || allow_remote)
        return rc;
    return error_set(err, ERR_USAGE, "endpoint \"%.100s\" is not on this machine's loopback, and "
                     "traffic is neither encrypted nor authenticated: anyone on the network could "
                     "read or steer the training; use 127.0.0.1 or an ipc path (an ssh tunnel "
                     "reaches both), or accept that with --insecure", endpoint);
}
