#include "common/text.h"

#include <string.h>

bool text_ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), n_end = strlen(end);
    return n > n_end && strcmp(text + n - n_end, end) == 0;
}

const char *text_short_path(const char *path)
{
    const size_t n = strlen(path);
    return path + (n > TEXT_SHORT_PATH_BYTES ? n - TEXT_SHORT_PATH_BYTES : 0);
}

void text_join_lines(char *text)
{
    size_t n = strlen(text);
    while (n > 0 && text[n - 1] == '\n')
        text[--n] = '\0';
    for (size_t i = 0; i < n; i++)
        if (text[i] == '\n')
            text[i] = ' ';
}

const char *text_plural(int64_t n)
{
    return n == 1 ? "" : "s";
}
