#define _GNU_SOURCE

#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(CLINUX_TUNNEL_HEADER == sizeof(struct virtio_net_hdr), "what IFF_VNET_HDR puts before packets");

int clinux_tunnel_open(char *name) {
    struct ifreq request = {0};
    int tunnel = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (tunnel < 0) return -errno;
    request.ifr_flags = (short)(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
    memcpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(tunnel, TUNSETIFF, &request) < 0) {
        int error = errno;
        close(tunnel);
        return -error;
    }
    memcpy(name, request.ifr_name, IFNAMSIZ);
    return tunnel;
}

int clinux_tunnel_prepare(int tunnel) {
    struct ifreq request = {0};
    int flags = fcntl(tunnel, F_GETFL);
    if (flags < 0 || fcntl(tunnel, F_SETFL, flags | O_NONBLOCK) < 0) return -errno;
    /* Something else that takes packets: no header. */
    if (ioctl(tunnel, TUNGETIFF, &request) < 0) return 0;
    if (!(request.ifr_flags & IFF_VNET_HDR)) return 0;
    /* Packets never leave this kernel: it need not sum them, nor cut them into segments. */
    if (ioctl(tunnel, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0 &&
        ioctl(tunnel, TUNSETOFFLOAD, TUN_F_CSUM) < 0)
        return -errno;
    return 1;
}

long clinux_tunnel_write(int tunnel, const void *packet, size_t size) {
    static const struct virtio_net_hdr header;
    struct iovec parts[2] = {
        {.iov_base = (void *)&header, .iov_len = sizeof header}, {.iov_base = (void *)packet, .iov_len = size}};
    ssize_t written = writev(tunnel, parts, 2);
    return written < 0 ? -errno : written;
}

int clinux_eventfd(void) {
    int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return descriptor < 0 ? -errno : descriptor;
}

void clinux_name_thread(const char *name) {
    pthread_setname_np(pthread_self(), name);
}
