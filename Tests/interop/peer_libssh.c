/* A client on libssh, joined to its stdin and stdout. See peers.py for the arguments. */
#include <libssh/libssh.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ssh_session session;

static void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, session ? ssh_get_error(session) : "");
    exit(255);
}

static void write_all(int fd, const char *data, int count)
{
    while (count > 0) {
        ssize_t n = write(fd, data, count);
        if (n < 0) die("write");
        data += n;
        count -= n;
    }
}

static void relay(ssh_channel channel)
{
    static char buffer[65536];
    int ended = 0;
    for (;;) {
        int moved = 0;
        for (int is_stderr = 0; is_stderr < 2; is_stderr++) {
            int n = ssh_channel_read_nonblocking(channel, buffer, sizeof buffer, is_stderr);
            if (n == SSH_ERROR) die("read");
            if (n > 0) {
                write_all(is_stderr ? 2 : 1, buffer, n);
                moved = 1;
            }
        }
        if (moved) continue;
        if (ssh_channel_is_eof(channel) || ssh_channel_is_closed(channel)) return;
        int room = !ended && ssh_channel_window_size(channel) > 0;
        struct pollfd fds[2] = {{ssh_get_fd(session), POLLIN, 0}, {room ? 0 : -1, POLLIN, 0}};
        poll(fds, 2, 50);
        if (fds[1].revents) {
            size_t most = ssh_channel_window_size(channel);
            ssize_t n = read(0, buffer, most < 32768 ? most : 32768);
            if (n == 0) {
                ended = 1;
                ssh_channel_send_eof(channel);
            } else if (n > 0) {
                for (ssize_t done = 0; done < n;) {
                    int written = ssh_channel_write(channel, buffer + done, n - done);
                    if (written < 0) die("write to the channel");
                    done += written;
                }
            }
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 7) return 2;
    unsigned port = atoi(argv[2]);
    session = ssh_new();
    ssh_options_set(session, SSH_OPTIONS_HOST, argv[1]);
    ssh_options_set(session, SSH_OPTIONS_PORT, &port);
    ssh_options_set(session, SSH_OPTIONS_USER, argv[3]);
    int no = 0;
    ssh_options_set(session, SSH_OPTIONS_PROCESS_CONFIG, &no);
    if (getenv("PEER_REKEY")) {
        uint64_t limit = strtoull(getenv("PEER_REKEY"), NULL, 10);
        ssh_options_set(session, SSH_OPTIONS_REKEY_DATA, &limit);
    }
    if (ssh_connect(session) != SSH_OK) die("connect");
    ssh_key host_key, key;
    unsigned char *hash;
    size_t length;
    if (ssh_get_server_publickey(session, &host_key) ||
        ssh_get_publickey_hash(host_key, SSH_PUBLICKEY_HASH_SHA256, &hash, &length)) die("host key");
    char hex[65] = "";
    for (size_t i = 0; i < length; i++) sprintf(hex + 2 * i, "%02x", hash[i]);
    if (strcmp(hex, argv[5])) {
        fprintf(stderr, "host key %s, expected %s\n", hex, argv[5]);
        return 255;
    }
    fprintf(stderr, "libssh %s, %s\n", ssh_version(0), ssh_get_cipher_out(session));
    if (ssh_pki_import_privkey_file(argv[4], NULL, NULL, NULL, &key)) die("key");
    if (ssh_userauth_publickey(session, NULL, key) != SSH_AUTH_SUCCESS) die("authentication");

    const char *mode = argv[6];
    ssh_channel channel;
    if (!strcmp(mode, "exec")) {
        channel = ssh_channel_new(session);
        if (ssh_channel_open_session(channel)) die("session");
        if (ssh_channel_request_exec(channel, argv[7])) die("exec");
    } else if (!strcmp(mode, "direct")) {
        channel = ssh_channel_new(session);
        if (ssh_channel_open_forward(channel, argv[7], atoi(argv[8]), "127.0.0.1", 1)) die("direct-tcpip");
    } else {
        int bound = 0;
        if (ssh_channel_listen_forward(session, argv[7], atoi(argv[8]), &bound)) die("tcpip-forward");
        fprintf(stderr, "listening %d\n", bound ? bound : atoi(argv[8]));
        int from = 0;
        channel = ssh_channel_accept_forward(session, 60000, &from);
        if (!channel) die("accept");
    }
    relay(channel);
    /* The status may come after the end of the output. */
    int status = 0;
    if (!strcmp(mode, "exec"))
        for (int i = 0; i < 100 && (status = ssh_channel_get_exit_status(channel)) == -1; i++)
            ssh_channel_poll_timeout(channel, 50, 0);
    ssh_channel_close(channel);
    ssh_channel_free(channel);
    ssh_disconnect(session);
    ssh_free(session);
    return status < 0 ? 254 : status;
}
