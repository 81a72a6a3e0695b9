/* What a hostile payload does with all that it has:
 *   hostile first                says what the first process still holds when its payload begins
 *   hostile deep DIR DEPTH       makes a tree so deep
 *   hostile marks                gives files attributes and names that mean something to overlay and archives
 *   hostile mounts MARKER        tries to see a file of the host's by what CAP_SYS_ADMIN allows
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static int first(void) {
    for (int round = 0; round < 50; round++)
        for (int n = 3; n < 64; n++) {
            char path[64], to[256];
            snprintf(path, sizeof path, "/proc/1/fd/%d", n);
            ssize_t length = readlink(path, to, sizeof to - 1);
            if (length <= 0) continue;
            to[length] = 0;
            if (strncmp(to, "anon_inode:", 11) || strstr(to, "mount")) printf("held: %s -> %s\n", path, to);
        }
    puts("looked");
    return 0;
}

static int deep(const char *dir, int depth) {
    if (chdir(dir)) return 1;
    for (int i = 0; i < depth; i++)
        if (mkdir("d", 0755) || chdir("d")) return 2;
    return close(open("file", O_CREAT | O_WRONLY, 0644));
}

static void make(const char *path) {
    int fd = open(path, O_CREAT | O_WRONLY, 0644);
    if (fd >= 0 && write(fd, "mine\n", 5) != 5) perror(path);
    close(fd);
}

static int marks(void) {
    static const char *names[] = {"opaque", "redirect", "metacopy", "whiteout", "origin", "upper", "impure"};
    static const char *files[] = {"dir", "empty", "moved", "/etc", "/bin"};
    mkdir("/odd", 0755);
    if (chdir("/odd")) return 1;
    mkdir("dir", 0755);
    make("dir/inside");
    make("moved");
    close(open("empty", O_CREAT | O_WRONLY, 0644));
    make(".wh.dir");
    make(".wh..wh..opq");
    make("line\nbreak");
    for (unsigned f = 0; f < sizeof files / sizeof *files; f++)
        for (unsigned n = 0; n < sizeof names / sizeof *names; n++) {
            char name[64];
            const char *value = !strcmp(names[n], "redirect") ? "/etc/passwd" : "y";
            snprintf(name, sizeof name, "user.overlay.%s", names[n]);
            lsetxattr(files[f], name, value, strlen(value), 0);
            snprintf(name, sizeof name, "user.overlay.overlay.%s", names[n]);
            lsetxattr(files[f], name, value, strlen(value), 0);
        }
    if (!mknod("white", S_IFCHR | 0600, makedev(0, 0))) puts("made a whiteout");
    if (!mknod("disk", S_IFBLK | 0600, makedev(7, 0))) puts("made a device");
    return 0;
}

static const char *marker;

static void look(const char *where, int from) {
    if (!faccessat(from, marker, F_OK, 0)) printf("seen: %s\n", where);
}

static void climb(const char *where) {
    for (int i = 0; i < 64; i++) {
        look(where, AT_FDCWD);
        if (chdir("..")) return;
    }
}

static int mounts(void) {
    marker++; /* Relative to whatever is reached. */
    int own = open("/proc/self/ns/user", O_RDONLY), top = open("/", O_RDONLY | O_DIRECTORY);
    if (ioctl(own, NS_GET_PARENT) >= 0 || ioctl(own, NS_GET_USERNS) >= 0) puts("seen: the user namespace above");
    int tree = syscall(SYS_open_tree, AT_FDCWD, "/", 1 | AT_RECURSIVE);
    if (tree >= 0 && !fchdir(tree)) climb("above a copy of the tree");
    if (!umount2("/", MNT_DETACH)) puts("seen: below the root");
    mkdir("/jail", 0755);
    if (!chroot("/jail") && !fchdir(top)) climb("outside of a jail");
    if (chroot(".")) return 1;
    static char points[256][256];
    int count = 0;
    FILE *list = fopen("/proc/self/mountinfo", "r");
    while (list && count < 256 && fscanf(list, "%*d %*d %*s %*s %255s%*[^\n]", points[count]) == 1) count++;
    while (count-- > 1) {
        umount2(points[count], MNT_DETACH);
        look(points[count], top);
    }
    mkdir("/new", 0755);
    if (!mount("new", "/new", "tmpfs", 0, "") && !mkdir("/new/old", 0755) && !chdir("/new")) {
        if (syscall(SYS_pivot_root, ".", "old")) return 0;
        look("the old root", open("/old", O_PATH));
        umount2("/old", MNT_DETACH);
        look("below all", open("/", O_PATH));
    }
    return 0;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "first")) return first();
    if (!strcmp(what, "deep") && argc > 3) return deep(argv[2], atoi(argv[3]));
    if (!strcmp(what, "marks")) return marks();
    if (!strcmp(what, "mounts") && argc > 2) {
        marker = argv[2];
        return mounts();
    }
    return 3;
}
