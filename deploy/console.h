/* What people see: lines, and on a terminal one live line below them. Thread-safe. */
#ifndef SHOAL_DEPLOY_CONSOLE_H
#define SHOAL_DEPLOY_CONSOLE_H

#include <stdbool.h>

/* Whether standard output is a terminal. */
bool console_is_terminal(void);

/* Print one line above the live line. */
void console_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Replace the live line (cut to the terminal's width); "" removes it. */
void console_live(const char *line);

#endif
