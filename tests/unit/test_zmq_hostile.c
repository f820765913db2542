/* What misbehaving peers can do to a hub, and must not. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "tests/unit/zmq_support.h"

/* A bare DEALER, with a routing id of `id_bytes` bytes unless that is 0. */
static void *dealer(void *context, const struct link *hub, size_t id_bytes)
{
    void *socket = zmq_socket(context, ZMQ_DEALER);
    zmq_setsockopt(socket, ZMQ_LINGER, &(int){ 0 }, sizeof(int));
    zmq_setsockopt(socket, ZMQ_SNDHWM, &(int){ 0 }, sizeof(int));
    if (id_bytes)
        zmq_setsockopt(socket, ZMQ_ROUTING_ID, "ABCDEFGHIJ", id_bytes);
    ck_assert_int_eq(zmq_connect(socket, zmq_hub_endpoint(hub)), 0);
    return socket;
}

static void send_parts(void *socket, int n_parts)
{
    for (int i = 1; i <= n_parts; i++)
        ck_assert_int_eq(zmq_send(socket, "part", 4, i < n_parts ? ZMQ_SNDMORE : 0), 4);
}

START_TEST(multipart_and_empty_messages_are_dropped)
{
    struct link *hub = hub_at(LOOPBACK);
    void *context = zmq_ctx_new(), *rogue = dealer(context, hub, 0);
    uint64_t peer;
    int number = 5;
    send_parts(rogue, 2);
    send_parts(rogue, 3);
    zmq_send(rogue, "", 0, 0);
    zmq_send(rogue, &number, sizeof(number), 0);
    ck_assert_int_eq(receive_number(hub, &peer, 2000), 5);
    zmq_send(rogue, "", 0, ZMQ_SNDMORE);
    zmq_send(rogue, &number, sizeof(number), 0);
    ck_assert_int_eq(receive_number(hub, &peer, 100), -1);

    /* A flood is gone through bit by bit, and then the next message is right. */
    send_parts(rogue, 100000);
    number = 6;
    zmq_send(rogue, &number, sizeof(number), 0);
    double give_up = seconds() + 10;
    struct frame *f = NULL;
    int n_calls = 0;
    for (; !f && seconds() < give_up; n_calls++) {
        link_wait(hub, 100);
        f = link_receive(hub, &peer);
    }
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(f->size, sizeof(number));
    ck_assert_mem_eq(f->data, &number, sizeof(number));
    frame_release(f);
    ck_assert_int_ge(n_calls, 100);
    ck_assert_int_eq(link_send(hub, peer, make(7, 10)), 0);
    zmq_close(rogue);
    zmq_ctx_term(context);
    end(hub, NULL, NULL);
}
END_TEST

START_TEST(routing_ids_up_to_seven_bytes_are_answered_others_dropped)
{
    struct link *hub = hub_at(LOOPBACK);
    void *context = zmq_ctx_new();
    static const size_t sizes[] = { 1, 7, 8 };
    for (int i = 0; i < 3; i++) {
        void *socket = dealer(context, hub, sizes[i]);
        uint64_t peer;
        zmq_send(socket, &i, sizeof(i), 0);
        ck_assert_int_eq(receive_number(hub, &peer, sizes[i] > 7 ? 300 : 2000),
                         sizes[i] > 7 ? -1 : i);
        if (sizes[i] <= 7) {
            char answer[16];
            ck_assert_int_eq(link_send(hub, peer, make(i, 10)), 0);
            ck_assert_int_eq(zmq_recv(socket, answer, sizeof(answer), 0), 10);
        }
        zmq_close(socket);
    }
    zmq_ctx_term(context);
    end(hub, NULL, NULL);
}
END_TEST

START_TEST(senders_to_the_snapshot_socket_do_not_disturb)
{
    struct link *hub = hub_at(LOOPBACK);
    uint64_t peer;
    struct link *a = introduced(hub, &peer);
    subscribe(a, hub);
    void *context = zmq_ctx_new(), *rogue = zmq_socket(context, ZMQ_XSUB);
    zmq_setsockopt(rogue, ZMQ_LINGER, &(int){ 0 }, sizeof(int));
    char text[64];
    snprintf(text, sizeof(text), "tcp://127.0.0.1:%d", zmq_hub_snapshot_port(hub));
    ck_assert_int_eq(zmq_connect(rogue, text), 0);
    pause_ms(200);
    char topic[900] = "\1";
    for (int i = 0; i < 2000; i++) {
        snprintf(topic + 1, sizeof(topic) - 1, "%d", i);
        zmq_send(rogue, topic, sizeof(topic), ZMQ_DONTWAIT);
        zmq_send(rogue, "\7noise", 6, ZMQ_DONTWAIT);
    }
    link_wait(hub, 200);
    char oversize[2000] = "\1";
    zmq_send(rogue, oversize, sizeof(oversize), 0);
    for (int i = 0; i < 20; i++)
        link_wait(hub, 20);
    zmq_close(rogue);
    zmq_ctx_term(context);
    /* Soon nothing is left to read. */
    double waited = 0;
    for (int i = 0; i < 100 && waited < 0.04; i++) {
        double start = seconds();
        link_wait(hub, 50);
        waited = seconds() - start;
    }
    ck_assert_double_ge(waited, 0.04);
    /* The fast path may lose a snapshot, but not one after the other. */
    int number = -1;
    for (int i = 0; i < 10 && number < 0; i++) {
        link_publish(hub, make(3, 1000));
        number = receive_number(a, &peer, 500);
    }
    ck_assert_int_eq(number, 3);
    end(hub, a, NULL);
}
END_TEST

static int tcp_connect(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static int tcp_listen(int *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)), 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    getsockname(fd, (struct sockaddr *)&address, &bytes);
    *port = ntohs(address.sin_port);
    return fd;
}

START_TEST(garbage_on_the_wire_does_not_disturb)
{
    struct link *hub = hub_at(LOOPBACK);
    uint64_t a_peer, peer;
    struct link *a = introduced(hub, &a_peer);
    subscribe(a, hub);
    const int ports[] = { port_of(hub), zmq_hub_snapshot_port(hub) };
    const char http[] = "GET / HTTP/1.1\r\nHost: shoal\r\n\r\n";
    uint64_t state = 1;
    int fds[40];
    for (int i = 0; i < 40; i++) {
        unsigned char noise[500];
        for (size_t k = 0; k < sizeof(noise); k++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            noise[k] = (unsigned char)(state >> 56);
        }
        if (i % 4 == 0)    /* a right beginning, so that more of it is read */
            memcpy(noise, "\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32);
        fds[i] = tcp_connect(ports[i / 4 % 2]);
        const void *bytes = i % 4 == 1 ? (const void *)http : noise;
        send(fds[i], bytes, i % 4 == 1 ? sizeof(http) - 1 : sizeof(noise), MSG_NOSIGNAL);
        if (i % 2)
            close(fds[i]);
    }
    for (int i = 0; i < 50; i++) {
        send_patiently(a, 0, i, 1000);
        struct frame *f;
        /* Some garbage reads as a message of ZMTP 1: it is the decoder's to refuse. */
        while ((f = receive(hub, &peer, 2000)) && peer != a_peer)
            frame_release(f);
        ck_assert_ptr_nonnull(f);
        ck_assert_uint_eq(f->size, 1000);
        frame_release(f);
        ck_assert_int_eq(link_send(hub, peer, make(i, 1000)), 0);
        ck_assert_int_eq(receive_number(a, &peer, 2000), i);
    }
    link_publish(hub, make(77, 1000));
    ck_assert_int_eq(receive_number(a, &peer, 2000), 77);
    for (int i = 0; i < 40; i += 2)
        close(fds[i]);
    end(hub, a, NULL);
}
END_TEST

/* Speak ZMTP on `fd` as a socket of the given type does, up to where messages may follow. */
static void greet(int fd, const char *type)
{
    static const char greeting[64] = "\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL";
    char ready[64] = "\4\0\5READY\13Socket-Type\0\0\0";
    size_t length = strlen(type);
    ready[1] = (char)(22 + length);
    ready[23] = (char)length;
    memcpy(ready + 24, type, length);
    ck_assert_int_eq(send(fd, greeting, sizeof(greeting), 0), sizeof(greeting));
    ck_assert_int_eq(send(fd, ready, 24 + length, 0), 24 + length);
}

enum { FLOOD = 2000 };

/* Send many messages of one byte and perhaps a PING, and reset the connection. */
static void flood_and_reset(int fd, bool has_ping)
{
    char bytes[3 * FLOOD + 9];
    for (int i = 0; i < FLOOD; i++)
        memcpy(bytes + 3 * i, "\0\1x", 3);
    memcpy(bytes + 3 * FLOOD, "\4\7\4PING\0\0", 9);
    pause_ms(50);
    size_t size = sizeof(bytes) - (has_ping ? 0 : 9);
    ck_assert_int_eq(send(fd, bytes, size, 0), size);
    pause_ms(50);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
    close(fd);
    pause_ms(50);
}

/* What makes libzmq abort when a receive queue has a mark to be full at. */
START_TEST(a_flood_with_a_ping_and_a_reset_does_no_harm)
{
    struct link *hub = hub_at(LOOPBACK);
    uint64_t peer;
    struct link *a = introduced(hub, &peer);
    const int ports[] = { zmq_hub_snapshot_port(hub), port_of(hub) };
    for (int i = 0; i < 2; i++) {
        int fd = tcp_connect(ports[i]);
        greet(fd, i ? "DEALER" : "XSUB");
        flood_and_reset(fd, true);
    }
    for (int i = 0; i < 20; i++)
        link_wait(hub, 10);
    int n = 0;
    for (struct frame *f; (f = receive(hub, &peer, 100)); n++)
        frame_release(f);
    ck_assert_int_eq(n, FLOOD);
    send_patiently(a, 0, 5, 100);
    ck_assert_int_eq(receive_number(hub, &peer, 2000), 5);
    end(hub, a, NULL);
}
END_TEST

/* An actor's queue has a mark; there the abort would come from a heartbeat timer of its own. */
START_TEST(a_learner_that_resets_does_no_harm_to_an_actor_with_a_full_queue)
{
    int port = 0, listener = tcp_listen(&port);
    char endpoint[64];
    snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.1:%d", port);
    struct link *a = actor_at(endpoint);
    int fd = accept(listener, NULL, NULL);
    close(listener);
    greet(fd, "ROUTER");
    flood_and_reset(fd, false);
    pause_ms(1500);
    int n = 0;
    for (struct frame *f; (f = receive(a, NULL, 100)); n++)
        frame_release(f);
    ck_assert_int_ge(n, limits.queue_messages);
    struct link *hub = hub_at(endpoint);
    uint64_t peer;
    send_patiently(a, 0, 5, 100);
    ck_assert_int_eq(receive_number(hub, &peer, 5000), 5);
    end(hub, a, NULL);
}
END_TEST

/* Whether the other side closes `fd` within `timeout_s`. */
static bool is_closed(int fd, double timeout_s)
{
    struct pollfd item = { .fd = fd, .events = POLLIN };
    char bytes[64];
    double start = seconds();
    while (seconds() - start < timeout_s)
        if (poll(&item, 1, 100) > 0 && read(fd, bytes, sizeof(bytes)) <= 0)
            return true;
    return false;
}

START_TEST(a_long_subscription_is_cut)
{
    struct link *hub = hub_at(LOOPBACK);
    int fd = tcp_connect(zmq_hub_snapshot_port(hub));
    greet(fd, "SUB");
    char message[9 + 1025] = "\2\0\0\0\0\0\0\4\1\1";    /* a long frame of 1025 bytes */
    ck_assert(!is_closed(fd, 0.2));
    send(fd, message, sizeof(message), 0);
    ck_assert(is_closed(fd, 2));
    close(fd);
    end(hub, NULL, NULL);
}
END_TEST

START_TEST(a_connection_that_says_nothing_is_cut)
{
    struct link *hub = hub_at(LOOPBACK);
    double start = seconds();
    int fd = tcp_connect(port_of(hub));
    ck_assert(is_closed(fd, 6));
    ck_assert_double_ge(seconds() - start, 4);
    close(fd);
    end(hub, NULL, NULL);
}
END_TEST

/* The kernel finds connections whose other host is gone; here only that it was told to. */
START_TEST(every_connection_is_watched_by_the_kernel)
{
    struct link *hub = hub_at(LOOPBACK);
    uint64_t peer;
    struct link *a = introduced(hub, &peer);
    subscribe(a, hub);
    pause_ms(200);
    int n = 0;
    for (int fd = 3; fd < 256; fd++) {
        struct sockaddr_in address;
        int value = 0;
        if (getpeername(fd, (struct sockaddr *)&address, &(socklen_t){ sizeof(address) }) != 0 ||
            address.sin_family != AF_INET)
            continue;
        n++;
        getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &(socklen_t){ sizeof(value) });
        ck_assert_int_eq(value, 1);
        getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &(socklen_t){ sizeof(value) });
        ck_assert_int_eq(value, 1);
        getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &(socklen_t){ sizeof(value) });
        ck_assert_int_eq(value, 5000);
    }
    ck_assert_int_eq(n, 4);    /* both ends of two */
    end(hub, a, NULL);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        multipart_and_empty_messages_are_dropped,
        routing_ids_up_to_seven_bytes_are_answered_others_dropped,
        senders_to_the_snapshot_socket_do_not_disturb,
        garbage_on_the_wire_does_not_disturb,
        a_flood_with_a_ping_and_a_reset_does_no_harm,
        a_learner_that_resets_does_no_harm_to_an_actor_with_a_full_queue,
        a_long_subscription_is_cut,
        a_connection_that_says_nothing_is_cut,
        every_connection_is_watched_by_the_kernel,
    };
    return suite_run("zmq_hostile", tests, TEST_COUNT(tests), 30);
}
