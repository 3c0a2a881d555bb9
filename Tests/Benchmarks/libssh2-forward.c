// The forwarder anybody would write first with libssh2: one connection at a time, non-blocking calls in a poll loop,
// libssh2's default window (2 MiB) and packet size (32 KiB). What `telepresence forward -L` is compared with.
//
// libssh2-forward HOST PORT USER PRIVATE-KEY LISTEN-PORT TARGET-HOST TARGET-PORT
#include <libssh2.h>
#include <poll.h>

#include "common.h"

#define BUFFER LIBSSH2_CHANNEL_PACKET_DEFAULT

static LIBSSH2_SESSION *session;
static int transport;

__attribute__((noreturn)) static void fail_session(const char *what) {
    char *text = NULL;
    libssh2_session_last_error(session, &text, NULL, 0);
    fprintf(stderr, "%s: %s\n", what, text ? text : "failed");
    exit(1);
}

// Waits for what libssh2 is blocked on.
static void wait_transport(void) {
    int directions = libssh2_session_block_directions(session);
    struct pollfd item = {.fd = transport, .events = POLLIN};
    if (directions & LIBSSH2_SESSION_BLOCK_OUTBOUND) item.events |= POLLOUT;
    poll(&item, 1, -1);
}

static void write_all(int fd, const char *bytes, ssize_t size) {
    while (size > 0) {
        ssize_t n = send(fd, bytes, (size_t)size, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd item = {.fd = fd, .events = POLLOUT};
            poll(&item, 1, -1);
        } else if (n < 0) {
            return;
        } else {
            bytes += n, size -= n;
        }
    }
}

static void forward(int client, LIBSSH2_CHANNEL *channel) {
    static char buffer[BUFFER];
    int client_open = 1;
    for (;;) {
        struct pollfd items[2] = {{.fd = transport, .events = POLLIN},
                                  {.fd = client_open ? client : -1, .events = POLLIN}};
        if (poll(items, 2, -1) < 0) fail("poll");
        if (items[1].revents) {
            ssize_t size = recv(client, buffer, sizeof buffer, MSG_DONTWAIT);
            if (size == 0 || (size < 0 && errno != EAGAIN)) {
                client_open = 0;
                while (libssh2_channel_send_eof(channel) == LIBSSH2_ERROR_EAGAIN) wait_transport();
            }
            for (ssize_t sent = 0; sent < size;) {
                ssize_t n = libssh2_channel_write(channel, buffer + sent, (size_t)(size - sent));
                if (n == LIBSSH2_ERROR_EAGAIN) {
                    wait_transport();
                } else if (n < 0) {
                    fail_session("channel write");
                } else {
                    sent += n;
                }
            }
        }
        for (;;) {
            ssize_t n = libssh2_channel_read(channel, buffer, sizeof buffer);
            if (n == LIBSSH2_ERROR_EAGAIN) break;
            if (n < 0) fail_session("channel read");
            if (n == 0) {
                if (libssh2_channel_eof(channel)) return;
                break;
            }
            write_all(client, buffer, n);
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 8) {
        fprintf(stderr, "usage: libssh2-forward HOST PORT USER PRIVATE-KEY LISTEN-PORT TARGET-HOST TARGET-PORT\n");
        return 2;
    }
    char public_key[4096];
    snprintf(public_key, sizeof public_key, "%s.pub", argv[4]);
    transport = dial(ipv4(argv[1], argv[2]));
    if (libssh2_init(0) || !(session = libssh2_session_init())) fail("init");
    if (libssh2_session_handshake(session, transport)) fail_session("handshake");
    if (libssh2_userauth_publickey_fromfile_ex(session, argv[3], (unsigned)strlen(argv[3]), public_key, argv[4], "")) {
        fail_session("authentication");
    }
    int listener = listen_on("127.0.0.1", argv[5]);
    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0) fail("accept");
        no_delay(client);
        libssh2_session_set_blocking(session, 1);
        LIBSSH2_CHANNEL *channel = libssh2_channel_direct_tcpip(session, argv[6], atoi(argv[7]));
        if (!channel) fail_session("open");
        libssh2_session_set_blocking(session, 0);
        forward(client, channel);
        libssh2_session_set_blocking(session, 1);
        libssh2_channel_free(channel);
        close(client);
    }
}
