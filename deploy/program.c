#include "deploy/program.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"

enum { ENV_PATH_BYTES = 16384 };

static atomic_int stop_requests;    /* by signals, read by any thread */

int64_t program_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void program_sleep_us(int64_t us)
{
    struct timespec pause = { us / 1000000, us % 1000000 * 1000 };
    nanosleep(&pause, NULL);
}

static void on_stop(int number)
{
    if (atomic_fetch_add(&stop_requests, 1) > 0 && number == SIGINT)
        _exit(130);
}

void program_catch_signals(void)
{
    struct sigaction action = { .sa_handler = on_stop };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);    /* a supervised process is in the background of its terminal */
}

int program_stop_requests(void)
{
    return atomic_load(&stop_requests);
}

int64_t program_available_bytes(void)
{
    char line[128];
    long long kib = 0;
    FILE *fp = fopen("/proc/meminfo", "r");
    while (fp && fgets(line, sizeof(line), fp) && sscanf(line, "MemAvailable: %lld", &kib) != 1)
        ;
    if (fp)
        fclose(fp);
    return kib * 1024;
}

int program_self(char *path, size_t bytes, struct error *err)
{
    ssize_t n = readlink("/proc/self/exe", path, bytes - 1);
    if (n < 0)
        return error_errno(err, "cannot find the program's own path");
    path[n] = '\0';
    return 0;
}

const char *program_models_dir(void)
{
    static char beside[4200];
    struct error err;
    const char *given = getenv("SHOAL_MODELS");
    if (given && given[0])
        return given;
    char self[4096];
    if (program_self(self, sizeof(self), &err) == 0) {
        char *slash = strrchr(self, '/');
        if (slash)
            *slash = '\0';
        static const char *const places[] = { "../share/shoal/models", "../deps/models" };
        for (int i = 0; i < 2; i++) {
            snprintf(beside, sizeof(beside), "%s/%s", self, places[i]);
            if (file_exists(beside))
                return beside;
        }
    }
    return SHOAL_MODELS_DIR;
}

const char *program_env_path(void)
{
    const char *path = getenv("SHOAL_ENV_PATH");
    return path ? path : "";
}

void program_add_env_path(const char *directories)
{
    char path[ENV_PATH_BYTES];
    const char *old = program_env_path();
    size_t n = strlen(directories);
    if (strncmp(old, directories, n) == 0 && (old[n] == '\0' || old[n] == ':'))
        return;
    snprintf(path, sizeof(path), "%s%s%s", directories, *old ? ":" : "", old);
    setenv("SHOAL_ENV_PATH", path, 1);
}

void program_die_with_parent(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void program_adopt_orphans(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}
