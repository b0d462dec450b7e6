/* Prints what C makes of the sockets and epoll declarations in src/FastLB.Linux, one "name value" per line. A test compares. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#define VALUE(name) printf(#name " %lld\n", (long long)(name))
#define UNSIGNED(name) printf(#name " %u\n", (unsigned)(name))
#define SIZE(name, type) printf(name " %zu\n", sizeof(type))
#define OFFSET(name, type, member) printf(name " %zu\n", offsetof(type, member))

int main(void)
{
    VALUE(AF_UNIX);
    VALUE(AF_INET);
    VALUE(AF_INET6);
    VALUE(SOCK_STREAM);
    VALUE(SOCK_NONBLOCK);
    VALUE(SOCK_CLOEXEC);
    VALUE(SOL_SOCKET);
    VALUE(SO_REUSEADDR);
    VALUE(SO_ERROR);
    VALUE(SO_LINGER);
    VALUE(SO_REUSEPORT);
    VALUE(IPPROTO_TCP);
    VALUE(IPPROTO_IPV6);
    VALUE(IPV6_V6ONLY);
    VALUE(TCP_NODELAY);
    VALUE(TCP_DEFER_ACCEPT);
    VALUE(SHUT_WR);
    VALUE(MSG_NOSIGNAL);
    VALUE(MSG_PEEK);
    VALUE(SIOCOUTQ);
    VALUE(F_DUPFD_CLOEXEC);
    VALUE(SYS_sendto);
    VALUE(SYS_recvfrom);
    VALUE(EPOLL_CLOEXEC);
    VALUE(EPOLL_CTL_ADD);
    VALUE(EPOLL_CTL_DEL);
    UNSIGNED(EPOLLIN);
    UNSIGNED(EPOLLOUT);
    UNSIGNED(EPOLLERR);
    UNSIGNED(EPOLLHUP);
    UNSIGNED(EPOLLRDHUP);
    UNSIGNED(EPOLLEXCLUSIVE);
    UNSIGNED(EPOLLET);
    VALUE(EFD_NONBLOCK);
    VALUE(EFD_CLOEXEC);
    VALUE(O_NONBLOCK);
    VALUE(F_SETPIPE_SZ);
    VALUE(F_GETPIPE_SZ);
    VALUE(SPLICE_F_MOVE);
    VALUE(SPLICE_F_NONBLOCK);
    VALUE(EINTR);
    VALUE(EBADF);
    VALUE(EAGAIN);
    VALUE(EMFILE);
    VALUE(EPIPE);
    VALUE(ECONNRESET);
    VALUE(ENOBUFS);
    VALUE(ETIMEDOUT);
    VALUE(ECONNREFUSED);
    VALUE(EINPROGRESS);
    VALUE(ECANCELED);
    SIZE("epoll_event", struct epoll_event);
    OFFSET("epoll_event.data", struct epoll_event, data);
    SIZE("linger", struct linger);
    SIZE("sockaddr_in", struct sockaddr_in);
    OFFSET("sockaddr_in.port", struct sockaddr_in, sin_port);
    OFFSET("sockaddr_in.address", struct sockaddr_in, sin_addr);
    SIZE("sockaddr_in6", struct sockaddr_in6);
    OFFSET("sockaddr_in6.port", struct sockaddr_in6, sin6_port);
    OFFSET("sockaddr_in6.address", struct sockaddr_in6, sin6_addr);
    OFFSET("sockaddr_in6.scope", struct sockaddr_in6, sin6_scope_id);
    SIZE("sockaddr_un", struct sockaddr_un);
    OFFSET("sockaddr_un.path", struct sockaddr_un, sun_path);
    SIZE("cpu_set_t", cpu_set_t);
    return 0;
}
