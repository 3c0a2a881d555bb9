#define _GNU_SOURCE

#include "CLinux.h"

#include <errno.h>
#include <sched.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int clinux_forbid_core_dumps(void) {
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0) return -errno;
    /* A core_pattern that is a pipe ignores the limit. */
    return prctl(PR_SET_DUMPABLE, 0) == 0 ? 0 : -errno;
}

int clinux_try_namespaces(void) {
    pid_t child = fork();
    if (child < 0) return -errno;
    /* Only what may be called beside other threads. */
    if (child == 0) _exit(unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) == 0 ? 0 : errno);
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return -errno;
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

int clinux_spawn_close_from(void *actions, int first) {
    return posix_spawn_file_actions_addclosefrom_np(actions, first);
}
