/* Humanoid: walk forward without falling. HumanoidStandup: get up from lying.
 *
 *   observation   joint angles (not where it is), velocities, inertias and velocities of the bodies,
 *                 actuator forces, contact forces (v4: of the world and the root, too)
 *   action        torques of 17 joints in [-0.4, 0.4]; gears 100 to 300, arms 25
 *   reward        Humanoid: 1.25 forward speed of the centre of mass + 5 while healthy - 0.1 sum
 *                 ctrl^2 - at most 10 of 5e-7 sum of squared contact forces (v4: the 5 also on the step
 *                 that ends it, no cost of contact)
 *                 HumanoidStandup: height of the root per timestep - 0.1 sum ctrl^2 - at most 10 of
 *                 5e-7 sum of squared contact forces + 1
 *   episode       1000 steps; Humanoid terminates when its root is outside 1 to 2; start
 *                 U(-0.01, 0.01) in everything
 *
 * Heights are divided by the simulation's timestep, not by the step's duration, and uph_cost_weight
 * does nothing: as in Gymnasium.
 * Source: Gymnasium 1.2.3, envs/mujoco/humanoid_v5.py, humanoidstandup_v5.py and their v4. */
#include "actor/env/mujoco_task.h"
#include "actor/env/registry.h"

struct humanoid_options {
    struct mujoco_options mujoco;
    double forward_reward_weight, ctrl_cost_weight, healthy_reward, reset_noise_scale;
    double contact_cost_weight, impact_cost_weight, uph_cost_weight;
    struct option_range healthy_z_range, contact_cost_range, impact_cost_range;
    bool terminate_when_unhealthy, exclude_current_positions_from_observation;
    bool include_cinert_in_observation, include_cvel_in_observation;
    bool include_qfrc_actuator_in_observation, include_cfrc_ext_in_observation;
};

#define WALK_OPTIONS \
    TASK_MUJOCO(humanoid_options, "humanoid.xml", "5"), \
    TASK_REAL(humanoid_options, forward_reward_weight, "1.25", "of the forward speed"), \
    TASK_REAL(humanoid_options, ctrl_cost_weight, "0.1", "of the sum of squared controls"), \
    TASK_REAL(humanoid_options, healthy_reward, "5", "for every step in health"), \
    TASK_BOOL(humanoid_options, terminate_when_unhealthy, "true", "or go on lying there"), \
    TASK_RANGE(humanoid_options, healthy_z_range, "[1, 2]", "of the root's height"), \
    TASK_SCALE(humanoid_options, reset_noise_scale, "1e-2", "half width of the start's noise"), \
    TASK_BOOL(humanoid_options, exclude_current_positions_from_observation, "true", \
              "leave out where it is")

#define OBSERVED_OPTIONS \
    TASK_BOOL(humanoid_options, include_cinert_in_observation, "true", \
              "observe the bodies' inertias"), \
    TASK_BOOL(humanoid_options, include_cvel_in_observation, "true", \
              "observe the bodies' velocities"), \
    TASK_BOOL(humanoid_options, include_qfrc_actuator_in_observation, "true", \
              "observe the actuators' forces"), \
    TASK_BOOL(humanoid_options, include_cfrc_ext_in_observation, "true", \
              "observe the contact forces of the bodies")

static const struct option walk_v5_options[] = {
    WALK_OPTIONS,
    TASK_REAL(humanoid_options, contact_cost_weight, "5e-7",
              "of the sum of squared contact forces"),
    TASK_RANGE(humanoid_options, contact_cost_range, "[-.inf, 10]", "of the whole cost of contact"),
    OBSERVED_OPTIONS,
};

static const struct option walk_v4_options[] = { WALK_OPTIONS };

static const struct option standup_v5_options[] = {
    TASK_MUJOCO(humanoid_options, "humanoidstandup.xml", "5"),
    TASK_REAL(humanoid_options, uph_cost_weight, "1", "without effect, as in Gymnasium"),
    TASK_REAL(humanoid_options, ctrl_cost_weight, "0.1", "of the sum of squared controls"),
    TASK_REAL(humanoid_options, impact_cost_weight, "5e-7",
              "of the sum of squared contact forces"),
    TASK_RANGE(humanoid_options, impact_cost_range, "[-.inf, 10]", "of the whole cost of impact"),
    TASK_SCALE(humanoid_options, reset_noise_scale, "1e-2", "half width of the start's noise"),
    TASK_BOOL(humanoid_options, exclude_current_positions_from_observation, "true",
              "leave out where it is"),
    OBSERVED_OPTIONS,
};

static const struct option standup_v4_options[] = {
    TASK_MUJOCO(humanoid_options, "humanoidstandup.xml", "5"),
};

/* v5: without the world's rows and the root's forces, each part by choice. */
static void observe_v5(struct task_terms *t, const mjModel *m, const struct humanoid_options *o)
{
    const int first = o->exclude_current_positions_from_observation ? 2 : 0;
    task_observe(t, operand_part(m, SOURCE_QPOS, first, -1));
    task_observe(t, operand_all(m, SOURCE_QVEL));
    if (o->include_cinert_in_observation)
        task_observe(t, operand_part(m, SOURCE_CINERT, 10, -1));
    if (o->include_cvel_in_observation)
        task_observe(t, operand_part(m, SOURCE_CVEL, 6, -1));
    if (o->include_qfrc_actuator_in_observation)
        task_observe(t, operand_part(m, SOURCE_QFRC_ACTUATOR, 6, -1));
    if (o->include_cfrc_ext_in_observation)
        task_observe(t, operand_part(m, SOURCE_CFRC_EXT, 6, -1));
}

static void observe_v4(struct task_terms *t, const mjModel *m, bool sees_place)
{
    static const enum term_source rest[] = { SOURCE_QVEL, SOURCE_CINERT, SOURCE_CVEL,
                                             SOURCE_QFRC_ACTUATOR, SOURCE_CFRC_EXT };
    task_observe(t, operand_part(m, SOURCE_QPOS, sees_place ? 0 : 2, -1));
    for (int i = 0; i < 5; i++)
        task_observe(t, operand_all(m, rest[i]));
}

/* -clip(weight sum F^2, range) */
static void pay_for_contact(struct task_terms *t, const mjModel *m, double weight,
                            struct option_range range)
{
    struct reward_term *cost = task_reward(t, REWARD_SQUARES, -weight,
                                           operand_all(m, SOURCE_CFRC_EXT));
    cost->is_limited = true;
    cost->limit_low = -range.high;
    cost->limit_high = -range.low;
}

static int build_walk(struct task_terms *t, const mjModel *m, const void *values, int version,
                      struct error *err)
{
    const struct humanoid_options *o = values;
    const bool pays_at_the_end = version == 4 && o->terminate_when_unhealthy;
    (void)err;
    if (version == 4)
        observe_v4(t, m, !o->exclude_current_positions_from_observation);
    else
        observe_v5(t, m, o);

    task_reward(t, REWARD_RATE, o->forward_reward_weight,
                operand_part(m, SOURCE_CENTRE_OF_MASS, 0, 1));
    task_reward(t, pays_at_the_end ? REWARD_CONSTANT : REWARD_ALIVE, o->healthy_reward, NOTHING);
    task_reward(t, REWARD_SQUARES, -o->ctrl_cost_weight, operand_all(m, SOURCE_CTRL));
    if (version != 4)
        pay_for_contact(t, m, o->contact_cost_weight, o->contact_cost_range);

    task_require(t, operand_part(m, SOURCE_QPOS, 2, 1), o->healthy_z_range);
    t->ends_when_unhealthy = o->terminate_when_unhealthy;

    task_reset_uniform(t, m, false, o->reset_noise_scale);
    task_reset_uniform(t, m, true, o->reset_noise_scale);
    return 0;
}

/* v4 has no options: its numbers are v5's defaults. */
static int build_standup(struct task_terms *t, const mjModel *m, const void *values, int version,
                         struct error *err)
{
    static const struct humanoid_options fixed = {
        .ctrl_cost_weight = 0.1, .impact_cost_weight = 5e-7, .reset_noise_scale = 0.01,
        .impact_cost_range = { -INFINITY, 10 },
    };
    const struct humanoid_options *o = version == 4 ? &fixed : values;
    (void)err;
    if (version == 4)
        observe_v4(t, m, false);
    else
        observe_v5(t, m, o);

    task_reward(t, REWARD_VALUE, 1 / m->opt.timestep, operand_part(m, SOURCE_QPOS, 2, 1));
    task_reward(t, REWARD_SQUARES, -o->ctrl_cost_weight, operand_all(m, SOURCE_CTRL));
    pay_for_contact(t, m, o->impact_cost_weight, o->impact_cost_range);
    task_reward(t, REWARD_CONSTANT, 1, NOTHING);

    task_reset_uniform(t, m, false, o->reset_noise_scale);
    task_reset_uniform(t, m, true, o->reset_noise_scale);
    return 0;
}

#define DEFINITION(version_, build_) \
    { .version = version_, .time_limit = 1000, .nq = 7, .nv = 6, .nu = 1, .is_least = true, \
      .build = build_ }
static const struct mujoco_definition walk_v5 = DEFINITION(5, build_walk);
static const struct mujoco_definition walk_v4 = DEFINITION(4, build_walk);
static const struct mujoco_definition standup_v5 = DEFINITION(5, build_standup);
static const struct mujoco_definition standup_v4 = DEFINITION(4, build_standup);

MUJOCO_ENVIRONMENT(humanoid_v5, "Humanoid-v5", walk_v5, walk_v5_options, humanoid_options);
MUJOCO_ENVIRONMENT(humanoid_v4, "Humanoid-v4", walk_v4, walk_v4_options, humanoid_options);
MUJOCO_ENVIRONMENT(humanoid_standup_v5, "HumanoidStandup-v5", standup_v5, standup_v5_options,
                   humanoid_options);
MUJOCO_ENVIRONMENT(humanoid_standup_v4, "HumanoidStandup-v4", standup_v4, standup_v4_options,
                   humanoid_options);
