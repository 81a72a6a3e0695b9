/* Traces the process with this number until it is killed, and says so. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    if (count != 2 || ptrace(PTRACE_SEIZE, atoi(arguments[1]), 0, 0)) {
        perror("seize");
        return 1;
    }
    if (write(1, "traced\n", 7) != 7)
        return 1;
    for (;;)
        pause();
}
