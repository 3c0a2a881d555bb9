#ifndef CLINUX_H
#define CLINUX_H

/* Linux calls that Swift cannot reach: macros, variadic functions and structures
 * that Glibc does not import. Each returns what the call returns, or -errno. */

#endif
