#include <stddef.h>

#include "deploy/simulation.h"

/* Which versions there are says nothing where only every so many are published, and lockstep acts with exactly
 * one. */
static int check_staleness(const struct settings *s, bool is_on_policy, struct error *err)
{
    if (s->simulate.staleness == 0)
        return 0;
    if (settings_are_lockstep(s))
        return error_set(err, ERR_CONFIG, "simulate.staleness is %lld, but mode %s acts with one version and no "
                         "other; set mode: async, or simulate.staleness: 0", (long long)s->simulate.staleness,
                         settings_mode(s));
    if (s->learner.max_staleness > 0 && s->simulate.staleness > s->learner.max_staleness)
        return error_set(err, ERR_CONFIG, "simulate.staleness %lld is above learner.max_staleness %lld: everything would "
                         "be thrown away; lower the first or raise the second", (long long)s->simulate.staleness,
                         (long long)s->learner.max_staleness);
    if (!is_on_policy && s->learner.publish_every != 1)
        return error_set(err, ERR_CONFIG, "simulate.staleness counts versions, and of those only every %lldth is "
                         "published; set learner.publish_every: 1", (long long)s->learner.publish_every);
    return 0;
}

int conditions_read(struct conditions *c, const struct settings *s, bool is_on_policy, struct error *err)
{
    *c = (struct conditions){ .seed = (uint64_t)s->simulate.seed, .loss = s->simulate.loss,
                              .retransmit_us = s->simulate.retransmit_us, .staleness = s->simulate.staleness };
    const struct {
        struct distribution *d;
        const char *key, *text;
        bool may_be_never;
    } rows[] = {
        { &c->step_us, "simulate.step_us", s->simulate.step_us, false },
        { &c->speed, "simulate.speed", s->simulate.speed, false },
        { &c->update_us, "simulate.update_us", s->simulate.update_us, false },
        { &c->up_us, "simulate.up_us", s->simulate.up_us, false },
        { &c->down_us, "simulate.down_us", s->simulate.down_us, false },
        { &c->fail_s, "simulate.fail_s", s->simulate.fail_s, true },
        { &c->restart_s, "simulate.restart_s", s->simulate.restart_s, false },
    };
    int rc = check_staleness(s, is_on_policy, err);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows) && rc == 0; i++)
        rc = distribution_parse(rows[i].d, rows[i].key, rows[i].text, rows[i].may_be_never, err);
    return rc;
}

void conditions_fini(struct conditions *c)
{
    struct distribution *const all[] = { &c->step_us, &c->speed, &c->update_us, &c->up_us,
                                         &c->down_us, &c->fail_s, &c->restart_s };
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        distribution_fini(all[i]);
}
