#define _GNU_SOURCE

#include "CLinux.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int clinux_reactor_create(void) {
    int reactor = epoll_create1(EPOLL_CLOEXEC);
    return reactor < 0 ? -errno : reactor;
}

int clinux_reactor_add(int reactor, int descriptor, unsigned long long data) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u64 = data};
    return epoll_ctl(reactor, EPOLL_CTL_ADD, descriptor, &event) < 0 ? -errno : 0;
}

void clinux_reactor_remove(int reactor, int descriptor) { epoll_ctl(reactor, EPOLL_CTL_DEL, descriptor, NULL); }

/* Linux before 5.11 waits in milliseconds, here rounded up. */
static int wait_for(int reactor, struct epoll_event *events, long long timeout) {
    static int is_coarse;
    if (timeout > 0 && !__atomic_load_n(&is_coarse, __ATOMIC_RELAXED)) {
        struct timespec time = {.tv_sec = timeout / 1000000000, .tv_nsec = timeout % 1000000000};
        int count = epoll_pwait2(reactor, events, CLINUX_REACTOR_EVENTS, &time, NULL);
        if (count >= 0 || errno != ENOSYS) return count;
        __atomic_store_n(&is_coarse, 1, __ATOMIC_RELAXED);
    }
    long long milliseconds = timeout < 0 ? -1 : (timeout + 999999) / 1000000;
    return epoll_wait(reactor, events, CLINUX_REACTOR_EVENTS, milliseconds > INT_MAX ? INT_MAX : (int)milliseconds);
}

int clinux_reactor_wait(int reactor, struct clinux_readiness *readiness, long long timeout) {
    struct epoll_event events[CLINUX_REACTOR_EVENTS];
    int count = wait_for(reactor, events, timeout);
    if (count < 0) return -errno;
    for (int index = 0; index < count; index++) {
        unsigned int is = events[index].events;
        readiness[index] = (struct clinux_readiness){
            .data = events[index].data.u64,
            .is = (is & EPOLLIN ? CLINUX_READABLE : 0) | (is & EPOLLOUT ? CLINUX_WRITABLE : 0) |
                  (is & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) ? CLINUX_READABLE | CLINUX_ENDED : 0) |
                  (is & (EPOLLHUP | EPOLLERR) ? CLINUX_WRITABLE : 0),
        };
    }
    return count;
}

int clinux_stream_socket(int family) {
    int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    int descriptor = socket(family, type, 0);
    return descriptor < 0 ? -errno : descriptor;
}

int clinux_is_connected(int descriptor) {
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    return getpeername(descriptor, (struct sockaddr *)&address, &length) == 0;
}

static void describe(const struct sockaddr_storage *address, struct clinux_address *text) {
    memset(text, 0, sizeof(*text));
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &v4->sin_addr, text->host, sizeof(text->host));
        text->port = ntohs(v4->sin_port);
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &v6->sin6_addr, text->host, sizeof(text->host));
        text->port = ntohs(v6->sin6_port);
    }
}

int clinux_accept(int descriptor, struct clinux_address *peer) {
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof(address);
    int accepted = accept4(descriptor, (struct sockaddr *)&address, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (accepted < 0) return -errno;
    describe(&address, peer);
    return accepted;
}

int clinux_own_address(int descriptor, struct clinux_address *own) {
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof(address);
    if (getsockname(descriptor, (struct sockaddr *)&address, &length) < 0) return -errno;
    describe(&address, own);
    return 0;
}

static int set(int descriptor, int level, int option, int value) {
    return setsockopt(descriptor, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

int clinux_set_low_water(int descriptor, int bytes) { return set(descriptor, SOL_SOCKET, SO_RCVLOWAT, bytes); }

int clinux_set_no_delay(int descriptor) { return set(descriptor, IPPROTO_TCP, TCP_NODELAY, 1); }

int clinux_set_keepalive(int descriptor) { return set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1); }

int clinux_listen(int descriptor, const void *address, unsigned int length, int only_v6, int backlog) {
    const struct sockaddr *name = address;
    if (name->sa_family == AF_INET6) set(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, only_v6);
    if (name->sa_family != AF_UNIX) set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
    if (bind(descriptor, name, length) < 0 || listen(descriptor, backlog) < 0) return -errno;
    return 0;
}

long clinux_send(int descriptor, const void *bytes, size_t count) {
    ssize_t sent = send(descriptor, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? -errno : sent;
}

long clinux_send_parts(int descriptor, const struct iovec *parts, int count) {
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
    ssize_t sent = sendmsg(descriptor, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? -errno : sent;
}

int clinux_is_at_end(int descriptor) {
    char byte;
    return recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

int clinux_socket_error(int descriptor) {
    int error = 0;
    socklen_t length = sizeof(error);
    return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) < 0 ? errno : error;
}

void clinux_reset(int descriptor) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(descriptor);
}

unsigned int clinux_round_trip(int descriptor) {
    struct clinux_tcp_info info = {0};
    socklen_t length = sizeof(info);
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) < 0) return 0;
    return length < sizeof(info) ? 0 : info.min_rtt;
}
