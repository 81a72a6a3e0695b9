/* Holds an exclusive lock on the directory /v, and says so. */
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

int main(void)
{
    int volume = open("/v", O_RDONLY);
    if (volume < 0 || flock(volume, LOCK_EX) || write(1, "locked\n", 7) != 7)
        return 1;
    for (;;)
        pause();
}
