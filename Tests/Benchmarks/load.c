// The near end of every stream: the load, in one thread. Prints one JSON object.
//
// load up|down HOST PORT MILLISECONDS BYTES-PER-SECOND     one stream (rate 0: unlimited)
// load echo HOST PORT CHANNELS MILLISECONDS all|one        round trips; in flight on all channels, or on one after another
// load connections HOST PORT PARALLEL MILLISECONDS WHO     connect, echo once, again; `client` or `target` closes first
// load hold HOST PORT COUNT                                open, keep idle; echo once on each after a line on stdin
// load burst PROXY-HOST PROXY-PORT HOST PORT COUNT         at once through a SOCKS5 proxy, until all have echoed
#include <sys/epoll.h>
#include <sys/resource.h>

#include "common.h"
#include "protocol.h"

#define BLOCK (256 * 1024)
#define WARM_UP 200000000u  // nanoseconds of echoes that are not counted
#define BACKLOG 100         // connections a SOCKS proxy has yet to greet: ssh listens with a backlog of 128
#define STALL 30            // seconds after which a load that moves nothing is a failure

static char block[BLOCK];

static void send_all(int fd, const void *bytes, size_t size) {
    for (const char *at = bytes; size;) {
        ssize_t n = send(fd, at, size, MSG_NOSIGNAL);
        if (n < 0) fail("send");
        at += n, size -= (size_t)n;
    }
}

static void receive_all(int fd, void *bytes, size_t size) {
    for (char *at = bytes; size;) {
        ssize_t n = recv(fd, at, size, 0);
        if (n < 0) fail("receive");
        if (n == 0) {
            errno = ECONNRESET;
            fail("receive");
        }
        at += n, size -= (size_t)n;
    }
}

static void ask(int fd, uint8_t mode, uint64_t duration, uint64_t rate, uint64_t length) {
    struct request request = {.mode = mode, .duration = duration, .rate = rate, .length = length};
    send_all(fd, &request, sizeof request);
}

// An open connection whose target has answered, so that every hop is up.
static int open_echo(struct sockaddr_in address) {
    int fd = dial(address);
    char message[ECHO_SIZE] = {0};
    ask(fd, MODE_ECHO, 0, 0, 0);
    send_all(fd, message, sizeof message);
    receive_all(fd, message, sizeof message);
    return fd;
}

static void up(struct sockaddr_in address, uint64_t duration, uint64_t rate) {
    int fd = dial(address);
    uint64_t start = nanoseconds(), sent = 0, received = 0;
    ask(fd, MODE_SINK, 0, 0, 0);
    for (;;) {
        uint64_t elapsed = (nanoseconds() - start) / 1000;
        if (elapsed >= duration) break;
        size_t size = BLOCK;
        if (rate) {
            uint64_t due = elapsed * rate / 1000000;
            if (due <= sent) {
                usleep(1000);
                continue;
            }
            if (due - sent < size) size = due - sent;
        }
        send_all(fd, block, size);
        sent += size;
    }
    shutdown(fd, SHUT_WR);
    receive_all(fd, &received, sizeof received);
    double seconds = (double)(nanoseconds() - start) / 1e9;
    if (received != sent) {
        fprintf(stderr, "the target received %lu of %lu bytes\n", (unsigned long)received, (unsigned long)sent);
        exit(1);
    }
    printf("{\"bytes\": %lu, \"seconds\": %.6f}\n", (unsigned long)received, seconds);
}

static void down(struct sockaddr_in address, uint64_t duration, uint64_t rate) {
    int fd = dial(address);
    uint64_t start = nanoseconds(), received = 0;
    ask(fd, MODE_SOURCE, duration, rate, 0);
    for (ssize_t n; (n = recv(fd, block, 4 << 20, MSG_TRUNC)) != 0; received += (uint64_t)n) {
        if (n < 0) fail("receive");
    }
    double seconds = (double)(nanoseconds() - start) / 1e9;
    printf("{\"bytes\": %lu, \"seconds\": %.6f}\n", (unsigned long)received, seconds);
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

// Durations in nanoseconds, at most as many as fit; later ones are dropped.
static uint32_t samples[4 << 20];
static size_t sample_count;

static void sample(uint64_t duration) {
    if (sample_count < sizeof samples / sizeof *samples) {
        samples[sample_count++] = duration > UINT32_MAX ? UINT32_MAX : (uint32_t)duration;
    }
}

static double percentile(double part) {
    if (!sample_count) return 0;
    return samples[(size_t)(part * (double)(sample_count - 1))] / 1e3;
}

static void print_samples(double seconds) {
    qsort(samples, sample_count, sizeof *samples, ascending);
    printf("{\"count\": %zu, \"seconds\": %.6f, \"p50_us\": %.3f, \"p99_us\": %.3f}\n", sample_count, seconds,
           percentile(0.5), percentile(0.99));
}

static void echo_one_after_another(const int *fds, int channels, uint64_t duration) {
    char message[ECHO_SIZE] = {0};
    uint64_t begin = nanoseconds(), start = begin;
    for (int i = 0; start - begin < duration + WARM_UP; i = (i + 1) % channels) {
        send_all(fds[i], message, sizeof message);
        receive_all(fds[i], message, sizeof message);
        uint64_t end = nanoseconds();
        if (start - begin >= WARM_UP) sample(end - start);
        start = end;
    }
}

static void echo_all_in_flight(const int *fds, int channels, uint64_t duration) {
    char message[ECHO_SIZE] = {0};
    uint64_t *sent = calloc((size_t)channels, sizeof *sent), begin = nanoseconds();
    size_t *have = calloc((size_t)channels, sizeof *have);
    int poller = epoll_create1(EPOLL_CLOEXEC);
    if (!sent || !have) fail("calloc");
    for (int i = 0; i < channels; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        epoll_ctl(poller, EPOLL_CTL_ADD, fds[i], &event);
        sent[i] = nanoseconds();
        send_all(fds[i], message, sizeof message);
    }
    struct epoll_event events[512];
    while (nanoseconds() - begin < duration + WARM_UP) {
        int count = epoll_wait(poller, events, 512, STALL * 1000);
        if (count <= 0) fail("epoll");
        for (int e = 0; e < count; e++) {
            uint32_t i = events[e].data.u32;
            ssize_t n = recv(fds[i], message, ECHO_SIZE - have[i], MSG_DONTWAIT);
            if (n < 0 && errno == EAGAIN) continue;
            if (n <= 0) fail("echo");
            have[i] += (size_t)n;
            if (have[i] < ECHO_SIZE) continue;
            uint64_t now = nanoseconds();
            if (sent[i] - begin >= WARM_UP) sample(now - sent[i]);
            have[i] = 0;
            sent[i] = now;
            send_all(fds[i], message, sizeof message);
        }
    }
}

static void echo(struct sockaddr_in address, int channels, uint64_t duration, int all) {
    int *fds = calloc((size_t)channels, sizeof *fds);
    if (!fds) fail("calloc");
    for (int i = 0; i < channels; i++) fds[i] = open_echo(address);
    (all ? echo_all_in_flight : echo_one_after_another)(fds, channels, duration);
    print_samples((double)duration / 1e9);
}

// One connection of `connections` or `burst`: what it sends next and how much it awaits.
struct attempt {
    int fd;
    int step;
    size_t have;
    uint64_t started;
};

static void begin_connect(struct attempt *attempt, int poller, struct sockaddr_in address) {
    *attempt = (struct attempt){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (attempt->fd < 0) fail("socket");
    no_delay(attempt->fd);
    attempt->started = nanoseconds();
    if (connect(attempt->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) fail("connect");
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = attempt};
    epoll_ctl(poller, EPOLL_CTL_ADD, attempt->fd, &event);
}

// Asks for one echo; with MODE_ONCE the target closes after it.
static void send_message(int fd, uint8_t mode) {
    struct {
        struct request request;
        char message[ECHO_SIZE];
    } packet = {.request = {.mode = mode, .length = ECHO_SIZE}};
    send_all(fd, &packet, sizeof packet);
}

static void await(struct attempt *attempt, int poller) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = attempt};
    epoll_ctl(poller, EPOLL_CTL_MOD, attempt->fd, &event);
}

static void connections(struct sockaddr_in address, int parallel, uint64_t duration, int target_closes) {
    struct attempt *attempts = calloc((size_t)parallel, sizeof *attempts);
    int poller = epoll_create1(EPOLL_CLOEXEC);
    if (!attempts) fail("calloc");
    unsigned long errors = 0;
    char message[ECHO_SIZE];
    uint64_t begin = nanoseconds();
    for (int i = 0; i < parallel; i++) begin_connect(&attempts[i], poller, address);
    struct epoll_event events[512];
    while (nanoseconds() - begin < duration) {
        int count = epoll_wait(poller, events, 512, STALL * 1000);
        if (count <= 0) fail("epoll");
        for (int e = 0; e < count; e++) {
            struct attempt *attempt = events[e].data.ptr;
            if (attempt->step == 0 && !(events[e].events & (EPOLLERR | EPOLLHUP))) {
                send_message(attempt->fd, target_closes ? MODE_ONCE : MODE_ECHO);
                attempt->step = 1;
                await(attempt, poller);
                continue;
            }
            ssize_t n = recv(attempt->fd, message, sizeof message, MSG_DONTWAIT);
            if (n < 0 && errno == EAGAIN) continue;
            if (n > 0) {
                attempt->have += (size_t)n;
                if (target_closes || attempt->have < ECHO_SIZE) continue;
            }
            if (n >= 0 && attempt->have == ECHO_SIZE) {
                sample(nanoseconds() - attempt->started);
            } else {
                errors++;
            }
            close(attempt->fd);
            begin_connect(attempt, poller, address);
        }
    }
    double seconds = (double)(nanoseconds() - begin) / 1e9;
    if (errors) {
        fprintf(stderr, "%lu connections broke, %zu went well\n", errors, sample_count);
        exit(1);
    }
    print_samples(seconds);
}

static void hold(struct sockaddr_in address, int count) {
    int *fds = calloc((size_t)count, sizeof *fds);
    if (!fds) fail("calloc");
    for (int i = 0; i < count; i++) fds[i] = dial(address);
    while (read(0, block, sizeof block) > 0) {
        for (int i = 0; i < count; i++) {
            send_message(fds[i], MODE_ECHO);
            receive_all(fds[i], block, ECHO_SIZE);
        }
        puts("echoed");
        fflush(stdout);
    }
}

static void burst(struct sockaddr_in proxy, struct sockaddr_in address, int count) {
    static const uint8_t greeting[] = {5, 1, 0};
    uint8_t connect_request[10] = {5, 1, 0, 1};
    memcpy(connect_request + 4, &address.sin_addr, 4);
    memcpy(connect_request + 8, &address.sin_port, 2);
    // What each step awaits: the connect, the method, the reply (to an IPv4 bind address), the echo.
    static const size_t awaited[] = {0, 2, 10, ECHO_SIZE};
    struct attempt *attempts = calloc((size_t)count, sizeof *attempts);
    int poller = epoll_create1(EPOLL_CLOEXEC), left = count, begun = 0;
    if (!attempts) fail("calloc");
    uint64_t begin = nanoseconds();
    while (begun < count && begun < BACKLOG) begin_connect(&attempts[begun++], poller, proxy);
    struct epoll_event events[512];
    uint8_t bytes[ECHO_SIZE];
    while (left) {
        int ready = epoll_wait(poller, events, 512, STALL * 1000);
        if (ready <= 0) fail("epoll");
        for (int e = 0; e < ready; e++) {
            struct attempt *attempt = events[e].data.ptr;
            if (attempt->step > 0) {
                ssize_t n = recv(attempt->fd, bytes, awaited[attempt->step] - attempt->have, MSG_DONTWAIT);
                if (n < 0 && errno == EAGAIN) continue;
                if (n <= 0) fail("burst");
                if (attempt->step == 2 && attempt->have <= 1 && attempt->have + (size_t)n > 1 &&
                    bytes[1 - attempt->have] != 0) {
                    fprintf(stderr, "SOCKS reply %d\n", bytes[1 - attempt->have]);
                    exit(1);
                }
                attempt->have += (size_t)n;
                if (attempt->have < awaited[attempt->step]) continue;
            }
            attempt->have = 0;
            switch (attempt->step++) {
                case 0: send_all(attempt->fd, greeting, sizeof greeting); break;
                case 1:
                    send_all(attempt->fd, connect_request, sizeof connect_request);
                    if (begun < count) begin_connect(&attempts[begun++], poller, proxy);
                    break;
                case 2: send_message(attempt->fd, MODE_ONCE); break;
                default:
                    sample(nanoseconds() - attempt->started);
                    close(attempt->fd);
                    left--;
                    continue;
            }
            await(attempt, poller);
        }
    }
    print_samples((double)(nanoseconds() - begin) / 1e9);
}

int main(int argc, char **argv) {
    if (argc < 5) return fprintf(stderr, "usage: load KIND HOST PORT ARGUMENTS\n"), 2;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    memset(block, 'x', sizeof block);
    const char *kind = argv[1];
    struct sockaddr_in address = ipv4(argv[2], argv[3]);
    uint64_t last = strtoull(argv[argc - 1], NULL, 10);
    if (!strcmp(kind, "up") && argc == 6) {
        up(address, strtoull(argv[4], NULL, 10) * 1000, last);
    } else if (!strcmp(kind, "down") && argc == 6) {
        down(address, strtoull(argv[4], NULL, 10) * 1000, last);
    } else if (!strcmp(kind, "echo") && argc == 7) {
        echo(address, atoi(argv[4]), strtoull(argv[5], NULL, 10) * 1000000, !strcmp(argv[6], "all"));
    } else if (!strcmp(kind, "connections") && argc == 7) {
        connections(address, atoi(argv[4]), strtoull(argv[5], NULL, 10) * 1000000, !strcmp(argv[6], "target"));
    } else if (!strcmp(kind, "hold") && argc == 5) {
        hold(address, (int)last);
    } else if (!strcmp(kind, "burst") && argc == 7) {
        burst(address, ipv4(argv[4], argv[5]), (int)last);
    } else {
        return fprintf(stderr, "load: unknown kind or arguments: %s\n", kind), 2;
    }
    return 0;
}
