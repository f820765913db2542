/* From a name to a checked plug-in: finding the library, loading it, reading its table and options. */
#include "actor/env/plugin.h"

#include <dlfcn.h>
#include <elf.h>
#include <fenv.h>
#include <link.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/env/plugin_private.h"
#include "common/arena.h"
#include "common/file.h"
#include "common/text.h"

enum { MAX_OPTION_NAME = 40 };

/* What the first published table of this version holds. */
static const size_t LEAST_BYTES =
    offsetof(struct shoal_environment, set_state) + sizeof(((struct shoal_environment *)0)->set_state);

_Static_assert(SHOAL_MAX_OPTIONS <= ENV_MAX_OPTIONS, "options of a plug-in");
_Static_assert(SHOAL_MAX_OPTIONS * sizeof(double) <= ENV_OPTIONS_BYTES, "values of a plug-in's options");
_Static_assert(SHOAL_MAX_OBS <= ENV_MAX_OBS && SHOAL_MAX_ACT <= ENV_MAX_ACT, "shapes of a plug-in");

/* ---- finding ---- */

bool plugin_is_name(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    const size_t n = strspn(name, allowed);
    return n > 0 && name[n] == '\0' && n < ENV_NAME_BYTES;
}

bool plugin_find(const char *name, const char *env_path, char *path, size_t bytes)
{
    if (!plugin_is_name(name))
        return false;
    char library[ENV_NAME_BYTES + 8];
    snprintf(library, sizeof(library), "lib%s.so", name);
    return file_find(path, bytes, env_path, library);
}

/* ---- the library ---- */

static const char *machine_name(int machine)
{
    switch (machine) {
    case EM_X86_64: return "x86-64";
    case EM_AARCH64: return "AArch64";
    case EM_386: return "32-bit x86";
    case EM_ARM: return "32-bit ARM";
    case EM_RISCV: return "RISC-V";
    default: return "another processor";
    }
}

/* The linker puts this program's own ELF header here. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* The bytes of the file that the loader will touch; 0 when the table of them cannot be read. */
static uint64_t bytes_needed(FILE *fp, const ElfW(Ehdr) *header)
{
    uint64_t needed = 0;
    ElfW(Phdr) part;
    if (header->e_phentsize != sizeof(part) || fseek(fp, (long)header->e_phoff, SEEK_SET) != 0)
        return 0;
    for (int i = 0; i < header->e_phnum; i++) {
        if (fread(&part, sizeof(part), 1, fp) != 1)
            return 0;
        const uint64_t end = part.p_offset + part.p_filesz;
        if (part.p_type == PT_LOAD && end > needed)
            needed = end;
    }
    return needed;
}

static int check_machine(const char *path, const ElfW(Ehdr) *header, struct error *err)
{
    if (header->e_machine == __ehdr_start.e_machine
        && header->e_ident[EI_CLASS] == __ehdr_start.e_ident[EI_CLASS])
        return 0;
    return error_set(err, ERR_CONFIG, "%s is built for %s and this program for %s; build it on this machine",
                     text_short_path(path), machine_name(header->e_machine),
                     machine_name(__ehdr_start.e_machine));
}

/* What dlopen does not say well: it has "No such file" for a library of another processor, and a
 * file that is cut short kills it. */
static int check_elf(const char *path, struct error *err)
{
    ElfW(Ehdr) header = { 0 };
    size_t bytes = 0;
    FILE *fp;
    int rc = file_open(path, &fp, &bytes, err);
    if (rc != 0)
        return rc;
    if (fread(&header, sizeof(header), 1, fp) != 1
               || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
        rc = error_set(err, ERR_CONFIG, "%s is not a shared library; build it with `cc -shared -fPIC -o "
                       "libNAME.so NAME.c`", text_short_path(path));
    } else if ((rc = check_machine(path, &header, err)) == 0) {
        const uint64_t needed = bytes_needed(fp, &header);
        if (needed == 0 || needed > bytes)
            rc = error_set(err, ERR_CONFIG, "%s is only a part of a shared library (%zu bytes); build or "
                           "copy it again", text_short_path(path), bytes);
    }
    fclose(fp);
    return rc;
}

static int open_library(struct plugin *p, struct error *err)
{
    int rc = check_elf(p->path, err);
    if (rc != 0)
        return rc;
    p->library = dlopen(p->path, RTLD_NOW | RTLD_LOCAL);
    if (p->library)
        return 0;
    const char *text = dlerror();
    const size_t n = strlen(p->path);
    if (strncmp(text, p->path, n) == 0 && strncmp(text + n, ": ", 2) == 0)
        text += n + 2;
    return error_set(err, ERR_CONFIG, "%s cannot be loaded: %.160s; `ldd -r` on the file shows what it "
                     "lacks", text_short_path(p->path), text);
}

/* ---- the table ---- */

static int check_slots(const struct plugin *p, struct error *err)
{
    const struct shoal_environment *t = &p->table;
    const struct { const char *name; bool is_there; } slots[] = {
        { "name", t->name },       { "open", t->open },   { "create", t->create },
        { "destroy", t->destroy }, { "reset", t->reset }, { "step", t->step },
        { "observe", t->observe }, { "options", t->options || t->n_options == 0 },
    };
    for (size_t i = 0; i < sizeof(slots) / sizeof(*slots); i++)
        if (!slots[i].is_there)
            return plugin_refuse(p, err, "\"%s\" of its struct shoal_environment is NULL; set it",
                                 slots[i].name);
    if (!t->get_state != !t->set_state)
        return plugin_refuse(p, err, "it has only one of get_state and set_state; define both or neither");
    return 0;
}

/* Fetch the table and hold it to the header. */
static int read_table(struct plugin *p, const char *name, struct error *err)
{
    /* POSIX has functions come as void *, which ISO C cannot convert. */
    const struct shoal_environment *(*ask)(void);
    void *symbol = dlsym(p->library, "shoal_environment");
    if (!symbol)
        return plugin_refuse(p, err, "it has no function shoal_environment, so it is not a plug-in of "
                             "Shoal; define one as shoal/environment.h says (in C++ as extern \"C\")");
    memcpy(&ask, &symbol, sizeof(ask));
    const struct shoal_environment *given = ask();
    if (!given)
        return plugin_refuse(p, err, "shoal_environment() returned NULL; return the address of a table");
    if (given->version != SHOAL_ENVIRONMENT_VERSION)
        return plugin_refuse(p, err, "it was built for version %u of the plug-in interface, this "
                             "program has version %d; build it again with this program's "
                             "shoal/environment.h", (unsigned)given->version,
                             SHOAL_ENVIRONMENT_VERSION);
    if (given->bytes < LEAST_BYTES)
        return plugin_refuse(p, err, "its table says that it has %u bytes, but needs %zu; set "
                             "\"bytes\" to sizeof(struct shoal_environment)", (unsigned)given->bytes,
                             LEAST_BYTES);
    memcpy(&p->table, given, given->bytes < sizeof(p->table) ? given->bytes : sizeof(p->table));
    int rc = check_slots(p, err);
    if (rc == 0 && strcmp(p->table.name, name) != 0)
        rc = plugin_refuse(p, err, "the plug-in calls itself \"%.63s\", not \"%s\"; name the file "
                           "lib%.63s.so, or change its \"name\"", p->table.name, name, p->table.name);
    return rc;
}

/* ---- options ---- */

/* Why an option cannot be used, or NULL.
 *   others  [n] the options before it */
static const char *option_fault(const struct shoal_option *o, const struct option *others, int n)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz", all[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    const size_t length = strspn(o->name, all);
    if (o->name[length] != '\0' || !o->name[0] || !strchr(letters, o->name[0])
        || length > MAX_OPTION_NAME)
        return "a name has lower-case letters, digits and '_', a letter first, and at most 40 of them";
    bool is_taken = strcmp(o->name, "name") == 0;
    for (int i = 0; i < N_ENV_COMMON_OPTIONS; i++)
        is_taken |= strcmp(o->name, env_common_options[i].name) == 0;
    if (is_taken)
        return "every environment has an option of this name already; choose another";
    for (int i = 0; i < n; i++)
        if (strcmp(o->name, others[i].name) == 0)
            return "there are two of this name; rename one";
    if (!isfinite(o->low) || !isfinite(o->high) || !(o->low <= o->high))
        return "low and high must be finite, low not above high";
    if (!(o->value >= o->low && o->value <= o->high))
        return "its value, the default, is not between low and high";
    if (o->help && strpbrk(o->help, "\r\n"))
        return "its help must be one line";
    return NULL;
}

/* The fewest digits that read back to the same number. */
static void write_number(double x, char out[PLUGIN_VALUE_BYTES])
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, PLUGIN_VALUE_BYTES, "%.*g", digits, x);
        if (strtod(out, NULL) == x)
            return;
    }
}

static int read_options(struct plugin *p, struct error *err)
{
    if (p->table.n_options > SHOAL_MAX_OPTIONS)
        return plugin_refuse(p, err, "it has %u options; at most %d are possible",
                             (unsigned)p->table.n_options, SHOAL_MAX_OPTIONS);
    for (int i = 0; i < (int)p->table.n_options; i++) {
        const struct shoal_option *o = &p->table.options[i];
        if (!o->name)
            return plugin_refuse(p, err, "option %d has no name; give it one", i);
        const char *fault = option_fault(o, p->rows, i);
        if (fault)
            return plugin_refuse(p, err, "option \"%.40s\": %s", o->name, fault);
        write_number(o->value, p->values[i]);
        p->rows[i] = (struct option){
            .name = o->name, .type = OPTION_REAL, .offset = (size_t)i * sizeof(double),
            .value = p->values[i], .min = o->low, .max = o->high, .help = o->help ? o->help : "",
        };
    }
    return 0;
}

/* ---- all of it ---- */

int plugin_load(struct plugin **out, const char *path, const char *name, struct error *err)
{
    struct plugin *p = memory_alloc(1, sizeof(*p));
    fenv_t floating;
    snprintf(p->path, sizeof(p->path), "%s", path);
    /* A library built with -ffast-math turns small numbers to zero in the thread that loads it. */
    fegetenv(&floating);
    int rc = open_library(p, err);
    if (rc == 0)
        rc = read_table(p, name, err);
    fesetenv(&floating);
    if (rc == 0)
        rc = read_options(p, err);
    if (rc == 0)
        plugin_make_environment(p);
    else
        plugin_unload(&p);
    *out = p;
    return rc;
}

const struct environment *plugin_environment(const struct plugin *p)
{
    return &p->ops;
}

void plugin_unload(struct plugin **p)
{
    if (!*p)
        return;
    if ((*p)->library)
        dlclose((*p)->library);
    free(*p);
    *p = NULL;
}
