/* The kinds of policies: what the network's outputs mean, and what stands behind its parameters.
 *
 *   squashed_gaussian    2 n_act outputs, mu and log sigma: a = tanh(mu + sigma eps)
 *   gaussian             n_act outputs, mu; log sigma [n_act] is free, behind the network's parameters
 *   gaussian_of_state    2 n_act outputs, mu and log sigma: a = mu + sigma eps, not bounded
 *   categorical          n_choices outputs, logits; the action is the index, n_act is 1
 *   deterministic        n_act outputs: a = clip(tanh(out) + exploration noise, -1, 1)
 *
 * The policy's vector is network | free log sigma, if any. */
#ifndef SHOAL_COMMON_POLICY_HEAD_H
#define SHOAL_COMMON_POLICY_HEAD_H

#include <stdbool.h>

#include "common/error.h"

enum policy_head {
    HEAD_SQUASHED_GAUSSIAN,
    HEAD_GAUSSIAN,
    HEAD_GAUSSIAN_OF_STATE,
    HEAD_CATEGORICAL,
    HEAD_DETERMINISTIC,
    N_POLICY_HEADS
};

/* Its word in messages and files. */
const char *policy_head_name(enum policy_head head);

/* The head of that word; ERR_FORMAT names the known ones. */
int policy_head_find(const char *name, enum policy_head *head, struct error *err);

/* Whether such actions are what the head gives: one of a number of choices, or continuous ones. */
bool policy_head_fits(enum policy_head head, int n_act, int n_choices);

/* Outputs of the network, and numbers behind its parameters.
 *   n_choices of discrete actions; 0: continuous */
int policy_head_outputs(enum policy_head head, int n_act, int n_choices);
int policy_head_extra(enum policy_head head, int n_act);

#endif
