/* Of another version of the interface. */
#include "plain.h"

static const struct shoal_environment table = { .version = SHOAL_ENVIRONMENT_VERSION + 1 };
PLAIN_EXPORT(table)
