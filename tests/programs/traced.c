/* Is traced by a child of its own, as a whole or (with an argument) a thread of it, and waits. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

static void be_traced(int who)
{
    if (fork())
        return;
    setsid();
    if (ptrace(PTRACE_SEIZE, who, 0, 0) || write(1, "traced\n", 7) != 7)
        _exit(1);
    for (;;)
        pause();
}

static void *thread(void *unused)
{
    be_traced(syscall(SYS_gettid));
    return pause() ? unused : 0;
}

int main(int count, char **arguments)
{
    pthread_t id;
    (void)arguments;
    if (count == 1)
        be_traced(getpid());
    else if (pthread_create(&id, 0, thread, 0))
        return 1;
    for (;;)
        pause();
}
