/* The sink: who the benchmark delivers to. A small HTTP/1.1 server that keeps exact books.
 *
 *     sink PORTS [SILENT]
 *
 * opens PORTS receiving ports and one control port on 127.0.0.1, prints their numbers on one line, control first, and
 * serves until its standard input ends, so that it never outlives whoever started it. The last SILENT ports read and
 * count every request, book none and never answer.
 *
 * A receiving port answers each complete request 200 and books it by its `webhook-id`: the first of an id on a port is
 * an arrival, with the moment of its last byte (CLOCK_MONOTONIC); others of that id on that port are repeats. What is
 * not understood (no id, no content-length, a chunked body) is answered 400 and counted as bad.
 *
 * The control port knows
 *     GET /stats            {"requests":N,"arrivals":N,"repeats":N,"unanswered":N,"bad":N}
 *     GET /arrivals/FROM    one line for each arrival since number FROM, in order: webhook-id, index of the port, ns
 *
 * One thread, one epoll. Nothing is ever dropped from the books; out of memory ends the program.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_PORTS 1024
#define MAX_ID 53
#define BUFFER_BYTES 16384
#define CONTROL (-1)

struct arrival {
    int64_t at_ns;
    uint16_t port;
    uint8_t id_length;
    char id[MAX_ID];
};

struct peer { /* a listening socket, or a connection */
    int fd;
    int port; /* index of the port, or CONTROL */
    int is_listener;
    int in_body;
    uint64_t body_left;
    int bad;
    size_t used;
    size_t id_length;
    char id[MAX_ID];
    char path[64];
    char buffer[];
};

static struct arrival *arrivals;
static size_t arrival_count, arrival_capacity = 1 << 16;
static uint32_t *slots; /* a hash table: 0 is free, else 1 + index into arrivals */
static size_t slot_count = 1 << 18;
static uint64_t request_count, repeat_count, unanswered_count, bad_count;
static int epoll_fd, answering_ports;

static void *must(void *memory) {
    if (memory == NULL) {
        perror("sink: memory");
        exit(1);
    }
    return memory;
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* -- the books -- */

static uint64_t hash_of(const char *id, size_t length, int port) {
    uint64_t hash = 14695981039346656037u ^ (uint64_t)port; /* FNV-1a, then mixed: the table takes the low bits */
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)id[i]) * 1099511628211u;
    hash ^= hash >> 32;
    return hash * 0x9E3779B97F4A7C15u >> 20;
}

static uint32_t *slot_for(const char *id, size_t length, int port) {
    size_t at = hash_of(id, length, port) & (slot_count - 1);
    while (slots[at]) {
        const struct arrival *other = &arrivals[slots[at] - 1];
        if (other->port == port && other->id_length == length && memcmp(other->id, id, length) == 0)
            break;
        at = (at + 1) & (slot_count - 1);
    }
    return &slots[at];
}

static void grow(void) {
    if (arrival_count == arrival_capacity) {
        arrival_capacity *= 2;
        arrivals = must(realloc(arrivals, arrival_capacity * sizeof *arrivals));
    }
    if (arrival_count * 2 < slot_count)
        return;
    free(slots);
    slot_count *= 2;
    slots = must(calloc(slot_count, sizeof *slots));
    for (size_t i = 0; i < arrival_count; i++)
        *slot_for(arrivals[i].id, arrivals[i].id_length, arrivals[i].port) = (uint32_t)i + 1;
}

static void book(const struct peer *peer) {
    uint32_t *slot = slot_for(peer->id, peer->id_length, peer->port);
    if (*slot) {
        repeat_count++;
        return;
    }
    struct arrival *arrival = &arrivals[arrival_count++];
    *slot = (uint32_t)arrival_count;
    arrival->at_ns = now_ns();
    arrival->port = (uint16_t)peer->port;
    arrival->id_length = (uint8_t)peer->id_length;
    memcpy(arrival->id, peer->id, peer->id_length);
    grow();
}

/* -- answers -- */

static int send_all(int fd, const char *bytes, size_t length) {
    while (length) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0)
            return -1;
        bytes += sent;
        length -= (size_t)sent;
    }
    return 0;
}

static int send_text(const struct peer *peer, const char *body, size_t length) {
    char head[96];
    int head_length = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\n\r\n", length);
    fcntl(peer->fd, F_SETFL, fcntl(peer->fd, F_GETFL) & ~O_NONBLOCK); /* nobody is measured meanwhile: let it wait */
    return send_all(peer->fd, head, (size_t)head_length) || send_all(peer->fd, body, length) ? -1 : 0;
}

static int answer_control(const struct peer *peer) {
    size_t from, line = MAX_ID + 32;
    if (strcmp(peer->path, "/stats") == 0) {
        char body[200];
        int length = snprintf(body, sizeof body,
                              "{\"requests\":%lu,\"arrivals\":%zu,\"repeats\":%lu,\"unanswered\":%lu,\"bad\":%lu}",
                              (unsigned long)request_count, arrival_count, (unsigned long)repeat_count,
                              (unsigned long)unanswered_count, (unsigned long)bad_count);
        return send_text(peer, body, (size_t)length);
    }
    if (sscanf(peer->path, "/arrivals/%zu", &from) != 1)
        return -1;
    size_t count = from < arrival_count ? arrival_count - from : 0, length = 0;
    char *body = must(malloc(count * line + 1));
    for (size_t i = from; i < arrival_count; i++)
        length += (size_t)snprintf(body + length, line, "%.*s %d %ld\n", arrivals[i].id_length, arrivals[i].id,
                                   arrivals[i].port, (long)arrivals[i].at_ns);
    int result = send_text(peer, body, length);
    free(body);
    return result;
}

static int answer(const struct peer *peer) {
    static const char good[] = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    static const char bad[] = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    if (peer->port == CONTROL)
        return answer_control(peer);
    request_count++;
    if (peer->bad || peer->id_length == 0) {
        bad_count++;
        send_all(peer->fd, bad, sizeof bad - 1);
        return -1;
    }
    if (peer->port >= answering_ports) {
        unanswered_count++;
        return 0;
    }
    book(peer);
    return send_all(peer->fd, good, sizeof good - 1);
}

/* -- requests -- */

static void read_header(struct peer *peer, const char *line, size_t length) {
    static const char id[] = "webhook-id:", size[] = "content-length:", coding[] = "transfer-encoding:";
    if (length >= sizeof size - 1 && strncasecmp(line, size, sizeof size - 1) == 0)
        peer->body_left = strtoull(line + sizeof size - 1, NULL, 10);
    else if (length >= sizeof coding - 1 && strncasecmp(line, coding, sizeof coding - 1) == 0)
        peer->bad = 1;
    else if (length >= sizeof id - 1 && strncasecmp(line, id, sizeof id - 1) == 0) {
        const char *value = line + sizeof id - 1;
        size_t value_length = length - (sizeof id - 1);
        for (; value_length && *value == ' '; value++)
            value_length--;
        if (value_length > MAX_ID)
            peer->bad = 1;
        else
            memcpy(peer->id, value, peer->id_length = value_length);
    }
}

/* Takes one head off the buffer; its length, 0 if it is not complete, -1 if it is none. */
static ssize_t read_head(struct peer *peer, char *start, size_t length) {
    char *end = memmem(start, length, "\r\n\r\n", 4);
    if (end == NULL)
        return length < BUFFER_BYTES ? 0 : -1;
    *end = '\0';
    peer->body_left = 0;
    peer->bad = 0;
    peer->id_length = 0;
    if (sscanf(start, "%*15s %63s", peer->path) != 1)
        return -1;
    for (char *line = strstr(start, "\r\n"); line != NULL;) {
        line += 2;
        char *next = strstr(line, "\r\n");
        read_header(peer, line, next ? (size_t)(next - line) : (size_t)(end - line));
        line = next;
    }
    return end + 4 - start;
}

static int consume(struct peer *peer) {
    size_t at = 0;
    for (;;) {
        if (!peer->in_body) {
            ssize_t head = read_head(peer, peer->buffer + at, peer->used - at);
            if (head < 0)
                return -1;
            if (head == 0)
                break;
            at += (size_t)head;
            peer->in_body = 1;
        }
        size_t part = peer->used - at;
        if (part > peer->body_left)
            part = (size_t)peer->body_left;
        at += part;
        peer->body_left -= part;
        if (peer->body_left)
            break;
        peer->in_body = 0;
        if (answer(peer))
            return -1;
    }
    peer->used -= at;
    memmove(peer->buffer, peer->buffer + at, peer->used);
    return 0;
}

/* -- sockets -- */

static struct peer *watch(int fd, int port, int is_listener) {
    struct peer *peer = must(calloc(1, sizeof *peer + (is_listener ? 0 : BUFFER_BYTES)));
    peer->fd = fd;
    peer->port = port;
    peer->is_listener = is_listener;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    return peer;
}

static int listen_on_any_port(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)&address, &length)) {
        perror("sink: listen");
        exit(1);
    }
    watch(fd, port, 1);
    return ntohs(address.sin_port);
}

static void accept_all(const struct peer *listener) {
    for (int fd, on = 1; (fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(fd, listener->port, 0);
    }
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
        perror("sink: accept");
        exit(1);
    }
}

static void receive(struct peer *peer) {
    ssize_t length = read(peer->fd, peer->buffer + peer->used, BUFFER_BYTES - peer->used);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length > 0) {
        peer->used += (size_t)length;
        if (consume(peer) == 0)
            return;
    }
    close(peer->fd);
    free(peer);
}

int main(int argc, char **argv) {
    int ports = argc > 1 ? atoi(argv[1]) : 0, silent = argc > 2 ? atoi(argv[2]) : 0;
    if (ports < 1 || ports > MAX_PORTS || silent < 0 || silent > ports) {
        fprintf(stderr, "usage: sink PORTS [SILENT]   (1 to %d ports)\n", MAX_PORTS);
        return 2;
    }
    signal(SIGINT, SIG_IGN); /* Ctrl-C is for whoever started us, and reaches us as the end of our input */
    answering_ports = ports - silent;
    arrivals = must(malloc(arrival_capacity * sizeof *arrivals));
    slots = must(calloc(slot_count, sizeof *slots));
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    printf("%d", listen_on_any_port(CONTROL));
    for (int port = 0; port < ports; port++)
        printf(" %d", listen_on_any_port(port));
    printf("\n");
    fflush(stdout);
    const struct peer *input = watch(STDIN_FILENO, CONTROL, 1);
    for (;;) {
        struct epoll_event events[256];
        int count = epoll_wait(epoll_fd, events, 256, -1);
        for (int i = 0; i < count; i++) {
            struct peer *peer = events[i].data.ptr;
            if (peer == input)
                return 0;
            if (peer->is_listener)
                accept_all(peer);
            else
                receive(peer);
        }
    }
}
