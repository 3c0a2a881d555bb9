#ifndef CLINUX_H
#define CLINUX_H

#include <stddef.h>

/* Linux calls that Swift cannot reach: macros, variadic functions and structures
 * that Glibc does not import. Each returns what the call returns, or -errno. */

/* The text of an errno, by the XSI strerror_r; 0 or an errno. */
int clinux_strerror(int error, char *text, size_t size);

/* The smoothed round-trip time of a TCP socket in microseconds (TCP_INFO), or -errno. */
int clinux_tcp_rtt(int fd);

#endif
