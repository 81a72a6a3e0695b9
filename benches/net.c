/* What the rows about networks measure with, static, so that it runs in any container:
 *   net serve PORT                     echoes bytes, with eight processes
 *   net names SERVER NAME COUNT        asks for the address of a name: median in ms, questions per second
 *   net pingpong ADDRESS PORT COUNT    one byte there and back: median in ms
 *   net connects ADDRESS PORT SECONDS  connections per second, with a byte through each, eight at a time
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES = 8 };

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static struct sockaddr_in at(const char *address, int port) {
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, address, &there.sin_addr) != 1)
        fail(address);
    return there;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *taken, int count) {
    qsort(taken, count, sizeof *taken, ascending);
    return taken[count / 2];
}

static int dial(const struct sockaddr_in *there) {
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)there, sizeof *there) < 0)
        fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static int there_and_back(int fd) {
    char byte = 'x';
    return write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1;
}

static int serve(int port) {
    int one = 1, door = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in here = at("0.0.0.0", port);
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(door, (struct sockaddr *)&here, sizeof here) < 0 || listen(door, 4096) < 0)
        fail("listen");
    for (int i = 1; i < PROCESSES; i++)
        if (fork() == 0)
            break;
    for (int fd; (fd = accept(door, NULL, NULL)) >= 0;) {
        char bytes[4096];
        ssize_t n;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        while ((n = read(fd, bytes, sizeof bytes)) > 0 && write(fd, bytes, n) == n)
            ;
        close(fd);
    }
    fail("accept");
    return 1;
}

static int names(const char *server, const char *name, int count) {
    unsigned char question[512] = {0x12, 0x34, 1, 0, 0, 1}, answer[512];
    size_t length = 12;
    struct sockaddr_in there = at(server, 53);
    struct timeval patience = {.tv_sec = 2};
    double *taken = calloc(count, sizeof *taken), begun;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    for (const char *label = name; *label;) {
        size_t n = strcspn(label, ".");
        question[length++] = n;
        memcpy(question + length, label, n);
        length += n;
        label += n + (label[n] == '.');
    }
    memcpy(question + length, "\0\0\1\0\1", 5);
    length += 5;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (fd < 0 || connect(fd, (struct sockaddr *)&there, sizeof there) < 0)
        fail("connect");
    begun = now();
    for (int i = 0; i < count; i++) {
        double asked = now();
        if (send(fd, question, length, 0) < 0 || recv(fd, answer, sizeof answer, 0) < 12 || answer[7] < 1)
            fail("no answer");
        taken[i] = now() - asked;
    }
    begun = now() - begun;
    printf("%.4f %.0f\n", median(taken, count), count / begun * 1e3);
    return 0;
}

static int pingpong(const char *address, int port, int count) {
    struct sockaddr_in there = at(address, port);
    double *taken = calloc(count, sizeof *taken);
    int fd = dial(&there);
    for (int i = 0; i < count; i++) {
        double sent = now();
        if (!there_and_back(fd))
            fail("ping");
        taken[i] = now() - sent;
    }
    printf("%.4f\n", median(taken, count));
    return 0;
}

static int connects(const char *address, int port, int seconds) {
    struct sockaddr_in there = at(address, port);
    long total = 0, *made = mmap(NULL, sizeof *made * PROCESSES, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    double end = now() + seconds * 1e3;
    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0) {
            struct linger at_once = {.l_onoff = 1};
            for (; now() < end; made[i]++) {
                int fd = dial(&there);
                if (!there_and_back(fd))
                    fail("connection");
                /* Reset, so that no port waits for late packets. */
                setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
                close(fd);
            }
            return 0;
        }
    while (wait(NULL) > 0)
        ;
    for (int i = 0; i < PROCESSES; i++)
        total += made[i];
    printf("%ld\n", total / seconds);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "serve"))
        return serve(atoi(argv[2]));
    if (argc == 5 && !strcmp(argv[1], "names"))
        return names(argv[2], argv[3], atoi(argv[4]));
    if (argc == 5 && !strcmp(argv[1], "pingpong"))
        return pingpong(argv[2], atoi(argv[3]), atoi(argv[4]));
    if (argc == 5 && !strcmp(argv[1], "connects"))
        return connects(argv[2], atoi(argv[3]), atoi(argv[4]));
    fprintf(stderr, "usage: net serve|names|pingpong|connects ...\n");
    return 2;
}
