#define _GNU_SOURCE

#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Closes `descriptor` and returns -errno of the call before. */
static int failed(int descriptor) {
    int error = errno;
    if (descriptor >= 0) close(descriptor);
    return -error;
}

static int result(int value) {
    return value < 0 ? -errno : value;
}

/* Devices and sockets */

int clinux_tun(char *name) {
    struct ifreq request = {0};
    int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (tun < 0) return -errno;
    /* Exclusively: a device that somebody made persistent is not ours to take over. */
    request.ifr_flags = (short)(IFF_TUN | IFF_NO_PI | IFF_TUN_EXCL);
    memcpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(tun, TUNSETIFF, &request) < 0) return failed(tun);
    memcpy(name, request.ifr_name, IFNAMSIZ);
    return tun;
}

int clinux_bound_socket(int family, int type, const void *address, int port, int backlog) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    int is_v6 = family == AF_INET6, on = 1;
    int bound = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bound < 0) return -errno;
    if (is_v6) {
        memcpy(&v6.sin6_addr, address, sizeof v6.sin6_addr);
        if (setsockopt(bound, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0) return failed(bound);
    } else {
        memcpy(&v4.sin_addr, address, sizeof v4.sin_addr);
    }
    /* A name server of this machine may have the port of every address; if it allows it, this one is ours. */
    if (setsockopt(bound, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) return failed(bound);
    const struct sockaddr *to = is_v6 ? (const struct sockaddr *)&v6 : (const struct sockaddr *)&v4;
    if (bind(bound, to, is_v6 ? sizeof v6 : sizeof v4) < 0) return failed(bound);
    if (backlog > 0 && listen(bound, backlog) < 0) return failed(bound);
    return bound;
}

int clinux_bound_port(int socket) {
    struct sockaddr_in6 address;
    socklen_t size = sizeof address;
    if (getsockname(socket, (struct sockaddr *)&address, &size) < 0) return -errno;
    /* At the same place in sockaddr_in. */
    return ntohs(address.sin6_port);
}

int clinux_netlink(unsigned int groups) {
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
    int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (descriptor < 0) return -errno;
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) < 0) return failed(descriptor);
    return descriptor;
}

/* Messages between processes */

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * CLINUX_DESCRIPTORS)];
};

int clinux_send_message(int socket, const void *bytes, size_t size, const int *descriptors, int count) {
    union control control = {0};
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > CLINUX_DESCRIPTORS) return -EINVAL;
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
        memcpy(CMSG_DATA(header), descriptors, sizeof(int) * (size_t)count);
    }
    ssize_t sent;
    do sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return result((int)sent);
}

int clinux_receive_message(int socket, void *bytes, size_t size, int *descriptors, int *count) {
    union control control = {0};
    struct iovec part = {.iov_base = bytes, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t received;
    *count = 0;
    do received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (received < 0 && errno == EINTR);
    if (received < 0) return -errno;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        *count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(descriptors, CMSG_DATA(header), sizeof(int) * (size_t)*count);
    }
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        for (int i = 0; i < *count; i++) close(descriptors[i]);
        *count = 0;
        return -EMSGSIZE;
    }
    return (int)received;
}

int clinux_message_pair(int pair[2]) {
    return result(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
}

static int unix_address(struct sockaddr_un *address, const char *path) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof address->sun_path) return -ENAMETOOLONG;
    strcpy(address->sun_path, path);
    return 0;
}

int clinux_message_listen(const char *path) {
    struct sockaddr_un address;
    int error = unix_address(&address, path);
    if (error) return error;
    int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) < 0) return failed(descriptor);
    if (listen(descriptor, 1) < 0) return failed(descriptor);
    return descriptor;
}

static int unix_connect(const char *path, int type, int seconds) {
    struct sockaddr_un address;
    struct timeval limit = {.tv_sec = seconds};
    int error = unix_address(&address, path);
    if (error) return error;
    int descriptor = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    if (seconds > 0 && (setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0 ||
                        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0))
        return failed(descriptor);
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) < 0) return failed(descriptor);
    return descriptor;
}

int clinux_message_connect(const char *path) {
    return unix_connect(path, SOCK_SEQPACKET, 0);
}

int clinux_stream_connect(const char *path, int seconds) {
    return unix_connect(path, SOCK_STREAM, seconds);
}

int clinux_message_accept(int socket) {
    return result(accept4(socket, NULL, NULL, SOCK_CLOEXEC));
}

int clinux_peer(int socket, unsigned int *uid, int *pid) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return -errno;
    *uid = peer.uid;
    *pid = peer.pid;
    return 0;
}

/* Processes */

int clinux_fork(void) {
    return result(fork());
}

int clinux_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) return -errno;
    return result(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

int clinux_next_signal(int descriptor) {
    struct signalfd_siginfo information;
    return read(descriptor, &information, sizeof information) == sizeof information ? (int)information.ssi_signo : 0;
}

void clinux_reset_signals(void) {
    sigset_t none;
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void clinux_close_from(int first) {
    /* A kernel older than 5.9 has no such call: as many as there may be usually. */
    if (syscall(SYS_close_range, first, ~0U, 0) == 0) return;
    for (int descriptor = first; descriptor < 65536; descriptor++) close(descriptor);
}

void clinux_set_title(const char *title) {
    /* The arguments lie where the kernel put them; fields 48 and 49 of the line say where (proc(5)). */
    char line[2048];
    unsigned long start = 0, end = 0;
    prctl(PR_SET_NAME, title);
    FILE *file = fopen("/proc/self/stat", "re");
    if (!file) return;
    size_t size = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[size] = 0;
    char *field = strrchr(line, ')');
    for (int number = 2; field && number < 48; number++) {
        field = strchr(field + 1, ' ');
    }
    if (!field || sscanf(field, " %lu %lu", &start, &end) != 2 || start == 0 || end <= start) return;
    memset((void *)start, 0, end - start);
    snprintf((char *)start, end - start, "%s", title);
}

static int flags_of(int kinds) {
    return (kinds & CLINUX_USER ? CLONE_NEWUSER : 0) | (kinds & CLINUX_NETWORK ? CLONE_NEWNET : 0) |
           (kinds & CLINUX_MOUNTS ? CLONE_NEWNS : 0);
}

int clinux_unshare(int kinds) {
    return result(unshare(flags_of(kinds)));
}

int clinux_join(int descriptor, int kind) {
    return result(setns(descriptor, flags_of(kind)));
}

int clinux_hand_on_mounting(void) {
    /* Ambient is what stays across execve(2); it takes being inheritable (capabilities(7)). */
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, sets) != 0) return -errno;
    sets[CAP_TO_INDEX(CAP_SYS_ADMIN)].inheritable |= CAP_TO_MASK(CAP_SYS_ADMIN);
    if (syscall(SYS_capset, &header, sets) != 0) return -errno;
    return result(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0));
}

/* Files */

int clinux_private_mounts(void) {
    /* A slave still sees what is mounted outside later, such as a USB stick. */
    return result(mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL));
}

int clinux_bind_mount(const char *source, const char *target) {
    return result(mount(source, target, NULL, MS_BIND, NULL));
}

int clinux_unmount(const char *target) {
    return result(umount2(target, MNT_DETACH));
}

int clinux_empty_directory(const char *target) {
    return result(mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=1m"));
}

int clinux_watch(void) {
    return result(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
}

int clinux_watch_directory(int watch, const char *path) {
    return result(
        inotify_add_watch(watch, path, IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ONLYDIR));
}

/* The clock */

int clinux_clock_watch_again(int timer) {
    struct itimerspec never = {.it_value = {.tv_sec = INT32_MAX}};
    uint64_t count;
    (void)!read(timer, &count, sizeof count);
    return result(timerfd_settime(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL));
}

int clinux_clock_watch(void) {
    int timer = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (timer < 0) return -errno;
    int error = clinux_clock_watch_again(timer);
    if (error < 0) {
        close(timer);
        return error;
    }
    return timer;
}
