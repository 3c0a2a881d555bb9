// Sets up and ends SSH sessions as fast as it can: handshake, public key, disconnect. Prints one JSON object.
//
// sessions HOST PORT USER PRIVATE-KEY MILLISECONDS PROCESSES
#include <libssh2.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "common.h"

// Why a session could not be set up.
__attribute__((noreturn)) static void fail_session(LIBSSH2_SESSION *session, const char *what) {
    char *text = NULL;
    libssh2_session_last_error(session, &text, NULL, 0);
    fprintf(stderr, "%s: %s\n", what, text ? text : "failed");
    exit(1);
}

static void set_up(struct sockaddr_in address, const char *user, const char *key) {
    int fd = dial(address);
    LIBSSH2_SESSION *session = libssh2_session_init();
    if (!session) fail("session");
    if (libssh2_session_handshake(session, fd)) fail_session(session, "handshake");
    char public_key[4096];
    snprintf(public_key, sizeof public_key, "%s.pub", key);
    if (libssh2_userauth_publickey_fromfile_ex(session, user, (unsigned)strlen(user), public_key, key, "")) {
        fail_session(session, "authentication");
    }
    libssh2_session_disconnect(session, "done");
    libssh2_session_free(session);
    close(fd);
}

int main(int argc, char **argv) {
    if (argc != 7) return fprintf(stderr, "usage: sessions HOST PORT USER PRIVATE-KEY MILLISECONDS PROCESSES\n"), 2;
    struct sockaddr_in address = ipv4(argv[1], argv[2]);
    uint64_t duration = strtoull(argv[5], NULL, 10) * 1000000;
    int processes = atoi(argv[6]);
    uint64_t *count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (count == MAP_FAILED || libssh2_init(0)) fail("init");
    uint64_t begin = nanoseconds();
    for (int i = 0; i < processes; i++) {
        pid_t child = fork();
        if (child < 0) fail("fork");
        if (child == 0) {
            while (nanoseconds() - begin < duration) {
                set_up(address, argv[3], argv[4]);
                __atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
            }
            _exit(0);
        }
    }
    int failed = 0;
    for (int status; wait(&status) > 0;) failed |= status != 0;
    double seconds = (double)(nanoseconds() - begin) / 1e9;
    if (failed) return 1;
    printf("{\"count\": %lu, \"seconds\": %.6f}\n", (unsigned long)*count, seconds);
    return 0;
}
