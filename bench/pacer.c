/* The pacer: an open-loop generator. It sends at set moments, whatever the server does, and says when each answer came.
 *
 *     pacer PORT RATE COUNT CONNECTIONS <REQUESTS
 *
 * REQUESTS are complete HTTP/1.1 requests, each after a line with its length in bytes; they are sent in turn. Request
 * number i is due i / RATE seconds after the start, and its latency counts from then: waiting for the server, for a
 * connection or for this program is part of it. When all CONNECTIONS are busy, the request waits for one.
 *
 * At the end, one line for each request: due (ns, CLOCK_MONOTONIC), answered (ns, or 0), status (or 0), message id
 * (or -). Waits for late answers for ANSWER_WAIT_NS and no longer.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000LL
#define ANSWER_WAIT_NS (10 * SECOND_NS)
#define START_DELAY_NS (SECOND_NS / 10)
#define BUFFER_BYTES 16384
#define MAX_CONNECTIONS 1024
#define MAX_REQUESTS 64
#define MAX_ID 64

struct sample {
    int64_t due_ns, answered_ns;
    int status;
    char id[MAX_ID];
};

struct connection {
    int fd;
    int64_t sample; /* what it waits for; -1: idle */
    size_t used;
    char buffer[BUFFER_BYTES];
};

static struct sample *samples;
static int64_t sample_count, due_count, sent_count, finished_count;
static struct connection connections[MAX_CONNECTIONS];
static int idle[MAX_CONNECTIONS], idle_count;
static char *requests[MAX_REQUESTS];
static size_t request_lengths[MAX_REQUESTS];
static int request_count;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

static void read_requests(void) {
    size_t length;
    while (request_count < MAX_REQUESTS && scanf("%zu", &length) == 1) {
        getchar(); /* the line's end */
        char *request = malloc(length);
        if (request == NULL || fread(request, 1, length, stdin) != length)
            fail("pacer: requests");
        requests[request_count] = request;
        request_lengths[request_count++] = length;
    }
}

static int connect_to(int port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))
        fail("pacer: connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void finish(struct connection *connection, int status) {
    struct sample *sample = &samples[connection->sample];
    sample->answered_ns = status ? now_ns() : 0;
    sample->status = status;
    finished_count++;
    connection->sample = -1;
    connection->used = 0;
    if (status)
        idle[idle_count++] = (int)(connection - connections);
}

/* The request that the connection waited for has no answer and will get none. The others go on. */
static void lose(struct connection *connection) {
    if (connection->sample >= 0)
        finish(connection, 0);
    for (int i = 0; i < idle_count; i++)
        if (&connections[idle[i]] == connection)
            idle[i--] = idle[--idle_count];
    close(connection->fd);
}

static void send_due(void) {
    for (; sent_count < due_count && idle_count; sent_count++) {
        struct connection *connection = &connections[idle[--idle_count]];
        int which = (int)(sent_count % request_count);
        connection->sample = sent_count;
        ssize_t sent = send(connection->fd, requests[which], request_lengths[which], MSG_NOSIGNAL);
        if (sent != (ssize_t)request_lengths[which])
            lose(connection);
    }
}

static void read_answer(struct connection *connection) {
    char *buffer = connection->buffer;
    ssize_t length = read(connection->fd, buffer + connection->used, BUFFER_BYTES - 1 - connection->used);
    if (length <= 0) {
        lose(connection);
        return;
    }
    connection->used += (size_t)length;
    buffer[connection->used] = '\0';
    const char *body = strstr(buffer, "\r\n\r\n"), *size = strcasestr(buffer, "\r\ncontent-length:");
    if (body == NULL)
        return;
    body += 4;
    size_t body_length = size && size < body ? strtoul(size + 17, NULL, 10) : 0;
    if (connection->used < (size_t)(body - buffer) + body_length)
        return;
    const char *id = strstr(body, "\"id\":\"");
    if (id != NULL)
        sscanf(id + 6, "%63[^\"]", samples[connection->sample].id);
    finish(connection, atoi(buffer + 9));
}

static void watch(int epoll_fd, int fd, uint32_t number) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
        fail("pacer: epoll");
}

static void set_timer(int timer_fd, int64_t at_ns) {
    struct itimerspec at = {.it_value = {.tv_sec = at_ns / SECOND_NS, .tv_nsec = at_ns % SECOND_NS}};
    if (timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &at, NULL))
        fail("pacer: timer");
}

/* Sends everything at its moment. The timer stands at the next due request; after the last, at the end of patience. */
static void run(int epoll_fd, int timer_fd) {
    int64_t give_up_ns = samples[sample_count - 1].due_ns + ANSWER_WAIT_NS;
    set_timer(timer_fd, samples[0].due_ns);
    while (finished_count < sample_count) {
        struct epoll_event events[64];
        int count = epoll_wait(epoll_fd, events, 64, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u32 < MAX_CONNECTIONS) {
                read_answer(&connections[events[i].data.u32]);
                continue;
            }
            uint64_t expirations;
            if (read(timer_fd, &expirations, sizeof expirations) < 0 && errno != EAGAIN)
                fail("pacer: timer");
            int64_t now = now_ns();
            if (now >= give_up_ns)
                return;
            while (due_count < sample_count && samples[due_count].due_ns <= now)
                due_count++;
            set_timer(timer_fd, due_count < sample_count ? samples[due_count].due_ns : give_up_ns);
        }
        send_due();
    }
}

int main(int argc, char **argv) {
    int port = argc > 4 ? atoi(argv[1]) : 0, connection_count = argc > 4 ? atoi(argv[4]) : 0;
    double rate = argc > 4 ? atof(argv[2]) : 0;
    sample_count = argc > 4 ? atoll(argv[3]) : 0;
    if (port < 1 || rate <= 0 || sample_count < 1 || connection_count < 1 || connection_count > MAX_CONNECTIONS) {
        fprintf(stderr, "usage: pacer PORT RATE COUNT CONNECTIONS <REQUESTS   (at most %d)\n", MAX_CONNECTIONS);
        return 2;
    }
    read_requests();
    samples = calloc((size_t)sample_count, sizeof *samples);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (request_count == 0 || samples == NULL || epoll_fd < 0 || timer_fd < 0)
        fail("pacer: start");
    prctl(PR_SET_TIMERSLACK, 1UL); /* the kernel's usual 50 us would be ours, and counted as the server's */
    watch(epoll_fd, timer_fd, MAX_CONNECTIONS);
    for (int i = connection_count - 1; i >= 0; i--) {
        connections[i] = (struct connection){.fd = connect_to(port), .sample = -1};
        watch(epoll_fd, connections[i].fd, (uint32_t)i);
        idle[idle_count++] = i;
    }
    int64_t start_ns = now_ns() + START_DELAY_NS;
    for (int64_t i = 0; i < sample_count; i++)
        samples[i].due_ns = start_ns + (int64_t)((double)i * (double)SECOND_NS / rate);
    run(epoll_fd, timer_fd);
    for (int64_t i = 0; i < sample_count; i++)
        printf("%ld %ld %d %s\n", (long)samples[i].due_ns, (long)samples[i].answered_ns, samples[i].status,
               samples[i].id[0] ? samples[i].id : "-");
    return 0;
}
