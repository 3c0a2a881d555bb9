#define _GNU_SOURCE

#include "CLinux.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A query is a question and an OPT record; what is longer is none, and is cut. */
#define QUERY_SIZE 1024

_Static_assert(CLINUX_ADDRESS_SIZE >= sizeof(struct sockaddr_in6), "room for an address of either family");

struct clinux_batch {
    unsigned answers;
    struct mmsghdr incoming[CLINUX_BATCH];
    struct mmsghdr outgoing[CLINUX_BATCH];
    struct iovec queries[CLINUX_BATCH];
    struct iovec replies[CLINUX_BATCH];
    _Alignas(8) unsigned char addresses[CLINUX_BATCH][CLINUX_ADDRESS_SIZE];
    unsigned char query[CLINUX_BATCH][QUERY_SIZE];
    unsigned char reply[CLINUX_BATCH][CLINUX_REPLY_SIZE];
};

struct clinux_batch *clinux_batch_new(void) {
    struct clinux_batch *batch = calloc(1, sizeof *batch);
    if (!batch) abort();
    for (int i = 0; i < CLINUX_BATCH; i++) {
        batch->queries[i] = (struct iovec){batch->query[i], QUERY_SIZE};
        batch->replies[i].iov_base = batch->reply[i];
        batch->incoming[i].msg_hdr.msg_iov = &batch->queries[i];
        batch->incoming[i].msg_hdr.msg_iovlen = 1;
        batch->incoming[i].msg_hdr.msg_name = batch->addresses[i];
        batch->outgoing[i].msg_hdr.msg_iov = &batch->replies[i];
        batch->outgoing[i].msg_hdr.msg_iovlen = 1;
    }
    return batch;
}

void clinux_batch_free(struct clinux_batch *batch) { free(batch); }

int clinux_batch_receive(struct clinux_batch *batch, int socket) {
    memset(batch->addresses, 0, sizeof batch->addresses);
    for (int i = 0; i < CLINUX_BATCH; i++) batch->incoming[i].msg_hdr.msg_namelen = CLINUX_ADDRESS_SIZE;
    batch->answers = 0;
    int count = recvmmsg(socket, batch->incoming, CLINUX_BATCH, MSG_DONTWAIT, NULL);
    return count < 0 ? -errno : count;
}

const void *clinux_batch_query(const struct clinux_batch *batch, int index, size_t *length) {
    *length = batch->incoming[index].msg_len;
    return batch->query[index];
}

const void *clinux_batch_address(const struct clinux_batch *batch, int index) { return batch->addresses[index]; }

void *clinux_batch_reply(struct clinux_batch *batch) { return batch->reply[batch->answers]; }

void clinux_batch_put(struct clinux_batch *batch, int index, size_t length) {
    struct mmsghdr *message = &batch->outgoing[batch->answers];
    batch->replies[batch->answers].iov_len = length;
    message->msg_hdr.msg_name = batch->addresses[index];
    message->msg_hdr.msg_namelen = batch->incoming[index].msg_hdr.msg_namelen;
    batch->answers++;
}

void clinux_batch_send(struct clinux_batch *batch, int socket) {
    unsigned sent = 0;
    while (sent < batch->answers) {
        int count = sendmmsg(socket, batch->outgoing + sent, batch->answers - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        /* One that cannot be sent is lost, as datagrams may be; the others are not. */
        sent += count > 0 ? (unsigned)count : 1;
    }
    batch->answers = 0;
}

void clinux_send_to(int socket, const void *bytes, size_t length, const void *address) {
    const struct sockaddr *name = address;
    socklen_t size = name->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    (void)!sendto(socket, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL, name, size);
}
