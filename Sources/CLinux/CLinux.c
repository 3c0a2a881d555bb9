#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE

#include "CLinux.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#undef _GNU_SOURCE

int clinux_strerror(int error, char *text, size_t size) {
    return strerror_r(error, text, size);
}

int clinux_tcp_rtt(int fd) {
    struct tcp_info info;
    socklen_t length = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return -errno;
    return (int)info.tcpi_rtt;
}
