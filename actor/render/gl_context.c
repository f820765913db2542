#include "actor/render/gl_context.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"

/* The few names of EGL 1.4, EGL_EXT_platform_device, EGL_MESA_platform_surfaceless and OSMesa that are
 * used here, as in their headers; so that building needs no OpenGL package. */
enum {
    EGL_NONE = 0x3038, EGL_OPENGL_API = 0x30A2, EGL_SURFACE_TYPE = 0x3033, EGL_PBUFFER_BIT = 0x0001,
    EGL_RENDERABLE_TYPE = 0x3040, EGL_OPENGL_BIT = 0x0008, EGL_RED_SIZE = 0x3024,
    EGL_GREEN_SIZE = 0x3023, EGL_BLUE_SIZE = 0x3022, EGL_ALPHA_SIZE = 0x3021,
    EGL_DEPTH_SIZE = 0x3025, EGL_STENCIL_SIZE = 0x3026, EGL_PLATFORM_DEVICE_EXT = 0x313F,
    EGL_PLATFORM_SURFACELESS_MESA = 0x31DD,
    OSMESA_RGBA = 0x1908, GL_UNSIGNED_BYTE = 0x1401
};
enum { MAX_DEVICES = 16, OSMESA_SIDE = 64 };

struct gl_context {
    const char *kind;
    void *library;
    void *display, *context;                                          /* of EGL or OSMesa */
    unsigned (*make_current)(void *, void *, void *, void *);         /* EGL */
    unsigned (*destroy)(void *, void *);
    unsigned (*terminate)(void *);
    void (*osmesa_destroy)(void *);
    uint8_t pixels[OSMESA_SIDE * OSMESA_SIDE * 4];    /* OSMesa's own picture, never looked at */
};

/* Reasons, joined into one sentence. */
struct attempts {
    char text[256];
};

static void note(struct attempts *a, const char *what, const char *reason)
{
    const size_t n = strlen(a->text);
    snprintf(a->text + n, sizeof(a->text) - n, "%s%s: %s", n ? "; " : "", what, reason);
}

/* Set the function pointer at `slot`: ISO C has no cast from an object pointer to one. */
static bool symbol(void *library, const char *name, void *slot)
{
    void *found = dlsym(library, name);
    memcpy(slot, &found, sizeof(found));
    return found != NULL;
}

/* ---- EGL ---- */

struct egl {
    void *(*get_proc)(const char *);
    void *(*get_platform_display)(int, void *, const int32_t *);
    unsigned (*query_devices)(int32_t, void **, int32_t *);    /* NULL without the extension */
    unsigned (*initialize)(void *, int32_t *, int32_t *);
    unsigned (*bind_api)(unsigned);
    unsigned (*choose_config)(void *, const int32_t *, void **, int32_t, int32_t *);
    void *(*create_context)(void *, void *, void *, const int32_t *);
};

static bool egl_load(struct gl_context *g, struct egl *egl)
{
    g->library = dlopen("libEGL.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!g->library || !symbol(g->library, "eglGetProcAddress", &egl->get_proc)
        || !symbol(g->library, "eglInitialize", &egl->initialize)
        || !symbol(g->library, "eglBindAPI", &egl->bind_api)
        || !symbol(g->library, "eglChooseConfig", &egl->choose_config)
        || !symbol(g->library, "eglCreateContext", &egl->create_context)
        || !symbol(g->library, "eglMakeCurrent", &g->make_current)
        || !symbol(g->library, "eglDestroyContext", &g->destroy)
        || !symbol(g->library, "eglTerminate", &g->terminate))
        return false;
    void *found = egl->get_proc("eglGetPlatformDisplayEXT");
    memcpy(&egl->get_platform_display, &found, sizeof(found));
    found = egl->get_proc("eglQueryDevicesEXT");
    memcpy(&egl->query_devices, &found, sizeof(found));
    return egl->get_platform_display != NULL;
}

/* A desktop OpenGL context on that display, current without a surface. */
static bool egl_try(struct gl_context *g, const struct egl *egl, void *display)
{
    static const int32_t wanted[] = {
        EGL_SURFACE_TYPE, EGL_PBUFFER_BIT, EGL_RENDERABLE_TYPE, EGL_OPENGL_BIT,
        EGL_RED_SIZE, 8, EGL_GREEN_SIZE, 8, EGL_BLUE_SIZE, 8, EGL_ALPHA_SIZE, 8,
        EGL_DEPTH_SIZE, 24, EGL_STENCIL_SIZE, 8, EGL_NONE
    };
    void *config = NULL;
    int32_t n = 0, major, minor;
    if (!display || !egl->initialize(display, &major, &minor))
        return false;
    if (egl->choose_config(display, wanted, &config, 1, &n) && n > 0
        && egl->bind_api(EGL_OPENGL_API)) {
        void *context = egl->create_context(display, config, NULL, NULL);
        if (context && g->make_current(display, NULL, NULL, context)) {
            g->display = display;
            g->context = context;
            return true;
        }
        if (context)
            g->destroy(display, context);
    }
    g->terminate(display);
    return false;
}

static bool egl_try_devices(struct gl_context *g, const struct egl *egl)
{
    void *devices[MAX_DEVICES];
    int32_t n = 0;
    if (!egl->query_devices || !egl->query_devices(MAX_DEVICES, devices, &n))
        return false;
    for (int32_t i = 0; i < n; i++)
        if (egl_try(g, egl, egl->get_platform_display(EGL_PLATFORM_DEVICE_EXT, devices[i], NULL)))
            return true;
    return false;
}

static bool open_egl(struct gl_context *g, struct attempts *tried)
{
    struct egl egl = { 0 };
    setenv("EGL_LOG_LEVEL", "fatal", 0);    /* our own error says what failed */
    if (!egl_load(g, &egl)) {
        note(tried, "EGL", g->library ? "libEGL.so.1 is too old" : "no libEGL.so.1");
    } else if (egl_try_devices(g, &egl)) {
        g->kind = "EGL device";
    } else {
        note(tried, "EGL device", "none that can draw");
        if (egl_try(g, &egl, egl.get_platform_display(EGL_PLATFORM_SURFACELESS_MESA, NULL, NULL)))
            g->kind = "EGL surfaceless";
        else
            note(tried, "EGL surfaceless", "no driver");
    }
    if (g->kind && dlopen("libEGL.so.1", RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD))
        return true;
    if (g->library)
        dlclose(g->library);
    g->library = NULL;
    g->kind = NULL;
    return false;
}

/* ---- OSMesa ---- */

static bool open_osmesa(struct gl_context *g, struct attempts *tried)
{
    static const char *const names[] = { "libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so" };
    void *(*create)(unsigned, int, int, int, void *);
    unsigned (*current)(void *, void *, unsigned, int, int);
    for (int i = 0; i < 3 && !g->library; i++)
        g->library = dlopen(names[i], RTLD_NOW | RTLD_GLOBAL);
    if (!g->library) {
        note(tried, "OSMesa", "no libOSMesa.so.8");
        return false;
    }
    if (symbol(g->library, "OSMesaCreateContextExt", &create)
        && symbol(g->library, "OSMesaMakeCurrent", &current)
        && symbol(g->library, "OSMesaDestroyContext", &g->osmesa_destroy)) {
        g->context = create(OSMESA_RGBA, 24, 8, 0, NULL);
        if (g->context && current(g->context, g->pixels, GL_UNSIGNED_BYTE, OSMESA_SIDE, OSMESA_SIDE)) {
            g->kind = "OSMesa";
            return true;
        }
        if (g->context)
            g->osmesa_destroy(g->context);
    }
    note(tried, "OSMesa", "it cannot draw");
    dlclose(g->library);
    return false;
}

/* ---- either ---- */

int gl_context_open(struct gl_context **g, struct error *err)
{
    struct attempts tried = { "" };
    struct gl_context *made = memory_alloc(1, sizeof(*made));
    if (open_egl(made, &tried) || open_osmesa(made, &tried)) {
        *g = made;
        return 0;
    }
    free(made);
    *g = NULL;
    return error_set(err, ERR_MISSING,
                     "no OpenGL without a display was found (%s); install Mesa's software "
                     "rasteriser: apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri (or "
                     "libosmesa6)", tried.text);
}

/* The library stays loaded, as MuJoCo keeps pointers into it, and so does its driver: the display is
 * not terminated, which a later context on it does not mind. */
void gl_context_close(struct gl_context **g)
{
    struct gl_context *old = *g;
    if (!old)
        return;
    if (old->display) {
        old->make_current(old->display, NULL, NULL, NULL);
        old->destroy(old->display, old->context);
    } else {
        old->osmesa_destroy(old->context);
    }
    free(old);
    *g = NULL;
}

const char *gl_context_kind(const struct gl_context *g)
{
    return g->kind;
}
