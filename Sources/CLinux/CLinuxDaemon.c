#define _GNU_SOURCE

#include "CLinux.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

int clinux_forbid_core_dumps(void) {
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0) return -errno;
    /* A core_pattern that is a pipe ignores the limit. */
    return prctl(PR_SET_DUMPABLE, 0) == 0 ? 0 : -errno;
}
