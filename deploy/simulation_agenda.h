/* What is due when: a fixed number of sources of events, each with the moment of its next one.
 *
 * Invariant: of equal moments the source with the lower number comes first. */
#ifndef SHOAL_DEPLOY_SIMULATION_AGENDA_H
#define SHOAL_DEPLOY_SIMULATION_AGENDA_H

#include <stdint.h>

#define AGENDA_NEVER INT64_MAX

struct agenda;

/* n sources, none of which is ever due. */
struct agenda *agenda_create(int n);
void agenda_destroy(struct agenda **a);

void agenda_set(struct agenda *a, int source, int64_t at_ns);
int64_t agenda_at(const struct agenda *a, int source);

/* The source that is due first, and when. */
int agenda_next(const struct agenda *a, int64_t *at_ns);

#endif
