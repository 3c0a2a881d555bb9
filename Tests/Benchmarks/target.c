// The far end of every stream: sink, source and echo on one port, in one thread.
//
// target HOST PORT TOTALS-FILE
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "common.h"
#include "protocol.h"

#define BLOCK (256 * 1024)

struct connection {
    int fd;
    uint8_t mode;  // 0 until the request is complete
    size_t have;
    struct request request;
    uint64_t started;  // nanoseconds
    uint64_t moved;    // bytes read (sink, once) or written (source)
    size_t pending;    // echo: bytes of `echo` not yet written
    char echo[4096];
    struct connection *next_capped;
};

static char block[BLOCK];
static struct totals *totals;
static struct connection *capped;  // sources with a rate, served by the clock
static int poller;

static void finish(struct connection *c) {
    for (struct connection **p = &capped; *p; p = &(*p)->next_capped) {
        if (*p == c) {
            *p = c->next_capped;
            break;
        }
    }
    close(c->fd);
    free(c);
}

static void watch(struct connection *c, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
}

// Returns false when the connection is finished.
static int source(struct connection *c) {
    uint64_t elapsed = (nanoseconds() - c->started) / 1000;
    if (elapsed >= c->request.duration) return 0;
    for (int i = 0; i < 16; i++) {
        size_t size = BLOCK;
        if (c->request.rate) {
            uint64_t due = elapsed * c->request.rate / 1000000;
            if (due <= c->moved) return 1;
            if (due - c->moved < size) size = due - c->moved;
        }
        ssize_t n = send(c->fd, block, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) return errno == EAGAIN;
        c->moved += (uint64_t)n;
        totals->sent += (uint64_t)n;
    }
    return 1;
}

static int sink(struct connection *c) {
    for (int i = 0; i < 16; i++) {
        // MSG_TRUNC: TCP drops the bytes without copying them, so that the target leaves the cores to the servers.
        ssize_t n = recv(c->fd, block, 4 << 20, MSG_TRUNC | MSG_DONTWAIT);
        if (n < 0) return errno == EAGAIN;
        if (n == 0) {
            send(c->fd, &c->moved, sizeof c->moved, MSG_NOSIGNAL);
            return 0;
        }
        c->moved += (uint64_t)n;
        totals->received += (uint64_t)n;
    }
    return 1;
}

static int echo(struct connection *c) {
    for (;;) {
        if (c->pending) {
            ssize_t n = send(c->fd, c->echo, c->pending, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0) {
                if (errno != EAGAIN) return 0;
                watch(c, EPOLLOUT);
                return 1;
            }
            memmove(c->echo, c->echo + n, c->pending - (size_t)n);
            c->pending -= (size_t)n;
            totals->sent += (uint64_t)n;
            if (c->pending) continue;
            if (c->mode == MODE_ONCE && c->moved >= c->request.length) return 0;
            watch(c, EPOLLIN);
        }
        ssize_t n = recv(c->fd, c->echo, sizeof c->echo, MSG_DONTWAIT);
        if (n < 0) return errno == EAGAIN;
        if (n == 0) return 0;
        c->moved += (uint64_t)n;
        c->pending = (size_t)n;
        totals->received += (uint64_t)n;
    }
}

static int serve(struct connection *c) {
    if (!c->mode) {
        ssize_t n = recv(c->fd, (char *)&c->request + c->have, sizeof c->request - c->have, MSG_DONTWAIT);
        if (n < 0) return errno == EAGAIN;
        if (n == 0) return 0;
        c->have += (size_t)n;
        if (c->have < sizeof c->request) return 1;
        c->mode = c->request.mode;
        c->started = nanoseconds();
        if (c->mode == MODE_SOURCE && c->request.rate) {
            watch(c, 0);
            c->next_capped = capped;
            capped = c;
        } else if (c->mode == MODE_SOURCE) {
            watch(c, EPOLLOUT);
        }
    }
    switch (c->mode) {
        case MODE_SOURCE: return source(c);
        case MODE_SINK: return sink(c);
        case MODE_ECHO:
        case MODE_ONCE: return echo(c);
        default: return 0;
    }
}

int main(int argc, char **argv) {
    if (argc != 4) return fprintf(stderr, "usage: target HOST PORT TOTALS-FILE\n"), 2;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);

    int file = open(argv[3], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, 4096) < 0) fail(argv[3]);
    totals = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (totals == MAP_FAILED) fail("mmap");
    memset(block, 'x', sizeof block);

    int listener = listen_on(argv[1], argv[2]);
    non_blocking(listener);
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);

    struct epoll_event events[256];
    for (;;) {
        int count = epoll_wait(poller, events, 256, capped ? 1 : -1);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (c) {
                if (!serve(c)) finish(c);
                continue;
            }
            for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;) {
                c = calloc(1, sizeof *c);
                if (!c) fail("calloc");
                c->fd = fd;
                no_delay(fd);
                totals->accepted++;
                struct epoll_event added = {.events = EPOLLIN, .data.ptr = c};
                epoll_ctl(poller, EPOLL_CTL_ADD, fd, &added);
            }
        }
        for (struct connection *c = capped, *next; c; c = next) {
            next = c->next_capped;
            if (!source(c)) finish(c);
        }
    }
}
