/* shoal render: hands over to shoal-render, so that only that program loads video and OpenGL libraries. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/file.h"
#include "deploy/commands.h"
#include "deploy/program.h"

int command_render(int argc, char **argv, struct error *err)
{
    char self[4096], path[sizeof(self) + 16];
    int rc = program_self(self, sizeof(self), err);
    if (rc != 0)
        return rc;
    char *slash = strrchr(self, '/');
    if (slash)
        *slash = '\0';
    snprintf(path, sizeof(path), "%s/shoal-render", self);
    if (!file_exists(path))
        return error_set(err, ERR_MISSING, "videos are drawn by a program of their own, and there is no "
                         "%s: build it with make render (then make install, if shoal is installed)",
                         path);

    char name[] = "shoal-render";
    char **arguments = memory_alloc((size_t)argc + 2, sizeof(char *));
    arguments[0] = name;
    for (int i = 0; i < argc; i++)
        arguments[i + 1] = argv[i];
    execv(path, arguments);
    rc = error_errno(err, "cannot start %s", path);
    free(arguments);
    return rc;
}
