/*
 * A long and bad line between two network namespaces.
 *
 *   link MILLISECONDS PER_MILLE FAR NEAR
 *
 * To be run as root of a user namespace with a network namespace of its own. Packets take MILLISECONDS each way, and
 * PER_MILLE of a thousand get lost. FAR and NEAR are shell scripts, one for each end; the device is called `line`
 * there. Ends with NEAR, with its exit code, and ends FAR. It stands in for tc-netem(8), which many kernels lack.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Packets on the way in one direction; as a router's, the rest is dropped. */
#define ROOM 8192
#define LONGEST 65536

struct packet {
	uint64_t due;
	size_t length;
	unsigned char *bytes;
};

struct direction {
	int from, to;
	size_t first, count;
	struct packet packets[ROOM];
};

static void check(int bad, const char *what)
{
	if (bad) {
		perror(what);
		exit(125);
	}
}

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int device(void)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	check(fd < 0, "/dev/net/tun");
	strcpy(request.ifr_name, "line");
	check(ioctl(fd, TUNSETIFF, &request) < 0, "TUNSETIFF");
	return fd;
}

static pid_t script(const char *text, int ns)
{
	pid_t pid = fork();
	check(pid < 0, "fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		check(setns(ns, CLONE_NEWNET) < 0, "setns");
		execlp("sh", "sh", "-c", text, (char *)NULL);
		check(1, "sh");
	}
	return pid;
}

/* Takes what has come, unless it gets lost. */
static void take(struct direction *d, uint64_t delay, long lost)
{
	static unsigned char buffer[LONGEST];
	ssize_t length;
	while ((length = read(d->from, buffer, sizeof buffer)) > 0) {
		struct packet *last = &d->packets[(d->first + d->count) % ROOM];
		if (random() % 1000 < lost || d->count == ROOM)
			continue;
		last->bytes = malloc((size_t)length);
		check(last->bytes == NULL, "malloc");
		memcpy(last->bytes, buffer, (size_t)length);
		last->length = (size_t)length;
		last->due = now() + delay;
		d->count++;
	}
}

/* Gives away what is due; returns when the next one is. */
static uint64_t give(struct direction *d)
{
	while (d->count > 0) {
		struct packet *p = &d->packets[d->first];
		if (p->due > now())
			return p->due;
		/* A full device loses it, as a line does. */
		(void)!write(d->to, p->bytes, p->length);
		free(p->bytes);
		d->first = (d->first + 1) % ROOM;
		d->count--;
	}
	return UINT64_MAX;
}

int main(int argc, char **argv)
{
	static struct direction there, back;
	uint64_t delay;
	long lost;
	int near, far, near_ns, far_ns, status;
	pid_t server, client;

	if (argc != 5) {
		fprintf(stderr, "link MILLISECONDS PER_MILLE FAR NEAR\n");
		return 125;
	}
	delay = strtoull(argv[1], NULL, 10) * 1000000u;
	lost = strtol(argv[2], NULL, 10);
	srandom(1);

	near_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	check(near_ns < 0, "/proc/self/ns/net");
	near = device();
	check(unshare(CLONE_NEWNET) < 0, "unshare");
	far_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	check(far_ns < 0, "/proc/self/ns/net");
	far = device();
	there.from = back.to = near;
	there.to = back.from = far;

	server = script(argv[3], far_ns);
	client = script(argv[4], near_ns);
	while (waitpid(client, &status, WNOHANG) == 0) {
		struct pollfd ends[2] = { { near, POLLIN, 0 }, { far, POLLIN, 0 } };
		uint64_t next = give(&there), other = give(&back), at = now(), wait;
		struct timespec timeout;
		if (other < next)
			next = other;
		/* At the latest the end of NEAR is to be noticed. */
		wait = next <= at ? 0 : next - at < 10000000u ? next - at : 10000000u;
		timeout.tv_sec = 0;
		timeout.tv_nsec = (long)wait;
		check(ppoll(ends, 2, &timeout, NULL) < 0 && errno != EINTR, "ppoll");
		take(&there, delay, lost);
		take(&back, delay, lost);
	}
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}
