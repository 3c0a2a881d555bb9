#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#undef _GNU_SOURCE

#include "CLinux.h"

#include <linux/tcp.h>
#include <string.h>

_Static_assert(
    offsetof(struct clinux_tcp_info, min_rtt) == offsetof(struct tcp_info, tcpi_min_rtt), "where the kernel has it");

int clinux_strerror(int error, char *text, size_t size) {
    return strerror_r(error, text, size);
}
