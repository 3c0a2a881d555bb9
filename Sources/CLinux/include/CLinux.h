#ifndef CLINUX_H
#define CLINUX_H

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <sys/uio.h>

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

/* `actions` are posix_spawn_file_actions_t: the new process has no descriptor from that one on. Returns 0 or an errno. */
int clinux_spawn_close_from(void *actions, int first);

/* No core file of this process, and no other process of the user's in its memory. */
int clinux_forbid_core_dumps(void);

/* Whether this user may make a user, network and mount namespace; tried in a process of its own. */
int clinux_try_namespaces(void);

/* Files */

/* Opens a path as if the directory `root` were the root: neither `..` nor a link leads out of it (openat2(2),
 * RESOLVE_IN_ROOT). Returns a descriptor or -errno. The second does the same step by step, where that call is missing. */
#define CLINUX_O_PATH 010000000
#define CLINUX_O_TMPFILE 020200000
int clinux_open_in_root(int root, const char *path, int flags, unsigned mode);
int clinux_walk_in_root(int root, const char *path, int flags, unsigned mode);

/* The first process that has one of these sockets open, as far as this one may see others; 0: none; or -errno. */
int clinux_socket_owner(const unsigned long *inodes, size_t count);

/* renameat2(2) with RENAME_NOREPLACE. Returns 0 or -errno. */
int clinux_rename_new(int from, const char *old, int to, const char *name);

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

/* Reactor (CLinuxReactor.c): sockets of one thread, without the structures that Glibc's module does not export for sure. */

#define CLINUX_REACTOR_EVENTS 256
#define CLINUX_READABLE 1
#define CLINUX_WRITABLE 2
/* The peer has ended, or the connection is broken: also readable, and read to its end. */
#define CLINUX_ENDED 4

struct clinux_readiness {
    unsigned long long data;
    unsigned int is;
};

/* An IP address in numbers, with its zero byte, and its port; all zero of other families. */
struct clinux_address {
    char host[46];
    unsigned short port;
};

int clinux_reactor_create(void);

/* Edge-triggered, for everything; until the descriptor is closed. */
int clinux_reactor_add(int reactor, int descriptor, unsigned long long data);
void clinux_reactor_remove(int reactor, int descriptor);

/* Up to CLINUX_REACTOR_EVENTS; `timeout` in nanoseconds, -1 is for ever. */
int clinux_reactor_wait(int reactor, struct clinux_readiness *readiness, long long timeout);

/* SO_RCVLOWAT. */
int clinux_set_low_water(int descriptor, int bytes);

/* All of these do not block. */

int clinux_stream_socket(int family);
int clinux_is_connected(int descriptor);
int clinux_accept(int descriptor, struct clinux_address *peer);
int clinux_own_address(int descriptor, struct clinux_address *own);
int clinux_set_no_delay(int descriptor);
int clinux_set_keepalive(int descriptor);

/* Binds, with SO_REUSEADDR and the value for IPV6_V6ONLY where they have a meaning, and listens. */
int clinux_listen(int descriptor, const void *address, unsigned int length, int only_v6, int backlog);

/* Both return what was taken, and raise no SIGPIPE. */
long clinux_send(int descriptor, const void *bytes, size_t count);
long clinux_send_parts(int descriptor, const struct iovec *parts, int count);

/* Whether the peer has ended and all that came before is read. */
int clinux_is_at_end(int descriptor);

/* The errno of SO_ERROR. */
int clinux_socket_error(int descriptor);

/* Closes it so that the peer sees a reset. */
void clinux_reset(int descriptor);

/* The shortest round trip of a TCP connection, in microseconds; 0 when it is not known. */
unsigned int clinux_round_trip(int descriptor);

/* Memory for C libraries that allocate for every packet (CLinuxPool.c): each thread keeps what it has freed, within bounds,
 * and gives it out again. */

void *clinux_pool_allocate(size_t size);
void *clinux_pool_reallocate(void *memory, size_t size);
void clinux_pool_free(void *memory);

/* How many arenas malloc(3) may have (mallopt(3), M_ARENA_MAX). */
void clinux_limit_arenas(int count);

/* Resolver (CLinuxResolver.c) */

/* Datagrams that are taken from a socket by one call, and as many answers to them that are sent by one. */
#define CLINUX_BATCH 64
/* Room for an answer; and for an address of either family, after which there are zeros. */
#define CLINUX_REPLY_SIZE 1280
#define CLINUX_ADDRESS_SIZE 32
struct clinux_batch;
struct clinux_batch *clinux_batch_new(void);
void clinux_batch_free(struct clinux_batch *batch);

/* Takes what is there; how many, or a negative errno. */
int clinux_batch_receive(struct clinux_batch *batch, int socket);
const void *clinux_batch_query(const struct clinux_batch *batch, int index, size_t *length);
const void *clinux_batch_address(const struct clinux_batch *batch, int index);

/* Where the next answer is to be written; and that it was, for the query at `index`. */
void *clinux_batch_reply(struct clinux_batch *batch);
void clinux_batch_put(struct clinux_batch *batch, int index, size_t length);
void clinux_batch_send(struct clinux_batch *batch, int socket);

/* Sends a datagram, or loses it. */
void clinux_send_to(int socket, const void *bytes, size_t length, const void *address);

/* The network helper (CLinuxNetwork.c). Descriptors are made close-on-exec. */

/* A new TUN device without packet information; `name`, of 16 bytes, is a pattern such as tel%d and becomes the name. */
int clinux_tun(char *name);

/* A socket of `type` bound to `address` (4 or 16 bytes, by `family`) and `port`; it listens if `backlog` is not 0. */
int clinux_bound_socket(int family, int type, const void *address, int port, int backlog);

/* The port a socket is bound to. */
int clinux_bound_port(int socket);

/* A netlink socket to the routing part of the kernel that is told of what happens in `groups` (RTMGRP_…). */
int clinux_netlink(unsigned int groups);

/* One message with descriptors (SCM_RIGHTS), at most CLINUX_DESCRIPTORS. */
enum { CLINUX_DESCRIPTORS = 8 };
int clinux_send_message(int socket, const void *bytes, size_t size, const int *descriptors, int count);

/* Receives one: its size, 0 at the end of the stream, -EMSGSIZE if it did not fit. `count` is set to the number of
 * descriptors that came along. */
int clinux_receive_message(int socket, void *bytes, size_t size, int *descriptors, int *count);

/* A SOCK_SEQPACKET unix socket: a pair, one that listens on `path`, one that is connected to it, the next that connects. */
int clinux_message_pair(int pair[2]);
int clinux_message_listen(const char *path);
int clinux_message_connect(const char *path);
int clinux_message_accept(int socket);

/* A stream socket connected to `path`, with a time limit for each call on it. */
int clinux_stream_connect(const char *path, int seconds);

/* Who is at the other end of a unix socket, as the kernel knows it (SO_PEERCRED). */
int clinux_peer(int socket, unsigned int *uid, int *pid);

/* Only where there is one thread. */
int clinux_fork(void);

/* Blocks SIGTERM, SIGINT, SIGHUP and SIGCHLD for a descriptor that tells of them. */
int clinux_signals(void);

/* The next of them, 0 if there is none. */
int clinux_next_signal(int descriptor);

/* Every signal does what it does by default, and none is blocked. */
void clinux_reset_signals(void);

/* Closes every descriptor from that one on. */
void clinux_close_from(int first);

/* What `ps` shows for this process. */
void clinux_set_title(const char *title);

enum { CLINUX_USER = 1, CLINUX_NETWORK = 2, CLINUX_MOUNTS = 4 };

/* Leaves, or joins by a descriptor of /proc/PID/ns/…, namespaces of these kinds. */
int clinux_unshare(int kinds);
int clinux_join(int descriptor, int kind);

/* The program that this process becomes may still mount, in namespaces that are ours. */
int clinux_hand_on_mounting(void);

/* Mounts: from now on none is seen outside of the mount namespace; one file over another; nothing any more over it; an
 * empty directory. */
int clinux_private_mounts(void);
int clinux_bind_mount(const char *source, const char *target);
int clinux_unmount(const char *target);
int clinux_empty_directory(const char *target);

/* Told when a directory's entries change. */
int clinux_watch(void);
int clinux_watch_directory(int watch, const char *path);

/* A timer that never ends, but is cancelled when the clock is set or the machine wakes up; and the acknowledgement. */
int clinux_clock_watch(void);
int clinux_clock_watch_again(int timer);

/* Datagrams (CLinuxDatagram.c). Sockets are connected to `address` (4 or 16 bytes, by `family`), and learn of every ICMP
 * error. */

int clinux_udp_socket(int family, const void *address, int port);

/* For echo requests: an unprivileged one, where the kernel writes the identifier, or else a raw one. */
int clinux_echo_socket(int family, const void *address, int *is_raw);

/* Sends one, at once or not at all. */
int clinux_datagram_send(int socket, const void *bytes, size_t size);

/* The length of the datagram that is received next, 0 when there is none. */
int clinux_datagram_waiting(int socket);

/* Empties the socket's queue of errors; the last one's errno, or 0. */
int clinux_datagram_error(int socket);

/* Gives back the memory of the program's code and constants: what is used still comes back from the file. After a start,
   most is not. */
void clinux_release_code(void);

#endif
