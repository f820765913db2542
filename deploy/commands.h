/* The subcommands. Each gets its own arguments and returns an exit status or a negative code. */
#ifndef SHOAL_DEPLOY_COMMANDS_H
#define SHOAL_DEPLOY_COMMANDS_H

#include "common/error.h"

int command_train(int argc, char **argv, struct error *err);
int command_learner(int argc, char **argv, struct error *err);
int command_actor(int argc, char **argv, struct error *err);
int command_eval(int argc, char **argv, struct error *err);
int command_config(int argc, char **argv, struct error *err);

/* Plays evaluations for the learner that started it; people do not call it. */
int command_evaluator(int argc, char **argv, struct error *err);

#endif
