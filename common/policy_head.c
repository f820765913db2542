#include "common/policy_head.h"

#include <string.h>

static const char *const head_names[N_POLICY_HEADS] = {
    [HEAD_SQUASHED_GAUSSIAN] = "squashed_gaussian", [HEAD_GAUSSIAN] = "gaussian",
    [HEAD_GAUSSIAN_OF_STATE] = "gaussian_of_state", [HEAD_CATEGORICAL] = "categorical",
    [HEAD_DETERMINISTIC] = "deterministic",
};

const char *policy_head_name(enum policy_head head)
{
    return head_names[head];
}

int policy_head_find(const char *name, enum policy_head *head, struct error *err)
{
    for (int i = 0; i < N_POLICY_HEADS; i++)
        if (strcmp(name, head_names[i]) == 0) {
            *head = (enum policy_head)i;
            return 0;
        }
    return error_set(err, ERR_FORMAT, "unknown policy head \"%s\"; there are squashed_gaussian, gaussian, "
                     "gaussian_of_state, categorical and deterministic", name);
}

bool policy_head_fits(enum policy_head head, int n_act, int n_choices)
{
    return head == HEAD_CATEGORICAL ? n_choices > 0 && n_act == 1 : n_choices == 0 && n_act > 0;
}

int policy_head_outputs(enum policy_head head, int n_act, int n_choices)
{
    return head == HEAD_CATEGORICAL ? n_choices
         : head == HEAD_GAUSSIAN || head == HEAD_DETERMINISTIC ? n_act : 2 * n_act;
}

int policy_head_extra(enum policy_head head, int n_act)
{
    return head == HEAD_GAUSSIAN ? n_act : 0;
}
