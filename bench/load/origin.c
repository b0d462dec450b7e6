// The origin for small answers: so cheap that the proxy before it is what is at its limit, which a full web server in its place is not.
//
//   origin BODY_FILE LISTEN...
//
// LISTEN is a port of 127.0.0.1 or the path of a unix socket. Every GET of whatever path is answered with the body, at most 1024
// bytes of it; requests that come together are answered together. Only for clients that send valid GETs without a body: a request
// is everything up to an empty line. One thread, until it is killed.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_BODY = 1024, BATCH = 64, REQUESTS_SIZE = 32768 };

struct connection {
    int socket;
    int is_listener;
    size_t kept;         // Bytes of a request whose end has not come.
    char *requests;      // REQUESTS_SIZE bytes; null for a listener.
};

static char answers[BATCH * (MAX_BODY + 128)];
static size_t answer_length;

static void fail(const char *what) {
    fprintf(stderr, "origin: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void read_body(const char *path) {
    char body[MAX_BODY], answer[MAX_BODY + 128];
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fail(path);
    }
    size_t length = fread(body, 1, sizeof body, file);
    fclose(file);
    answer_length = sprintf(answer, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", length);
    memcpy(answer + answer_length, body, length);
    answer_length += length;
    for (int i = 0; i < BATCH; i++) {
        memcpy(answers + i * answer_length, answer, answer_length);
    }
}

static void watch(int epoll, int descriptor, int is_listener) {
    struct connection *connection = calloc(1, sizeof *connection);
    connection->socket = descriptor;
    connection->is_listener = is_listener;
    connection->requests = is_listener ? NULL : malloc(REQUESTS_SIZE);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) < 0) {
        fail("epoll_ctl");
    }
}

static void listen_on(int epoll, const char *where) {
    int one = 1, is_unix = where[0] == '/';
    struct sockaddr_un local = { .sun_family = AF_UNIX };
    struct sockaddr_in internet = { .sin_family = AF_INET, .sin_port = htons(atoi(where)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    strncpy(local.sun_path, where, sizeof local.sun_path - 1);
    int descriptor = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(descriptor, is_unix ? (struct sockaddr *)&local : (struct sockaddr *)&internet, is_unix ? sizeof local : sizeof internet) < 0
        || listen(descriptor, 4096) < 0) {
        fail(where);
    }
    watch(epoll, descriptor, 1);
}

static void accept_all(int epoll, int listener) {
    int descriptor, one = 1;
    while ((descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); // A unix socket refuses, and has no need.
        watch(epoll, descriptor, 0);
    }
}

// False when the connection is over.
static int answer(struct connection *connection) {
    ssize_t count = recv(connection->socket, connection->requests + connection->kept, REQUESTS_SIZE - connection->kept, 0);
    if (count <= 0) {
        return count < 0 && errno == EAGAIN;
    }

    char *next = connection->requests, *end = connection->requests + connection->kept + count, *blank;
    size_t due = 0;
    while ((blank = memmem(next, end - next, "\r\n\r\n", 4)) != NULL) {
        due++;
        next = blank + 4;
    }
    connection->kept = end - next;
    memmove(connection->requests, next, connection->kept);
    while (due > 0) {
        size_t now = due < BATCH ? due : BATCH;
        if (send(connection->socket, answers, now * answer_length, MSG_NOSIGNAL) != (ssize_t)(now * answer_length)) {
            return 0; // A peer that does not read its answers.
        }
        due -= now;
    }
    return connection->kept < REQUESTS_SIZE;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: origin BODY_FILE LISTEN...\n");
        return 2;
    }

    struct rlimit descriptors;
    getrlimit(RLIMIT_NOFILE, &descriptors);
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);

    umask(0); // The workers of an nginx that root started are nobody, and have to reach the unix socket.
    int epoll = epoll_create1(0);
    read_body(argv[1]);
    for (int i = 2; i < argc; i++) {
        listen_on(epoll, argv[i]);
    }
    for (;;) {
        struct epoll_event events[256];
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection->is_listener) {
                accept_all(epoll, connection->socket);
            } else if (!answer(connection)) {
                close(connection->socket);
                free(connection->requests);
                free(connection);
            }
        }
    }
}
