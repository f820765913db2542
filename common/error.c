#include "common/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, int code, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof(err->text), format, args);
        va_end(args);
        err->code = code;
    }
    return code;
}

int error_errno(struct error *err, const char *format, ...)
{
    int saved = errno;
    if (err) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof(err->text), format, args);
        va_end(args);
        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(saved));
        err->code = ERR_IO;
    }
    return ERR_IO;
}

int error_prefix(struct error *err, const char *format, ...)
{
    char rest[sizeof(err->text)];
    memcpy(rest, err->text, sizeof(rest));
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    size_t used = strlen(err->text);
    snprintf(err->text + used, sizeof(err->text) - used, ": %s", rest);
    return err->code;
}

const char *error_text(int code)
{
    switch (code) {
#define X(name, value, text, status) case name: return text;
    ERRORS(X)
#undef X
    default: return "no error";
    }
}

int error_exit_status(int code)
{
    switch (code) {
#define X(name, value, text, status) case name: return status;
    ERRORS(X)
#undef X
    default: return code == 0 ? 0 : 70;
    }
}
