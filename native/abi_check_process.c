// Prints what Libc.Process.cs declares about C's layouts and constants, one "name value" a line, as this system's headers
// have it. ProcessAbiTests compiles it and compares.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE(type, name) printf("sizeof." name " %zu\n", sizeof(type))
#define OFFSET(type, field, name) printf("offsetof." name "." #field " %zu\n", offsetof(type, field))
#define VALUE(constant) printf(#constant " %lld\n", (long long)(constant))

int main(void) {
    SIZE(posix_spawnattr_t, "posix_spawnattr_t");
    SIZE(posix_spawn_file_actions_t, "posix_spawn_file_actions_t");
    SIZE(sigset_t, "sigset_t");
    SIZE(siginfo_t, "siginfo_t");
    OFFSET(siginfo_t, si_signo, "siginfo_t");
    OFFSET(siginfo_t, si_code, "siginfo_t");
    OFFSET(siginfo_t, si_pid, "siginfo_t");
    OFFSET(siginfo_t, si_status, "siginfo_t");
    SIZE(struct pollfd, "pollfd");
    OFFSET(struct pollfd, fd, "pollfd");
    OFFSET(struct pollfd, events, "pollfd");
    OFFSET(struct pollfd, revents, "pollfd");
    VALUE(SIGKILL);
    VALUE(SIGTERM);
    VALUE(ESRCH);
    VALUE(EIO);
    VALUE(ECHILD);
    VALUE(ENOMEM);
    VALUE(ENFILE);
    VALUE(EMFILE);
    VALUE(RLIMIT_NOFILE);
    VALUE(POLLIN);
    VALUE(O_RDONLY);
    VALUE(O_WRONLY);
    VALUE(O_RDWR);
    VALUE(O_CLOEXEC);
    VALUE(POSIX_SPAWN_SETPGROUP);
    VALUE(POSIX_SPAWN_SETSIGDEF);
    VALUE(POSIX_SPAWN_SETSIGMASK);
    VALUE(POSIX_SPAWN_SETSID);
    VALUE(CLD_EXITED);
    VALUE(CLD_KILLED);
    VALUE(CLD_DUMPED);
    VALUE(P_PID);
    VALUE(P_PGID);
    VALUE(P_PIDFD);
    VALUE(X_OK);
    VALUE(WNOHANG);
    VALUE(WEXITED);
    VALUE(SYS_pidfd_send_signal);
    VALUE(SYS_pidfd_open);
    VALUE(SYS_close_range);
    VALUE(CLOSE_RANGE_CLOEXEC);
    return 0;
}
