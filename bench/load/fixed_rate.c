// Sends HTTP/1.1 GETs at a fixed rate, whatever the answers do, and prints how long they took as one line of JSON.
//
//   fixed_rate PORT REQUESTS_PER_SECOND SECONDS CONNECTIONS
//
// An open loop: request i is due at start + i / rate, and its latency counts from then, not from when it could be sent. A generator
// that waits for slow answers before it goes on would leave out just the requests that suffered ("coordinated omission").
// A request for which no connection is free waits, and the wait is in its latency. One thread, which sleeps between two requests:
// one that spins would keep the origin, with which it shares its core, from answering. Every answer has to be a 200 with
// Content-Length; anything else ends the run with status 1.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 1024, ANSWER_SIZE = 4096, PATIENCE_NS = 2000000000 };

static const char REQUEST[] = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n";

struct connection {
    int socket;
    int64_t due;         // When the request in flight was due.
    size_t received;
    char answer[ANSWER_SIZE + 1];
};

static struct connection connections[MAX_CONNECTIONS];
static struct connection *idle[MAX_CONNECTIONS];
static int idle_count;

static void fail(const char *what) {
    fprintf(stderr, "fixed_rate: %s\n", what);
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int connect_to(int port) {
    int one = 1;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof address) < 0) {
        fail("cannot connect");
    }
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return descriptor;
}

// The whole length of the answer once its head is there; 0 before that.
static size_t answer_length(const struct connection *connection) {
    const char *end = strstr(connection->answer, "\r\n\r\n");
    if (end == NULL) {
        return 0;
    }
    if (strncmp(connection->answer, "HTTP/1.1 200 ", 13) != 0) {
        fail("an answer is not a 200");
    }
    const char *length = strcasestr(connection->answer, "\r\ncontent-length:");
    if (length == NULL || length > end) {
        fail("an answer has no Content-Length");
    }
    return (size_t)(end + 4 - connection->answer) + strtoul(length + 17, NULL, 10);
}

static void send_request(struct connection *connection, int64_t due) {
    connection->due = due;
    connection->received = 0;
    if (send(connection->socket, REQUEST, sizeof REQUEST - 1, MSG_NOSIGNAL) != sizeof REQUEST - 1) {
        fail("a request could not be sent");
    }
}

// True when the answer is whole.
static int receive(struct connection *connection) {
    ssize_t count = recv(connection->socket, connection->answer + connection->received, ANSWER_SIZE - connection->received, MSG_DONTWAIT);
    if (count <= 0) {
        if (count < 0 && errno == EAGAIN) {
            return 0;
        }
        fail("a connection was closed");
    }
    connection->received += count;
    connection->answer[connection->received] = 0;
    size_t length = answer_length(connection);
    if (length > ANSWER_SIZE || (length > 0 && connection->received > length)) {
        fail("an answer is too long");
    }
    return length > 0 && connection->received == length;
}

static int by_value(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static double percentile_us(const int64_t *sorted, long count, double share) {
    long index = (long)(share * count);
    return sorted[index < count ? index : count - 1] / 1000.0;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fail("usage: fixed_rate PORT REQUESTS_PER_SECOND SECONDS CONNECTIONS");
    }
    long rate = atol(argv[2]), total = rate * atol(argv[3]), connection_count = atol(argv[4]);
    if (rate < 1 || total < 1 || connection_count < 1 || connection_count > MAX_CONNECTIONS) {
        fail("rate, seconds and connections have to be at least 1, connections at most 1024");
    }

    // Without this the kernel may wake the thread up to 50 us after a request is due (prctl(2), PR_SET_TIMERSLACK).
    prctl(PR_SET_TIMERSLACK, 1UL);

    int epoll = epoll_create1(0);
    int64_t *latencies = malloc(total * sizeof *latencies);
    if (epoll < 0 || latencies == NULL) {
        fail("out of descriptors or memory");
    }
    for (long i = 0; i < connection_count; i++) {
        connections[i].socket = connect_to(atoi(argv[1]));
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = &connections[i] };
        epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].socket, &event);
        idle[idle_count++] = &connections[i];
    }

    int64_t start = now_ns() + 1000000;
    long sent = 0, answered = 0;
    while (answered < total) {
        int64_t now = now_ns();
        while (sent < total && idle_count > 0 && start + sent * 1000000000LL / rate <= now) {
            // The connection that was idle longest, so that all of them stay in use.
            struct connection *connection = idle[0];
            memmove(idle, idle + 1, --idle_count * sizeof *idle);
            send_request(connection, start + sent * 1000000000LL / rate);
            sent++;
        }

        int64_t wait = PATIENCE_NS;
        if (sent < total && idle_count > 0) {
            wait = start + sent * 1000000000LL / rate - now_ns();
            wait = wait < 0 ? 0 : wait;
        }
        struct timespec timeout = { wait / 1000000000, wait % 1000000000 };
        struct epoll_event events[64];
        int ready = epoll_pwait2(epoll, events, 64, &timeout, NULL);
        if (ready < 0 && errno != EINTR) {
            fail("epoll_pwait2 failed; it needs Linux 5.11");
        }
        if (ready == 0 && wait == PATIENCE_NS) {
            fail("no answer came for two seconds");
        }
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (receive(connection)) {
                latencies[answered++] = now_ns() - connection->due;
                idle[idle_count++] = connection;
            }
        }
    }

    qsort(latencies, total, sizeof *latencies, by_value);
    printf("{\"requests\": %ld, \"seconds\": %.6f, \"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f}\n", total,
        (now_ns() - start) / 1e9, percentile_us(latencies, total, 0.5), percentile_us(latencies, total, 0.99),
        percentile_us(latencies, total, 0.999), latencies[total - 1] / 1000.0);
    return 0;
}
