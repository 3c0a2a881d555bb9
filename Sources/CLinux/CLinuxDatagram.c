#define _GNU_SOURCE

#include "CLinux.h"

#include <errno.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Needs what <time.h> declares. */
#include <linux/errqueue.h>

static int connected(int family, int type, int protocol, const void *address, int port) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    int on = 1, pmtu = family == AF_INET6 ? IPV6_PMTUDISC_DONT : IP_PMTUDISC_DONT, outcome;
    int made = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    if (made < 0) return -errno;
    /* Without it the kernel keeps to itself that a host cannot be reached. And the sender of a large datagram does not
     * learn of the ways behind this machine: it is fragmented where it must be. */
    if (family == AF_INET6) {
        memcpy(&v6.sin6_addr, address, sizeof v6.sin6_addr);
        (void)setsockopt(made, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
        (void)setsockopt(made, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &pmtu, sizeof pmtu);
        outcome = connect(made, (struct sockaddr *)&v6, sizeof v6);
    } else {
        memcpy(&v4.sin_addr, address, sizeof v4.sin_addr);
        (void)setsockopt(made, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
        (void)setsockopt(made, IPPROTO_IP, IP_MTU_DISCOVER, &pmtu, sizeof pmtu);
        outcome = connect(made, (struct sockaddr *)&v4, sizeof v4);
    }
    if (outcome < 0) {
        outcome = -errno;
        close(made);
        return outcome;
    }
    return made;
}

int clinux_udp_socket(int family, const void *address, int port) {
    return connected(family, SOCK_DGRAM, 0, address, port);
}

int clinux_echo_socket(int family, const void *address, int *is_raw) {
    int protocol = family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
    int made = connected(family, SOCK_DGRAM, protocol, address, 0);
    *is_raw = 0;
    if (made != -EACCES && made != -EPROTONOSUPPORT && made != -EPERM) return made;
    made = connected(family, SOCK_RAW, protocol, address, 0);
    *is_raw = 1;
    if (made < 0) return made;
    /* Of all the messages that come from there, the answers alone. */
    if (family == AF_INET6) {
        struct icmp6_filter filter;
        ICMP6_FILTER_SETBLOCKALL(&filter);
        ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
        (void)setsockopt(made, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter);
    } else {
        struct icmp_filter filter = {.data = ~(1u << ICMP_ECHOREPLY)};
        (void)setsockopt(made, SOL_RAW, ICMP_FILTER, &filter, sizeof filter);
    }
    return made;
}

int clinux_datagram_send(int socket, const void *bytes, size_t size) {
    return send(socket, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int clinux_datagram_waiting(int socket) {
    int waiting = 0;
    ssize_t length;
    /* A ping socket does not know it. The other way takes an error away that is waiting, too. */
    if (ioctl(socket, FIONREAD, &waiting) == 0) return waiting;
    length = recv(socket, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
    return length < 0 ? 0 : (int)length;
}

int clinux_datagram_error(int socket) {
    int last = 0;
    for (;;) {
        union {
            struct cmsghdr header;
            char space[512];
        } control;
        struct msghdr message = {.msg_control = &control, .msg_controllen = sizeof control};
        if (recvmsg(socket, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return last;
        for (struct cmsghdr *each = CMSG_FIRSTHDR(&message); each != NULL; each = CMSG_NXTHDR(&message, each)) {
            struct sock_extended_err error;
            if (!(each->cmsg_level == IPPROTO_IP && each->cmsg_type == IP_RECVERR) &&
                !(each->cmsg_level == IPPROTO_IPV6 && each->cmsg_type == IPV6_RECVERR))
                continue;
            memcpy(&error, CMSG_DATA(each), sizeof error);
            last = (int)error.ee_errno;
        }
    }
}
