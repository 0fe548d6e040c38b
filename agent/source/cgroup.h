/* SPDX-License-Identifier: GPL-2.0-only */
/* The cgroup hierarchies that are mounted here (versions 1 and 2) and the limits in them. It must not know
 * processes: it is given the text of /proc/PID/cgroup. */
#ifndef POOLSCOPE_SOURCE_CGROUP_H
#define POOLSCOPE_SOURCE_CGROUP_H

#include "../fact.h"

struct cgroup_tree;

/* procfs_fd: the procfs in use; its mountinfo, or else /proc's, names the hierarchies. None is no error. */
int cgroup_tree_new(int procfs_fd, struct cgroup_tree **ret_tree);
/* The same from a mountinfo's text. */
int cgroup_tree_parse(const char *mountinfo, struct cgroup_tree **ret_tree);
void cgroup_tree_free(struct cgroup_tree *tree);
DEFINE_CLEANUP(struct cgroup_tree *, cgroup_tree_free)

/* Fills everything but host_memory_total from the text of /proc/PID/cgroup. memory_max, pids_max and the
 * quota are the tightest of the cgroup and its ancestors; memory_current is of the cgroup that holds
 * memory_max, so that their difference is the headroom. What cannot be read stays unknown. */
void cgroup_tree_read(const struct cgroup_tree *tree, const char *text, size_t length,
		      struct fact_cgroup *ret_cgroup);

/* The folder of a cgroup's path, "/sys/fs/cgroup/..." : -ENOENT: not mounted, or outside of this cgroup
 * namespace. controller: "memory", "cpu", "pids". */
int cgroup_tree_folder(const struct cgroup_tree *tree, const char *controller, const char *text, size_t length,
		       char *buffer, size_t size, size_t *ret_mount_length, bool *ret_version_2);
/* A path as a user gives it, without the mount point it may begin with. */
const char *cgroup_tree_relative(const struct cgroup_tree *tree, const char *path);

#endif
