#include "deploy/console.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char live[512];

bool console_is_terminal(void)
{
    return isatty(STDOUT_FILENO) == 1;
}

static void draw(void)
{
    struct winsize size;
    int width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
    printf("\r\033[K%.*s", width - 1, live);
}

void console_say(const char *format, ...)
{
    va_list args;
    pthread_mutex_lock(&mutex);
    /* On a terminal another process of ours may have left its live line there. */
    if (live[0] || console_is_terminal())
        printf("\r\033[K");
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    if (live[0])
        draw();
    fflush(stdout);
    pthread_mutex_unlock(&mutex);
}

void console_live(const char *line)
{
    pthread_mutex_lock(&mutex);
    if (live[0] || line[0]) {
        snprintf(live, sizeof(live), "%s", line);
        if (live[0])
            draw();
        else
            printf("\r\033[K");
        fflush(stdout);
    }
    pthread_mutex_unlock(&mutex);
}
