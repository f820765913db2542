/* One text written twice: as a page of HTML that needs no other file, and as Markdown beside its figures. */
#ifndef SHOAL_DEPLOY_REPORT_PAGE_H
#define SHOAL_DEPLOY_REPORT_PAGE_H

#include <stdbool.h>

#include "common/error.h"

struct report_page;

/* An empty page with its title as heading. */
struct report_page *report_page_create(const char *title);
void report_page_destroy(struct report_page **p);

void report_page_heading(struct report_page *p, const char *text);
void report_page_paragraph(struct report_page *p, const char *text);
/* Set apart, as what a reader should see first. */
void report_page_finding(struct report_page *p, const char *text);
/* A command line, as it is. */
void report_page_code(struct report_page *p, const char *text);

/* A table: names of columns, then cells from left to right, row by row; the first n_text columns hold text
 * and the others numbers. Several names or cells may be given at once, with '|' between them. */
void report_page_table(struct report_page *p, const char *columns, int n_text);
void report_page_cell(struct report_page *p, const char *text, bool is_bold);
void report_page_table_end(struct report_page *p);

/* A picture: inline in HTML, a link to `file` in Markdown. The text is SVG. */
void report_page_figure(struct report_page *p, const char *file, const char *about, const char *svg);

/* Write folder/html_name and, unless NULL, folder/markdown_name. */
int report_page_write(struct report_page *p, const char *folder, const char *html_name,
                      const char *markdown_name, struct error *err);

/* Write folder/name with that text. */
int report_page_save(const char *folder, const char *name, const char *text, struct error *err);

#endif
