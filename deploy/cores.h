/* How many cores this process may use. */
#ifndef SHOAL_DEPLOY_CORES_H
#define SHOAL_DEPLOY_CORES_H

/* The cores that it may run on, or as many as the CPU time that a container or a service is limited to makes up,
 * rounded. At least 1. */
int cores_available(void);

/* CPU time that control groups allow, in cores; INFINITY: there is no limit. Both versions of them are understood.
 *   groups  the groups of a process, as /proc/self/cgroup lists them
 *   root    where they are, as /sys/fs/cgroup; a group that cannot be seen there, as from inside a container,
 *           has no limit but that of the nearest one above it that can */
double cores_of_quota(const char *groups, const char *root);

#endif
