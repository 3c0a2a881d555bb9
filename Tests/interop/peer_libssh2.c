/* A client on libssh2, joined to its stdin and stdout. See peers.py for the arguments. */
#include <errno.h>
#include <fcntl.h>
#include <libssh2.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static LIBSSH2_SESSION *session;
static int sock;

static void die(const char *what)
{
    char *text = NULL;
    if (session) libssh2_session_last_error(session, &text, NULL, 0);
    fprintf(stderr, "%s: %s\n", what, text ? text : strerror(errno));
    exit(255);
}

/* Waits for what libssh2 waits for. */
static void wait_socket(void)
{
    int directions = libssh2_session_block_directions(session);
    struct pollfd fd = {sock, 0, 0};
    if (directions & LIBSSH2_SESSION_BLOCK_INBOUND) fd.events |= POLLIN;
    if (directions & LIBSSH2_SESSION_BLOCK_OUTBOUND) fd.events |= POLLOUT;
    if (!fd.events) fd.events = POLLIN;
    poll(&fd, 1, 60000);
}

/* Repeats a call that has sent a part of a packet: no other may come between (LIBSSH2_ERROR_BAD_USE). */
#define WHOLE(rc, call) \
    while ((rc = (call)) == LIBSSH2_ERROR_EAGAIN && \
           (libssh2_session_block_directions(session) & LIBSSH2_SESSION_BLOCK_OUTBOUND)) wait_socket()

static void write_all(int fd, const char *data, ssize_t count)
{
    while (count > 0) {
        ssize_t n = write(fd, data, count);
        if (n < 0) die("write");
        data += n;
        count -= n;
    }
}

static void relay(LIBSSH2_CHANNEL *channel)
{
    static char in[32768], out[65536];
    ssize_t held = 0, offset = 0;
    int ended = 0;
    for (;;) {
        ssize_t rc;
        int moved = 0;
        for (int stream = 0; stream <= SSH_EXTENDED_DATA_STDERR; stream++) {
            WHOLE(rc, libssh2_channel_read_ex(channel, stream, out, sizeof out));
            if (rc < 0 && rc != LIBSSH2_ERROR_EAGAIN) die("read");
            if (rc > 0) {
                write_all(stream ? 2 : 1, out, rc);
                moved = 1;
            }
        }
        if (libssh2_channel_eof(channel)) return;
        if (held > 0) {
            WHOLE(rc, libssh2_channel_write(channel, in + offset, held));
            if (rc < 0 && rc != LIBSSH2_ERROR_EAGAIN) die("write to the channel");
            if (rc > 0) {
                offset += rc;
                held -= rc;
                moved = 1;
            }
        }
        if (moved) continue;
        struct pollfd fds[2] = {{sock, POLLIN, 0}, {held || ended ? -1 : 0, POLLIN, 0}};
        if (libssh2_session_block_directions(session) & LIBSSH2_SESSION_BLOCK_OUTBOUND) fds[0].events |= POLLOUT;
        if (poll(fds, 2, 60000) < 0) die("poll");
        if (fds[1].revents) {
            ssize_t n = read(0, in, sizeof in);
            if (n < 0) die("stdin");
            if (n == 0) {
                ended = 1;
                while ((rc = libssh2_channel_send_eof(channel)) == LIBSSH2_ERROR_EAGAIN) wait_socket();
                if (rc < 0) die("eof");
            }
            held = n;
            offset = 0;
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 7) return 2;
    const char *host = argv[1], *port = argv[2], *user = argv[3], *key = argv[4], *expected = argv[5], *mode = argv[6];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *address;
    if (getaddrinfo(host, port, &hints, &address)) die("getaddrinfo");
    sock = socket(address->ai_family, SOCK_STREAM, 0);
    if (connect(sock, address->ai_addr, address->ai_addrlen)) die("connect");
    libssh2_init(0);
    session = libssh2_session_init();
    if (libssh2_session_handshake(session, sock)) die("handshake");
    const unsigned char *hash = (const unsigned char *)libssh2_hostkey_hash(session, LIBSSH2_HOSTKEY_HASH_SHA256);
    char hex[65] = "";
    for (int i = 0; hash && i < 32; i++) sprintf(hex + 2 * i, "%02x", hash[i]);
    if (strcmp(hex, expected)) {
        fprintf(stderr, "host key %s, expected %s\n", hex, expected);
        return 255;
    }
    fprintf(stderr, "libssh2 %s, %s %s\n", libssh2_version(0), libssh2_session_methods(session, LIBSSH2_METHOD_CRYPT_CS),
            libssh2_session_methods(session, LIBSSH2_METHOD_MAC_CS));
    char public[4096];
    snprintf(public, sizeof public, "%s.pub", key);
    if (libssh2_userauth_publickey_fromfile_ex(session, user, strlen(user), public, key, NULL)) die("authentication");

    LIBSSH2_CHANNEL *channel;
    if (!strcmp(mode, "exec")) {
        if (!(channel = libssh2_channel_open_session(session))) die("session");
        if (libssh2_channel_exec(channel, argv[7])) die("exec");
    } else if (!strcmp(mode, "direct")) {
        if (!(channel = libssh2_channel_direct_tcpip(session, argv[7], atoi(argv[8])))) die("direct-tcpip");
    } else {
        int bound = 0;
        LIBSSH2_LISTENER *listener =
            libssh2_channel_forward_listen_ex(session, argv[7], atoi(argv[8]), &bound, 8);
        if (!listener) die("tcpip-forward");
        fprintf(stderr, "listening %d\n", bound ? bound : atoi(argv[8]));
        if (!(channel = libssh2_channel_forward_accept(listener))) die("accept");
    }
    libssh2_session_set_blocking(session, 0);
    fcntl(sock, F_SETFL, fcntl(sock, F_GETFL) | O_NONBLOCK);
    relay(channel);
    libssh2_session_set_blocking(session, 1);
    libssh2_channel_close(channel);
    libssh2_channel_wait_closed(channel);
    int status = !strcmp(mode, "exec") ? libssh2_channel_get_exit_status(channel) : 0;
    libssh2_channel_free(channel);
    libssh2_session_disconnect(session, "done");
    libssh2_session_free(session);
    return status;
}
