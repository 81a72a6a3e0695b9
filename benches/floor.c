/*
 * What the kernel charges for one container: the least that any root-less tool has to do.
 *
 *   floor [--join PID] LOWER WORK PROGRAM [ARGUMENT...]
 *
 * clone with six namespaces, newuidmap and newgidmap side by side (with --join: below the user namespace
 * of a process, with a map written by hand instead), an overlay over LOWER with its upper
 * directory in WORK, proc, a /dev of six nodes, pivot_root, exec of PROGRAM. Exits with its code.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <linux/sched.h>
#include <unistd.h>

static void check(int bad, const char *what)
{
	if (bad) {
		perror(what);
		_exit(125);
	}
}

/* The caller's name in /etc/passwd; getpwuid(3) wants shared libraries. */
static void own_name(char name[128])
{
	char line[512];
	unsigned uid;
	FILE *f = fopen("/etc/passwd", "re");

	check(!f, "/etc/passwd");
	while (fgets(line, sizeof line, f)) {
		if (sscanf(line, "%127[^:]:%*[^:]:%u", name, &uid) == 2 && uid == getuid()) {
			fclose(f);
			return;
		}
	}
	snprintf(name, 128, "%u", getuid());
	fclose(f);
}

/* The first range of `file` that belongs to the caller. */
static void range(const char *file, unsigned long *first, unsigned long *count)
{
	char line[256], owner[128], name[128];
	FILE *f = fopen(file, "re");

	check(!f, file);
	own_name(name);
	while (fgets(line, sizeof line, f)) {
		if (sscanf(line, "%127[^:]:%lu:%lu", owner, first, count) == 3 && !strcmp(owner, name)) {
			fclose(f);
			return;
		}
	}
	fprintf(stderr, "floor: no range for %s in %s\n", name, file);
	_exit(125);
}

static pid_t map(const char *helper, pid_t target, unsigned own, unsigned long first, unsigned long count)
{
	char pid[16], id[16], start[24], length[24];
	pid_t child;

	snprintf(pid, sizeof pid, "%d", target);
	snprintf(id, sizeof id, "%u", own);
	snprintf(start, sizeof start, "%lu", first);
	snprintf(length, sizeof length, "%lu", count);
	child = vfork();
	check(child < 0, "vfork");
	if (child == 0) {
		execlp(helper, helper, pid, "0", id, "1", "1", start, length, (char *)0);
		_exit(127);
	}
	return child;
}

static void join(const char *pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof path, "/proc/%s/ns/user", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	check(fd < 0, path);
	check(setns(fd, CLONE_NEWUSER), "setns");
	close(fd);
}

/* The child's map below a joined namespace: the extents of that one. */
static void map_by_hand(const char *name, pid_t target, unsigned long count)
{
	char path[64], text[64];
	int fd, length;

	snprintf(path, sizeof path, "/proc/%d/%s", target, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	check(fd < 0, path);
	length = snprintf(text, sizeof text, "0 0 1\n1 1 %lu\n", count);
	check(write(fd, text, length) != length, path);
	close(fd);
}

static void node(const char *name)
{
	char from[64], to[64];
	int fd;

	snprintf(from, sizeof from, "/dev/%s", name);
	snprintf(to, sizeof to, "dev/%s", name);
	fd = open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
	check(fd < 0, to);
	close(fd);
	check(mount(from, to, 0, MS_BIND, 0), to);
}

static int contain(const char *lower, const char *work, char **argv)
{
	static const char *nodes[] = { "null", "zero", "full", "random", "urandom", "tty" };
	char options[4096], merged[1024];

	check(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0), "private");
	snprintf(options, sizeof options, "userxattr,lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, work,
		 work);
	snprintf(merged, sizeof merged, "%s/merged", work);
	check(mount("overlay", merged, "overlay", 0, options), "overlay");
	check(chdir(merged), merged);
	check(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0), "proc");
	check(mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755,size=65536k"), "dev");
	for (unsigned n = 0; n < sizeof nodes / sizeof *nodes; n++)
		node(nodes[n]);
	check(syscall(SYS_pivot_root, ".", "."), "pivot_root");
	check(umount2(".", MNT_DETACH), "umount");
	check(chdir("/"), "/");
	execv(argv[0], argv);
	check(1, argv[0]);
	return 125;
}

int main(int argc, char **argv)
{
	unsigned long first_uid, uids, first_gid, gids;
	int ready[2], status;
	char path[1024], byte;
	pid_t child, helpers[2];
	static const char *made[] = { "upper", "work", "merged" };
	const char *joined = 0;

	if (argc > 2 && !strcmp(argv[1], "--join")) {
		joined = argv[2];
		argv += 2;
		argc -= 2;
	}
	if (argc < 4) {
		fprintf(stderr, "usage: floor [--join PID] LOWER WORK PROGRAM [ARGUMENT...]\n");
		return 125;
	}
	range("/etc/subuid", &first_uid, &uids);
	range("/etc/subgid", &first_gid, &gids);
	if (joined)
		join(joined);
	for (int n = 0; n < 3; n++) {
		snprintf(path, sizeof path, "%s/%s", argv[2], made[n]);
		check(mkdir(path, 0755), path);
	}
	check(pipe2(ready, O_CLOEXEC), "pipe");
	struct clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC,
		.exit_signal = SIGCHLD,
	};
	child = syscall(SYS_clone3, &args, sizeof args);
	check(child < 0, "clone3");
	if (child == 0) {
		close(ready[1]);
		check(read(ready[0], &byte, 1) != 1, "read");
		return contain(argv[1], argv[2], argv + 3);
	}
	if (joined) {
		map_by_hand("uid_map", child, uids);
		map_by_hand("gid_map", child, gids);
	} else {
		helpers[0] = map("newuidmap", child, getuid(), first_uid, uids);
		helpers[1] = map("newgidmap", child, getgid(), first_gid, gids);
	}
	for (int n = 0; n < 2 && !joined; n++) {
		check(waitpid(helpers[n], &status, 0) < 0, "waitpid");
		if (status) {
			fprintf(stderr, "floor: newuidmap or newgidmap failed\n");
			return 125;
		}
	}
	check(write(ready[1], "", 1) != 1, "write");
	check(waitpid(child, &status, 0) < 0, "waitpid");
	snprintf(path, sizeof path, "%s/work/work", argv[2]);
	rmdir(path);
	for (int n = 0; n < 3; n++) {
		snprintf(path, sizeof path, "%s/%s", argv[2], made[n]);
		check(rmdir(path), path);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
