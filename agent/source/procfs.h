/* SPDX-License-Identifier: GPL-2.0-only */
/* /proc and cgroup files as facts: who a target is, its threads, its mappings, its memory. Reads through
 * any living thread, since a leader may be gone while others live. It must not know what facts mean. */
#ifndef POOLSCOPE_SOURCE_PROCFS_H
#define POOLSCOPE_SOURCE_PROCFS_H

#include "../fact.h"

struct procfs; /* one mounted procfs and the cgroup hierarchies beside it */

int procfs_open(const char *path, struct procfs **ret_procfs, struct explain *explain); /* NULL: /proc */
void procfs_free(struct procfs *procfs);
DEFINE_CLEANUP(struct procfs *, procfs_free)

/* Selecting. Each returns the PIDs (thread group leaders), ascending; caller frees. An empty result is
 * not an error. */
int procfs_find_name(struct procfs *procfs, const char *name, uint32_t **ret_pids, size_t *ret_count);
int procfs_find_unit(struct procfs *procfs, const char *unit, uint32_t **ret_pids, size_t *ret_count);
int procfs_find_cgroup(struct procfs *procfs, const char *path, uint32_t **ret_pids, size_t *ret_count);
int procfs_find_container(struct procfs *procfs, const char *prefix, uint32_t **ret_pids, size_t *ret_count);
int procfs_list(struct procfs *procfs, uint32_t **ret_pids, size_t *ret_count);

/* Is this PID a process that can be a target? 0; -ESRCH; -EINVAL with *explain: a thread's id (names
 * its process), a kernel thread, a zombie, a 32-bit process (-EOPNOTSUPP). */
int procfs_check_target(struct procfs *procfs, uint32_t pid, struct explain *explain);

/* Who it is: comm, exe, unit, container, ns_pid, parent, start. `name` is left to the caller.
 * -ESRCH when it is gone. */
int procfs_describe(struct procfs *procfs, uint32_t pid, struct fact_target *ret_target);
/* Of that only what tells whether it is another by now, and whose child: for looks at all processes. */
int procfs_born(struct procfs *procfs, uint32_t pid, uint32_t *ret_parent_pid, uint64_t *ret_start_ns);
/* Its command line with blanks between arguments, cut at size; for matching only, never shown. */
int procfs_cmdline(struct procfs *procfs, uint32_t pid, char *buffer, size_t size);

/* FACT_THREAD_SEEN for each thread: id, name, state, CPU time, leader; no stack pointer. */
int procfs_threads(struct procfs *procfs, uint32_t target, uint32_t pid, const struct fact_sink *sink);
/* FACT_THREAD_SAMPLED for each thread. */
int procfs_sample(struct procfs *procfs, uint32_t target, uint32_t pid, const struct fact_sink *sink);
/* Of a newborn, by thread->id.tid: what FACT_THREAD_ASKED tells. */
void procfs_ask(struct procfs *procfs, uint32_t pid, struct fact_thread *thread);
/* FACT_SEED_BEGIN, FACT_RANGE_SEEN for each private mapping, FACT_SEED_END. */
int procfs_seed(struct procfs *procfs, uint32_t target, uint32_t pid, enum seed_reason reason,
		const struct fact_sink *sink);
/* FACT_MEMORY, FACT_CGROUP, FACT_CHILDREN: one call per refresh. Children are counted whether they are followed or
 * not, and looked for only as often as a thousandth of the time allows: a call in between emits nothing.
 * exact: RssAnon is right at this moment, whatever that costs; else a lagging counter is corrected now and then. */
int procfs_memory(struct procfs *procfs, uint32_t target, uint32_t pid, bool exact, const struct fact_sink *sink);
int procfs_cgroup(struct procfs *procfs, uint32_t target, uint32_t pid, const struct fact_sink *sink);
/* OOM kills that the cgroup of its last FACT_CGROUP counts by now: the process may be gone, its cgroup is not.
 * UNKNOWN_U64. */
uint64_t procfs_oom_kills(struct procfs *procfs, uint32_t target);
int procfs_children(struct procfs *procfs, uint32_t target, uint32_t pid, const struct fact_sink *sink);

#endif
