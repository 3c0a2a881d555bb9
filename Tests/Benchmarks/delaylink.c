// A long wire between two network namespaces: a TUN device in each, every packet held for the one-way delay.
// Packets keep their order; segmentation and checksum offload pass through, so that a packet here is up to 64 KiB.
//
// delaylink PID-A PID-B MICROSECONDS LOSS     device `wire` in the namespaces of both; LOSS: 0 to 1, of packets
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "common.h"

#define HEADER sizeof(struct virtio_net_hdr)
#define PACKET (HEADER + 65536)
// Bytes under way in one direction, a power of two: 80 ms at 10 Gbit/s are 100 MB. Touched only as far as used.
#define WIRE (256u << 20)

struct packet {
    uint64_t due;  // nanoseconds
    uint32_t size;
    uint32_t zero;
};

// One direction: packets from `from`, each behind its `struct packet`, at `wire + offset % WIRE`.
struct direction {
    int from;
    int to;
    uint8_t *wire;
    uint64_t head;
    uint64_t tail;
    uint64_t packets;
    uint64_t bytes;
    uint64_t dropped;
};

static uint64_t delay;
static double loss;

static int open_tun(const char *pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/ns/net", pid);
    int space = open(path, O_RDONLY | O_CLOEXEC);
    if (space < 0) fail(path);
    if (setns(space, CLONE_NEWNET) < 0) fail("setns");
    close(space);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) fail("/dev/net/tun");
    struct ifreq request = {.ifr_name = "wire", .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    if (ioctl(fd, TUNSETIFF, &request) < 0) fail("TUNSETIFF");
    if (ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0) fail("TUNSETOFFLOAD");
    return fd;
}

// The wire is mapped twice in a row, so that a packet across its end is still one piece.
static uint8_t *map_wire(void) {
    int file = memfd_create("wire", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, WIRE) < 0) fail("memfd");
    uint8_t *wire = mmap(NULL, 2ul * WIRE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (wire == MAP_FAILED) fail("mmap");
    for (int half = 0; half < 2; half++) {
        void *at = wire + (size_t)half * WIRE;
        if (mmap(at, WIRE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED) fail("mmap");
    }
    close(file);
    return wire;
}

static int has_room(const struct direction *d) {
    return WIRE - (d->tail - d->head) >= sizeof(struct packet) + PACKET;
}

// Without room the device queues, then drops.
static void take(struct direction *d, uint64_t now) {
    for (int i = 0; i < 256 && has_room(d); i++) {
        struct packet *packet = (struct packet *)(d->wire + d->tail % WIRE);
        ssize_t n = read(d->from, packet + 1, PACKET);
        if (n <= 0) return;
        if (loss > 0 && drand48() < loss) {
            d->dropped++;
            continue;
        }
        *packet = (struct packet){.due = now + delay, .size = (uint32_t)n};
        d->tail += sizeof *packet + (((size_t)n + 15) & ~(size_t)15);
        d->packets++;
        d->bytes += (uint64_t)n;
    }
}

// Returns when the next packet is due, UINT64_MAX if none is under way.
static uint64_t deliver(struct direction *d, uint64_t now) {
    while (d->head != d->tail) {
        struct packet *packet = (struct packet *)(d->wire + d->head % WIRE);
        if (packet->due > now) return packet->due;
        if (write(d->to, packet + 1, packet->size) < 0) d->dropped++;
        d->head += sizeof *packet + (((size_t)packet->size + 15) & ~(size_t)15);
    }
    return UINT64_MAX;
}

int main(int argc, char **argv) {
    if (argc != 5) return fprintf(stderr, "usage: delaylink PID-A PID-B MICROSECONDS LOSS\n"), 2;
    delay = strtoull(argv[3], NULL, 10) * 1000;
    loss = strtod(argv[4], NULL);
    int a = open_tun(argv[1]), b = open_tun(argv[2]);
    struct direction ways[2] = {{.from = a, .to = b, .wire = map_wire()}, {.from = b, .to = a, .wire = map_wire()}};
    prctl(PR_SET_TIMERSLACK, 1);  // wake at the nanosecond asked for, not up to 50 us later
    puts("ready");
    fflush(stdout);
    for (;;) {
        uint64_t now = nanoseconds(), next = UINT64_MAX;
        for (int i = 0; i < 2; i++) {
            take(&ways[i], now);
            uint64_t due = deliver(&ways[i], now);
            if (due < next) next = due;
        }
        struct timespec timeout = {0}, *wait = NULL;
        if (next != UINT64_MAX) {
            now = nanoseconds();
            uint64_t left = next > now ? next - now : 0;
            timeout = (struct timespec){.tv_sec = (time_t)(left / 1000000000u), .tv_nsec = (long)(left % 1000000000u)};
            wait = &timeout;
        }
        struct pollfd items[2] = {{.fd = has_room(&ways[0]) ? a : -1, .events = POLLIN},
                                  {.fd = has_room(&ways[1]) ? b : -1, .events = POLLIN}};
        ppoll(items, 2, wait, NULL);
    }
}
