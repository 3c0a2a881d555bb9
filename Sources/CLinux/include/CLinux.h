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
/* Tunnel */

/* The length of what stands before each packet of a device that has IFF_VNET_HDR, and where it says that the packet's
 * checksum is to be completed (VIRTIO_NET_HDR_F_NEEDS_CSUM). */
#define CLINUX_TUNNEL_HEADER 10
#define CLINUX_TUNNEL_NEEDS_CHECKSUM 1

/* A new TUN device with IFF_VNET_HDR; `name`, of IFNAMSIZ bytes, is the wish, and then what it is called. */
int clinux_tunnel_open(char *name);

/* Makes it non-blocking, and leaves checksums and segmentation to the kernel where it can; whether packets have a header. */
int clinux_tunnel_prepare(int tunnel);

/* Writes a packet after an empty header. */
long clinux_tunnel_write(int tunnel, const void *packet, size_t size);

int clinux_eventfd(void);

/* What the calling thread is called in the system's tools; at most 15 bytes. */
void clinux_name_thread(const char *name);

#endif
