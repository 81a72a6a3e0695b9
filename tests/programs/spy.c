/* Looks at every process that it can see and says what it could get hold of in one that is still ours:
 *   spy MARKER SECONDS     MARKER: a file of the host's, by its path there
 *   spy --stand SECONDS    stands there to be looked at
 * A process is ours as long as it is called coracle or slirp4netns, or by the number of the descriptor it was executed from.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int ours(int pid) {
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    int fd = open(path, O_RDONLY);
    if (fd < 0) return 0;
    ssize_t n = read(fd, name, sizeof name - 1);
    close(fd);
    if (n <= 1) return 0;
    name[n - 1] = 0;
    if (!strcmp(name, "coracle") || !strcmp(name, "slirp4netns")) return 1;
    for (char *c = name; *c; c++) if (!isdigit((unsigned char)*c)) return 0;
    return 1;
}

static void reached(int pid, const char *what) {
    if (!ours(pid)) return;
    printf("REACHED %s\n", what);
    fflush(stdout);
}

static void try_open(int pid, const char *what, const char *more, int flags) {
    char path[4200], byte;
    snprintf(path, sizeof path, "/proc/%d/%s%s", pid, what, more);
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) return;
    if (flags & (O_PATH | O_DIRECTORY) || !strcmp(what, "mem") || read(fd, &byte, 1) == 1) reached(pid, what);
    close(fd);
}

static void look_at(int pid, const char *marker) {
    char path[64], link[4096];
    try_open(pid, "root", marker, O_RDONLY);
    try_open(pid, "root", "/", O_PATH);
    try_open(pid, "cwd", "/", O_PATH);
    try_open(pid, "mem", "", O_RDONLY);
    try_open(pid, "maps", "", O_RDONLY);
    try_open(pid, "environ", "", O_RDONLY);
    /* Their numbers are no secret; where they lead is. */
    for (int fd = 0; fd < 32; fd++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
        if (readlink(path, link, sizeof link) > 0) { reached(pid, "fd"); break; }
    }
    try_open(pid, "ns/mnt", "", O_PATH);
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    if (readlink(path, link, sizeof link) > 0) reached(pid, "exe");
    int pidfd = syscall(SYS_pidfd_open, pid, 0);
    for (int fd = 0; pidfd >= 0 && fd < 16; fd++) {
        int theirs = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
        if (theirs >= 0) { reached(pid, "pidfd_getfd"); close(theirs); }
    }
    if (pidfd >= 0) close(pidfd);
    if (ptrace(PTRACE_SEIZE, pid, 0, 0) == 0) {
        reached(pid, "ptrace");
        ptrace(PTRACE_INTERRUPT, pid, 0, 0);
        waitpid(pid, 0, __WALL);
        ptrace(PTRACE_DETACH, pid, 0, 0);
    }
}

int main(int count, char **words) {
    if (count < 3) return 2;
    if (!strcmp(words[1], "--stand")) { sleep(atoi(words[2])); return 0; }
    time_t end = time(0) + atoi(words[2]);
    puts("looking");
    fflush(stdout);
    while (time(0) < end) {
        DIR *proc = opendir("/proc");
        struct dirent *entry;
        while ((entry = readdir(proc))) {
            int pid = atoi(entry->d_name);
            if (pid > 0 && pid != getpid() && ours(pid)) look_at(pid, words[1]);
        }
        closedir(proc);
        usleep(200);
    }
    puts("done");
    return 0;
}
