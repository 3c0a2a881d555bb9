#ifndef CLINUX_H
#define CLINUX_H

#include <stddef.h>

/* Linux calls that Swift cannot reach: macros, variadic functions and structures
 * that Glibc does not import. Each returns what the call returns, or -errno. */

/* The text of an errno, by the XSI strerror_r; 0 or an errno. */
int clinux_strerror(int error, char *text, size_t size);

/* As much of the kernel's struct tcp_info (linux/tcp.h) as is read here; the C library's is older and shorter. */
struct clinux_tcp_info {
    unsigned char before[148];
    unsigned int min_rtt; /* in microseconds */
};

/* Daemon */

/* No core file of this process, and no other process of the user's in its memory. */
int clinux_forbid_core_dumps(void);

/* A socket that becomes readable whenever a link, an address or a route changes. */
int clinux_route_monitor(void);

#endif
