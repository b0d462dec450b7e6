/* Prints what C makes of the sockets and epoll declarations in src/FastLB.Linux, one "name value" per line. A test compares. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/tcp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
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
    VALUE(AT_FDCWD);
    VALUE(AT_SYMLINK_NOFOLLOW);
    VALUE(STATX_TYPE);
    VALUE(S_IFMT);
    VALUE(S_IFSOCK);
    SIZE("sizeof.statx", struct statx);
    OFFSET("offsetof.statx.stx_mode", struct statx, stx_mode);
    VALUE(SO_ATTACH_FILTER);
    SIZE("sizeof.sock_filter", struct sock_filter);
    SIZE("sizeof.sock_fprog", struct sock_fprog);
    OFFSET("offsetof.sock_fprog.filter", struct sock_fprog, filter);
    printf("BPF_LOAD_BYTE %d\n", BPF_LD | BPF_B | BPF_ABS);
    printf("BPF_JUMP_IF_SET %d\n", BPF_JMP | BPF_JSET | BPF_K);
    printf("BPF_RETURN %d\n", BPF_RET | BPF_K);
    VALUE(IPPROTO_TCP);
    VALUE(IPPROTO_IPV6);
    VALUE(IPV6_V6ONLY);
    VALUE(TCP_NODELAY);
    VALUE(TCP_DEFER_ACCEPT);
    VALUE(SHUT_RD);
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
    VALUE(MSG_TRUNC);
    VALUE(SO_COOKIE);
    VALUE(SO_RCVLOWAT);
    VALUE(TCP_INFO);
    VALUE(EPOLL_CTL_MOD);
    VALUE(BPF_MAP_CREATE);
    VALUE(BPF_MAP_UPDATE_ELEM);
    VALUE(BPF_MAP_DELETE_ELEM);
    VALUE(BPF_PROG_LOAD);
    VALUE(BPF_PROG_ATTACH);
    VALUE(BPF_MAP_TYPE_SOCKHASH);
    VALUE(BPF_PROG_TYPE_SK_SKB);
    VALUE(BPF_SK_SKB_STREAM_VERDICT);
    VALUE(BPF_FUNC_get_socket_cookie);
    VALUE(BPF_FUNC_sk_redirect_hash);
    VALUE(SK_DROP);
    OFFSET("bpf_attr.map_type", union bpf_attr, map_type);
    OFFSET("bpf_attr.key_size", union bpf_attr, key_size);
    OFFSET("bpf_attr.value_size", union bpf_attr, value_size);
    OFFSET("bpf_attr.max_entries", union bpf_attr, max_entries);
    OFFSET("bpf_attr.map_fd", union bpf_attr, map_fd);
    OFFSET("bpf_attr.key", union bpf_attr, key);
    OFFSET("bpf_attr.value", union bpf_attr, value);
    OFFSET("bpf_attr.flags", union bpf_attr, flags);
    OFFSET("bpf_attr.prog_type", union bpf_attr, prog_type);
    OFFSET("bpf_attr.insn_cnt", union bpf_attr, insn_cnt);
    OFFSET("bpf_attr.insns", union bpf_attr, insns);
    OFFSET("bpf_attr.license", union bpf_attr, license);
    OFFSET("bpf_attr.expected_attach_type", union bpf_attr, expected_attach_type);
    OFFSET("bpf_attr.target_fd", union bpf_attr, target_fd);
    OFFSET("bpf_attr.attach_bpf_fd", union bpf_attr, attach_bpf_fd);
    OFFSET("bpf_attr.attach_type", union bpf_attr, attach_type);
    OFFSET("bpf_attr.attach_flags", union bpf_attr, attach_flags);
    OFFSET("__sk_buff.len", struct __sk_buff, len);
    OFFSET("tcp_info.state", struct tcp_info, tcpi_state);
    OFFSET("tcp_info.bytes_acked", struct tcp_info, tcpi_bytes_acked);
    OFFSET("tcp_info.bytes_received", struct tcp_info, tcpi_bytes_received);
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
