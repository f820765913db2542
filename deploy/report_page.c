#include "deploy/report_page.h"

#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/file.h"
#include "deploy/svg.h"

enum { PATH_BYTES = 4096 };

struct report_page {
    FILE *html, *markdown;
    char *html_text, *markdown_text;
    size_t html_bytes, markdown_bytes;
    int n_columns, n_text, column;      /* of the open table */
};

static const char STYLE[] =
    "body{font:15px/1.5 -apple-system,'Segoe UI',Helvetica,Arial,'Liberation Sans',sans-serif;color:#222;"
    "background:#fff;max-width:800px;margin:2em auto;padding:0 1em}\n"
    "h1{font-size:1.6em;line-height:1.25;margin:0 0 .6em}\n"
    "h2{font-size:1.15em;margin:2em 0 .5em;border-bottom:1px solid #ddd;padding-bottom:.2em}\n"
    "p{margin:.6em 0}\n"
    ".finding{border-left:4px solid #0072B2;background:#f4f8fb;padding:.5em .9em;margin:.6em 0}\n"
    "pre{background:#f6f6f6;padding:.6em .9em;overflow-x:auto;font-size:13px;white-space:pre-wrap;"
    "overflow-wrap:anywhere}\n"
    ".wide{overflow-x:auto;margin:.8em 0}\n"
    "table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.25em .7em;border-bottom:1px solid #e4e4e4;text-align:right;vertical-align:top}\n"
    "th{border-bottom:1.5px solid #888;vertical-align:bottom;font-weight:600}\n"
    ".t{text-align:left}\n"
    "td{white-space:nowrap}\n"
    "td.t{white-space:normal;overflow-wrap:break-word;max-width:20em}\n"
    "figure{margin:1.2em 0;break-inside:avoid}\n"
    "figure svg{max-width:100%;height:auto;display:block}\n"
    "@media print{body{font-size:11pt;max-width:none;margin:0;padding:0}table{font-size:8.5pt}"
    "th,td{padding:.2em .4em}h2{break-after:avoid}tr{break-inside:avoid}.wide{overflow:visible}}\n";

/* Text for Markdown: characters that would be markup are escaped, and lines are joined. */
static void escape_markdown(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("\\`*_[]<>|#~", *text))
            fputc('\\', out);
        fputc(*text == '\n' ? ' ' : *text, out);
    }
}

struct report_page *report_page_create(const char *title)
{
    struct report_page *p = memory_alloc(1, sizeof(*p));
    p->html = open_memstream(&p->html_text, &p->html_bytes);
    p->markdown = open_memstream(&p->markdown_text, &p->markdown_bytes);
    if (!p->html || !p->markdown)
        abort();    /* out of memory */
    fprintf(p->html, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
    svg_escape(p->html, title);
    fprintf(p->html, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1>", STYLE);
    svg_escape(p->html, title);
    fprintf(p->html, "</h1>\n");
    fprintf(p->markdown, "# ");
    escape_markdown(p->markdown, title);
    fprintf(p->markdown, "\n");
    return p;
}

void report_page_destroy(struct report_page **p)
{
    if (!*p)
        return;
    if ((*p)->html)
        fclose((*p)->html);
    if ((*p)->markdown)
        fclose((*p)->markdown);
    free((*p)->html_text);
    free((*p)->markdown_text);
    free(*p);
    *p = NULL;
}

/* A text between marks of both kinds. */
static void put(struct report_page *p, const char *html_before, const char *markdown_before, const char *text,
                const char *html_after, const char *markdown_after)
{
    fputs(html_before, p->html);
    svg_escape(p->html, text);
    fputs(html_after, p->html);
    fputs(markdown_before, p->markdown);
    escape_markdown(p->markdown, text);
    fputs(markdown_after, p->markdown);
}

void report_page_heading(struct report_page *p, const char *text)
{
    put(p, "<h2>", "\n## ", text, "</h2>\n", "\n");
}

void report_page_paragraph(struct report_page *p, const char *text)
{
    put(p, "<p>", "\n", text, "</p>\n", "\n");
}

void report_page_finding(struct report_page *p, const char *text)
{
    put(p, "<p class=\"finding\">", "\n> ", text, "</p>\n", "\n");
}

void report_page_code(struct report_page *p, const char *text)
{
    fputs("<pre>", p->html);
    svg_escape(p->html, text);
    fputs("</pre>\n", p->html);
    fputs("\n    ", p->markdown);
    for (; *text; text++) {
        fputc(*text, p->markdown);
        if (*text == '\n')
            fputs("    ", p->markdown);
    }
    fputc('\n', p->markdown);
}

void report_page_table(struct report_page *p, const char *columns, int n_text)
{
    fputs("<div class=\"wide\"><table>\n<thead><tr>", p->html);
    fputs("\n|", p->markdown);
    p->n_columns = p->column = 0;
    p->n_text = n_text;
    while (*columns) {
        const size_t n = strcspn(columns, "|");
        fprintf(p->html, "<th%s>%.*s</th>", p->n_columns < n_text ? " class=\"t\"" : "", (int)n, columns);
        fprintf(p->markdown, " %.*s |", (int)n, columns);
        columns += n + (columns[n] == '|');
        p->n_columns++;
    }
    fputs("</tr></thead>\n<tbody>\n", p->html);
    fputs("\n|", p->markdown);
    for (int i = 0; i < p->n_columns; i++)
        fputs(i < n_text ? " --- |" : " ---: |", p->markdown);
    fputs("\n", p->markdown);
}

void report_page_cell(struct report_page *p, const char *text, bool is_bold)
{
    if (p->column == 0) {
        fputs("<tr>", p->html);
        fputs("|", p->markdown);
    }
    fputs(p->column < p->n_text ? "<td class=\"t\">" : "<td>", p->html);
    put(p, is_bold ? "<b>" : "", is_bold ? " **" : " ", text, is_bold ? "</b>" : "", is_bold ? "** |" : " |");
    fputs("</td>", p->html);
    if (++p->column < p->n_columns)
        return;
    p->column = 0;
    fputs("</tr>\n", p->html);
    fputs("\n", p->markdown);
}

void report_page_table_end(struct report_page *p)
{
    fputs("</tbody>\n</table></div>\n", p->html);
}

void report_page_figure(struct report_page *p, const char *file, const char *about, const char *svg)
{
    fprintf(p->html, "<figure>\n%s</figure>\n", svg);
    fputs("\n![", p->markdown);
    escape_markdown(p->markdown, about);
    fprintf(p->markdown, "](%s)\n", file);
}

int report_page_save(const char *folder, const char *name, const char *text, struct error *err)
{
    char path[PATH_BYTES];
    struct file_writer w;
    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
        return error_set(err, ERR_IO, "%.80s...: the path is too long", folder);
    const int rc = file_begin(&w, path, err);
    if (rc != 0)
        return rc;
    fputs(text, w.fp);
    return file_commit(&w, err);
}

int report_page_write(struct report_page *p, const char *folder, const char *html_name,
                      const char *markdown_name, struct error *err)
{
    fputs("</body>\n</html>\n", p->html);
    fflush(p->html);
    fflush(p->markdown);
    int rc = report_page_save(folder, html_name, p->html_text, err);
    if (rc == 0 && markdown_name)
        rc = report_page_save(folder, markdown_name, p->markdown_text, err);
    return rc;
}
