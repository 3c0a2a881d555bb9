// The first process of every pod: holds its namespaces, reaps its orphans, and ends when it is told to.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    sigset_t signals;
    int received;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    while (sigwait(&signals, &received) == 0 && received == SIGCHLD)
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
    return 0;
}
