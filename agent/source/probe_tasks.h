/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's list of tasks, by the task iterator: PIDs of a procfs to the kernel's, and the threads of a process.
 * It must not know targets. */
#ifndef POOLSCOPE_SOURCE_PROBE_TASKS_H
#define POOLSCOPE_SOURCE_PROBE_TASKS_H

#include "probe_load.h"

/* Of a record's flags; include/linux/sched.h, the latter since Linux 5.12. */
#define PF_EXITING 0x04
#define PF_IO_WORKER 0x10

struct probe_tasks_request {
	uint32_t pid_namespace; /* inode number: whose numbers are meant */
	uint32_t pid;           /* the leader with this number; or */
	uint32_t kernel_tgid;   /* all threads of this process */
	uint64_t memory;        /* and of others with this memory; 0: none */
};

/* Calls `each` for every task asked for; what it returns other than 0 stops and is returned. -EOPNOTSUPP: the
 * set has no iterator. */
int probe_tasks_read(struct probe_set *set, const struct probe_tasks_request *request,
		     int (*each)(void *context, const struct task_record *record), void *context);
/* One pass of the iterator as it has been told to go: `each` for every record of `size` bytes, as above. */
int probe_iterate(const struct probe_set *set, size_t size, int (*each)(void *context, const void *record), void *context);
/* The inode number of the PID namespace that this procfs shows. 0 or -errno. */
int probe_tasks_namespace(const char *procfs, uint32_t *ret_inode);
/* The record as FACT_THREAD_SEEN. */
void probe_tasks_fact(const struct task_record *record, uint32_t target, uint64_t time_ns, struct fact *ret_fact);

#endif
