#include "common/option.h"

int options_print_line(const struct option_section *section, bool only_changed, char *out, size_t bytes)
{
    (void)section, (void)only_changed, (void)bytes;
    out[0] = 0;
    return 0;
}

int options_parse_line(const struct option_section *section, const char *name, const char *line,
                       size_t bytes, struct error *err)
{
    (void)name, (void)line, (void)bytes, (void)err;
    options_default(section, 1);
    return 0;
}
