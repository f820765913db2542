/* OpenGL without a display: a context current in this thread, found at run time.
 *
 * Tried in order: EGL on a device (a GPU, or Mesa's software rasteriser), EGL without surfaces
 * (Mesa), OSMesa. The program links none of them. MuJoCo looks for eglGetProcAddress, then
 * OSMesaGetProcAddress, among the symbols of the process, so only the library whose context is
 * current is made global. */
#ifndef SHOAL_ACTOR_RENDER_GL_CONTEXT_H
#define SHOAL_ACTOR_RENDER_GL_CONTEXT_H

#include "common/error.h"

struct gl_context;

/* Make a context current in the calling thread, which must also close it. At most one at a time.
 * ERR_MISSING says what was tried and which packages to install. */
int gl_context_open(struct gl_context **g, struct error *err);
void gl_context_close(struct gl_context **g);

/* What was found: "EGL device", "EGL surfaceless" or "OSMesa". */
const char *gl_context_kind(const struct gl_context *g);

#endif
