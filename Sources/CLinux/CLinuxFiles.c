#define _GNU_SOURCE

#include "CLinux.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As many links as the kernel follows in one path (path_resolution(7)). */
#define LINKS 40
/* Directories that one path goes through: PATH_MAX of names of one letter would be more, and nobody has them. */
#define DEPTH 256

struct walk {
    int stack[DEPTH]; /* from the root, which is not ours to close */
    int depth;
    char rest[PATH_MAX];
};

static void leave(struct walk *walk, int depth) {
    while (walk->depth > depth) close(walk->stack[--walk->depth]);
}

/* Puts what the link `name` says before the rest of the way. */
static int follow(struct walk *walk, const char *name, const char *rest) {
    char target[PATH_MAX], path[PATH_MAX];
    ssize_t length = readlinkat(walk->stack[walk->depth - 1], name, target, sizeof target - 1);
    if (length < 0) return -errno;
    target[length] = 0;
    int count = snprintf(path, sizeof path, "%s%s%s", target, *rest ? "/" : "", rest);
    if (count < 0 || (size_t)count >= sizeof path) return -ENAMETOOLONG;
    if (target[0] == '/') leave(walk, 1);
    memcpy(walk->rest, path, (size_t)count + 1);
    return 0;
}

static int step(struct walk *walk, int flags, unsigned mode, int *result) {
    char name[NAME_MAX + 1];
    char *start = walk->rest + strspn(walk->rest, "/");
    size_t length = strcspn(start, "/");
    if (length > NAME_MAX) return -ENAMETOOLONG;
    memcpy(name, start, length);
    name[length] = 0;
    char rest[PATH_MAX];
    const char *after = start + length + strspn(start + length, "/");
    memcpy(rest, after, strlen(after) + 1);
    int top = walk->stack[walk->depth - 1];
    if (length == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        if (length == 2 && walk->depth > 1) leave(walk, walk->depth - 1);
        top = walk->stack[walk->depth - 1];
        memcpy(walk->rest, rest, strlen(rest) + 1);
        if (*rest) return 0;
        *result = openat(top, ".", (flags & ~O_CREAT) | O_CLOEXEC);
        return *result < 0 ? -errno : 1;
    }
    int isLast = *rest == 0;
    int descriptor = openat(top, name, isLast ? flags | O_NOFOLLOW | O_CLOEXEC : O_PATH | O_NOFOLLOW | O_CLOEXEC, mode);
    int error = errno;
    struct stat status;
    if (descriptor < 0) {
        if (error != ELOOP && error != ENOTDIR) return -error;
        if (fstatat(top, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return -errno;
        if (!S_ISLNK(status.st_mode)) return -error;
        return follow(walk, name, rest);
    }
    if (fstat(descriptor, &status) != 0) {
        error = errno;
        close(descriptor);
        return -error;
    }
    if (S_ISLNK(status.st_mode)) {
        close(descriptor);
        return follow(walk, name, rest);
    }
    if (isLast) {
        *result = descriptor;
        return 1;
    }
    if (!S_ISDIR(status.st_mode) || walk->depth == DEPTH) {
        close(descriptor);
        return S_ISDIR(status.st_mode) ? -ENAMETOOLONG : -ENOTDIR;
    }
    walk->stack[walk->depth++] = descriptor;
    memcpy(walk->rest, rest, strlen(rest) + 1);
    return 0;
}

int clinux_walk_in_root(int root, const char *path, int flags, unsigned mode) {
    struct walk walk = {.stack = {root}, .depth = 1};
    size_t length = strlen(path);
    if (length >= sizeof walk.rest) return -ENAMETOOLONG;
    memcpy(walk.rest, path, length + 1);
    int result = -1, code = 0, links = 0;
    /* Every step takes a name from the way or follows a link, which may be long. */
    while (code == 0) {
        if (links++ > LINKS + DEPTH) code = -ELOOP;
        else code = step(&walk, flags, mode, &result);
    }
    leave(&walk, 1);
    return code < 0 ? code : result;
}

int clinux_open_in_root(int root, const char *path, int flags, unsigned mode) {
    struct open_how how = {
        .flags = (unsigned)flags | O_CLOEXEC,
        .mode = flags & O_CREAT ? mode & 07777 : 0,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    /* A name that is changed while it is looked up: again, as often as it takes to be sure (openat2(2)). */
    for (int tries = 0; tries < 16; tries++) {
        long descriptor = syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof how);
        if (descriptor >= 0) return (int)descriptor;
        if (errno != EAGAIN) break;
    }
    /* Older kernels, and filters that know no more than they do, have none. */
    if (errno != ENOSYS && errno != EPERM) return -errno;
    return clinux_walk_in_root(root, *path ? path : ".", flags, mode);
}

int clinux_rename_new(int from, const char *old, int to, const char *name) {
    if (syscall(SYS_renameat2, from, old, to, name, 1 /* RENAME_NOREPLACE */) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return -errno;
    /* A file system that cannot do it at once. */
    struct stat status;
    if (fstatat(to, name, &status, AT_SYMLINK_NOFOLLOW) == 0) return -EEXIST;
    return renameat(from, old, to, name) == 0 ? 0 : -errno;
}

int clinux_socket_owner(const unsigned long *inodes, size_t count) {
    DIR *processes = opendir("/proc");
    if (!processes) return -errno;
    int found = 0;
    struct dirent *process;
    /* In the order of their numbers: a server comes before those that it has forked, which have its sockets, too. */
    while (!found && (process = readdir(processes))) {
        char *end;
        long id = strtol(process->d_name, &end, 10);
        if (*end || id <= 0 || id == getpid()) continue;
        char path[64];
        snprintf(path, sizeof path, "/proc/%ld/fd", id);
        int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *files = directory < 0 ? NULL : fdopendir(directory);
        if (!files) {
            if (directory >= 0) close(directory);
            continue;
        }
        struct dirent *file;
        while (!found && (file = readdir(files))) {
            char target[64];
            ssize_t length = readlinkat(directory, file->d_name, target, sizeof target - 1);
            if (length <= 8 || memcmp(target, "socket:[", 8) != 0) continue;
            target[length] = 0;
            unsigned long inode = strtoul(target + 8, NULL, 10);
            for (size_t index = 0; index < count; index++)
                if (inodes[index] == inode) found = (int)id;
        }
        closedir(files);
    }
    closedir(processes);
    return found;
}
