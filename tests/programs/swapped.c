// What a payload sees of accelerated connections, and what it may try with them: swapped WHAT ADDRESS PORT [MORE].
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define NETNS_COOKIE 71

static socklen_t address(struct sockaddr_storage *to, const char *ip, int port) {
    struct sockaddr_in *four = (void *)to;
    struct sockaddr_in6 *six = (void *)to;
    memset(to, 0, sizeof *to);
    if (inet_pton(AF_INET, ip, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        return sizeof *four;
    }
    inet_pton(AF_INET6, ip, &six->sin6_addr);
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    return sizeof *six;
}

static int tcp(const char *ip, int flags) {
    return socket(strchr(ip, ':') ? AF_INET6 : AF_INET, SOCK_STREAM | flags, 0);
}

static int reach(int fd, const char *ip, int port) {
    struct sockaddr_storage to;
    socklen_t length = address(&to, ip, port);
    return connect(fd, (void *)&to, length);
}

static unsigned long long network(int fd) {
    unsigned long long cookie = 0;
    socklen_t length = sizeof cookie;
    getsockopt(fd, SOL_SOCKET, NETNS_COOKIE, &cookie, &length);
    return cookie;
}

static int is_swapped(int fd) {
    int fresh = socket(AF_INET, SOCK_STREAM, 0);
    int differs = network(fd) != network(fresh);
    close(fresh);
    return differs;
}

static void show(const char *what, int (*ask)(int, struct sockaddr *, socklen_t *), int fd, int with_port) {
    struct sockaddr_storage at;
    char text[INET6_ADDRSTRLEN];
    socklen_t length = sizeof at;
    if (ask(fd, (void *)&at, &length) != 0) {
        printf("%s %s\n", what, strerrorname_np(errno));
        return;
    }
    struct sockaddr_in *four = (void *)&at;
    struct sockaddr_in6 *six = (void *)&at;
    int is_six = at.ss_family == AF_INET6;
    inet_ntop(at.ss_family, is_six ? (void *)&six->sin6_addr : (void *)&four->sin_addr, text, sizeof text);
    int port = ntohs(is_six ? six->sin6_port : four->sin_port);
    printf("%s %s%s %d\n", what, text, port == 0 ? " no port" : "", with_port ? port : (int)length);
}

static void greeted(int fd) {
    char text[64];
    struct pollfd ready = {fd, POLLIN, 0};
    ssize_t count = poll(&ready, 1, 10000) == 1 ? read(fd, text, sizeof text) : -1;
    printf("%.*s", count > 0 ? (int)count : 8, count > 0 ? text : "nothing\n");
}

static void tell(int fd) {
    puts(is_swapped(fd) ? "swapped" : "own");
    greeted(fd);
}

static void undo(int fd) {
    struct sockaddr none = {AF_UNSPEC, {0}};
    if (connect(fd, &none, sizeof none) != 0) printf("undo %s\n", strerrorname_np(errno));
}

// Whether somebody answers there, by a socket that may be anybody's.
static int answers(int fd, const char *ip, int port, int fastopen) {
    char text[64];
    struct sockaddr_storage to;
    socklen_t length = address(&to, ip, port);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    int result = fastopen ? sendto(fd, "x", 1, MSG_FASTOPEN, (void *)&to, length) : connect(fd, (void *)&to, length);
    if (result < 0 && errno != EINPROGRESS) return 0;
    struct pollfd ready = {fd, POLLIN, 0};
    return poll(&ready, 1, 100) == 1 && read(fd, text, sizeof text) > 0;
}

static int unix_socket(const char *path, struct sockaddr_un *at) {
    memset(at, 0, sizeof *at);
    at->sun_family = AF_UNIX;
    strncpy(at->sun_path, path, sizeof at->sun_path - 1);
    return socket(AF_UNIX, SOCK_STREAM, 0);
}

// Gives connections to who asks on a socket in the file system.
static void lend(const char *ip, int port, const char *path) {
    struct sockaddr_un at;
    int door = unix_socket(path, &at);
    bind(door, (void *)&at, sizeof at);
    listen(door, 8);
    for (;;) {
        int client = accept(door, NULL, NULL), fd = tcp(ip, 0);
        if (reach(fd, ip, port) != 0 || !is_swapped(fd)) exit(3);
        char control[CMSG_SPACE(sizeof fd)] = {0};
        struct iovec data = {"x", 1};
        struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        *rights = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(rights), &fd, sizeof fd);
        sendmsg(client, &message, 0);
        close(fd);
        close(client);
    }
}

static int borrow(const char *path) {
    struct sockaddr_un at;
    int door = unix_socket(path, &at), fd = -1;
    if (connect(door, (void *)&at, sizeof at) != 0) exit(4);
    char control[CMSG_SPACE(sizeof fd)], byte;
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(door, &message, 0) != 1) exit(4);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    close(door);
    return fd;
}

// Tries to get to the host's loopback with borrowed sockets, without a filter.
static void escape(const char *own, const char *path, int port) {
    const char *places[] = {"127.0.0.1", "127.0.0.53", "127.255.255.254", "0.0.0.0", "10.0.2.2"};
    int zero = 0;
    for (int trick = 0; trick < 6; trick++) {
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            int fd = borrow(path);
            undo(fd);
            if (trick == 1 && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "", 0) == 0) puts("unbound from the device");
            if (trick == 2 && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) == 0) puts("bound to loopback");
            if (trick == 3 && setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &zero, sizeof zero) == 0) puts("unbound");
            if (trick == 4) {
                struct sockaddr_storage at;
                socklen_t length = address(&at, "127.0.0.1", 0);
                if (bind(fd, (void *)&at, length) == 0) puts("bound elsewhere");
            }
            if (answers(fd, places[i], port, trick == 5)) printf("reached %s by trick %d\n", places[i], trick);
            close(fd);
        }
    }
    int fd = borrow(path);
    int space = ioctl(fd, SIOCGSKNS);
    printf("network of the socket: %s\n", space < 0 ? strerrorname_np(errno) : "known");
    if (space >= 0 && setns(space, CLONE_NEWNET) == 0) puts("entered the host's network");
    undo(fd);
    struct sockaddr_storage at;
    socklen_t length = address(&at, "0.0.0.0", 8080);
    printf("another port: %s\n", bind(fd, (void *)&at, length) == 0 ? "taken" : strerrorname_np(errno));
    undo(fd);
    printf("there and back: %s\n", reach(fd, own, 1) < 0 ? strerrorname_np(errno) : "connected");
}

static struct sockaddr_storage shared;
static volatile int over;
static int swapped, plain, number;

static void *flip_address(void *places) {
    for (struct sockaddr_storage *both = places; !over;) {
        for (int i = 0; i < 2; i++) {
            memcpy(&shared, &both[i], sizeof shared);
            __asm__ volatile("" ::: "memory");
        }
    }
    return NULL;
}

static void *flip_socket(void *unused) {
    while (!over) {
        dup2(swapped, number);
        dup2(plain, number);
    }
    return unused;
}

// Has threads change the address, then the socket, while a connection is asked for.
static void race(const char *ip, int port, int secret, int rounds) {
    struct sockaddr_storage places[2];
    struct sockaddr_un at;
    socklen_t length = address(&places[0], ip, port);
    int reached = 0, breaches = 0;
    pthread_t thread;
    char text[64];
    address(&places[1], "127.0.0.1", secret);
    pthread_create(&thread, NULL, flip_address, places);
    for (int i = 0; i < rounds; i++) {
        int fd = tcp(ip, 0);
        if (connect(fd, (void *)&shared, length) == 0) {
            ssize_t count = read(fd, text, sizeof text);
            reached += count > 0 && strncmp(text, "hello", 5) == 0;
            breaches += count > 0 && strncmp(text, "secret", 6) == 0;
        }
        close(fd);
    }
    over = 1;
    pthread_join(thread, NULL);
    over = 0;
    swapped = tcp(ip, 0);
    plain = unix_socket("", &at);
    number = dup(plain);
    reach(swapped, ip, port);
    pthread_create(&thread, NULL, flip_socket, NULL);
    for (int i = 0; i < rounds; i++) {
        struct sockaddr none = {AF_UNSPEC, {0}};
        connect(number, &none, sizeof none);
        fcntl(number, F_SETFL, O_NONBLOCK);
        connect(number, (void *)&places[1], length);
        breaches += recv(number, text, sizeof text, MSG_DONTWAIT) > 0 && strncmp(text, "secret", 6) == 0;
    }
    over = 1;
    pthread_join(thread, NULL);
    printf("reached %s, breaches %d\n", reached > 0 ? "some" : "none", breaches);
}

int main(int count, char **words) {
    if (count > 1 && strcmp(words[1], "read") == 0) {
        greeted(0);
        return 0;
    }
    if (count < 4) return 2;
    const char *what = words[1], *ip = words[2];
    int port = atoi(words[3]), one = 1, idle = 77, size = 65536;
    int is = 0, fd = tcp(ip, SOCK_CLOEXEC);
    struct pollfd out = {fd, POLLOUT, 0};
    socklen_t length = sizeof is;
    setvbuf(stdout, NULL, _IONBF, 0);
    if (strcmp(what, "names") == 0) {
        if (reach(fd, ip, port) != 0) return printf("%s\n", strerrorname_np(errno)), 1;
        show("peer", getpeername, fd, 1);
        show("own", getsockname, fd, 0);
        char few[4];
        length = sizeof few;
        printf("short %d %d\n", getsockname(fd, (void *)few, &length), (int)length);
        length = sizeof few;
        printf("null %s\n", getsockname(fd, NULL, &length) < 0 ? strerrorname_np(errno) : "done");
        printf("cloexec %d blocks %d\n", fcntl(fd, F_GETFD), !(fcntl(fd, F_GETFL) & O_NONBLOCK));
        printf("again %s\n", reach(fd, ip, port) < 0 ? strerrorname_np(errno) : "done");
        tell(fd);
    } else if (strcmp(what, "nonblocking") == 0) {
        fcntl(fd, F_SETFL, O_NONBLOCK);
        int result = reach(fd, ip, port);
        printf("%s\n", result == 0 || errno == EINPROGRESS ? "begun" : strerrorname_np(errno));
        poll(&out, 1, 10000);
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &is, &length);
        printf("error %d nonblocking %d\n", is, (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
        tell(fd);
    } else if (strcmp(what, "options") == 0) {
        struct timeval limit = {7, 0};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        reach(fd, ip, port);
        int names[][2] = {{IPPROTO_TCP, TCP_NODELAY}, {IPPROTO_TCP, TCP_KEEPIDLE}, {SOL_SOCKET, SO_KEEPALIVE},
                          {SOL_SOCKET, SO_RCVBUF}, {SOL_SOCKET, SO_REUSEADDR}};
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            getsockopt(fd, names[i][0], names[i][1], &is, &length);
            printf("%d ", is);
        }
        length = sizeof limit;
        getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, &length);
        printf("%d\n", (int)limit.tv_sec);
        tell(fd);
    } else if (strcmp(what, "dup") == 0) {
        int other = dup(fd);
        reach(fd, ip, port);
        tell(other);
    } else if (strcmp(what, "epoll") == 0) {
        int all = epoll_create1(0);
        struct epoll_event event = {.events = EPOLLOUT | EPOLLIN | EPOLLET, .data.u64 = 42};
        fcntl(fd, F_SETFL, O_NONBLOCK);
        epoll_ctl(all, EPOLL_CTL_ADD, fd, &event);
        epoll_wait(all, &event, 1, 0);
        reach(fd, ip, port);
        printf("%s %d\n", epoll_wait(all, &event, 1, 10000) == 1 ? "woken" : "asleep", (int)event.data.u64);
        greeted(fd);
    } else if (strcmp(what, "fork") == 0) {
        reach(fd, ip, port);
        if (fork() == 0) return tell(fd), 0;
        wait(NULL);
    } else if (strcmp(what, "exec") == 0) {
        reach(fd, ip, port);
        dup2(fd, 0);
        execl("/proc/self/exe", "swapped", "read", NULL);
    } else if (strcmp(what, "bound") == 0) {
        struct sockaddr_storage at;
        length = address(&at, "0.0.0.0", 4321);
        bind(fd, (void *)&at, length);
        printf("%s\n", reach(fd, ip, port) < 0 ? strerrorname_np(errno) : "connected");
        tell(fd);
    } else if (strcmp(what, "refused") == 0) {
        printf("%s\n", reach(fd, ip, atoi(words[4])) < 0 ? strerrorname_np(errno) : "connected");
        printf("%s\n", reach(fd, ip, port) < 0 ? strerrorname_np(errno) : "connected");
        tell(fd);
    } else if (strcmp(what, "undone") == 0) {
        reach(fd, ip, port);
        printf("%d\n", is_swapped(fd));
        undo(fd);
        printf("%d\n", is_swapped(fd));
        show("own", getsockname, fd, 1);
        reach(fd, ip, port);
        tell(fd);
    } else if (strcmp(what, "late") == 0) {
        struct timeval limit = {0, 200000};
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        printf("%s\n", reach(fd, ip, port) < 0 ? strerrorname_np(errno) : "connected");
    } else if (strcmp(what, "lend") == 0) {
        lend(ip, port, words[4]);
    } else if (strcmp(what, "escape") == 0) {
        escape(ip, words[4], port);
    } else if (strcmp(what, "race") == 0) {
        race(ip, port, atoi(words[4]), atoi(words[5]));
    } else if (strcmp(what, "many") == 0) {
        for (int i = 0; i < atoi(words[4]); i++) {
            int each = tcp(ip, 0);
            char text[64];
            if (reach(each, ip, port) != 0 || read(each, text, sizeof text) <= 0) return printf("lost %d\n", i), 1;
            close(each);
        }
        puts("all");
    }
    return 0;
}
