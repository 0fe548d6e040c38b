/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads of a process as /proc shows them, for kernels or rights without a task iterator. It must not know
 * their stacks. */
#include "../boottime.h"
#include "procfs_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct thread_walk {
	struct procfs *procfs;
	const struct fact_sink *sink;
	struct fact fact;
	uint32_t pid;
};

static int thread_visit(void *context, uint32_t tid)
{
	struct thread_walk *walk = context;
	struct fact_thread *thread = &walk->fact.thread;
	struct proc_stat stat;

	/* It may end between the listing and the reading. */
	if (procfs_stat(walk->procfs, walk->pid, tid, &stat) < 0 || stat.state == 'X' || stat.state == 'x')
		return 0;
	/* A leader that has exited stays as a zombie while others live: it is no thread any more. Nor is who is on its way out,
	 * whose end may have been told before anybody listened. */
	if (stat.state == 'Z' || stat.flags & PROC_PF_EXITING)
		return 0;
	*thread = (struct fact_thread){
		.id = {.tid = tid, .start_ns = stat.start_ns},
		.is_leader = tid == walk->pid,
		.is_io_worker = stat.flags & PROC_PF_IO_WORKER,
		.state = stat.state,
		.cpu_ns = stat.cpu_ns,
		.faults = stat.faults,
	};
	memcpy(thread->name, stat.comm, sizeof(thread->name));
	walk->fact.time_ns = boottime();
	return walk->sink->emit(walk->sink->context, &walk->fact);
}

static int walk_threads(struct procfs *procfs, enum fact_kind kind, uint32_t target, uint32_t pid,
			const struct fact_sink *sink)
{
	struct thread_walk walk = {
		.procfs = procfs, .sink = sink, .pid = pid, .fact = {.kind = kind, .target = target},
	};
	char path[32];

	snprintf(path, sizeof(path), "%u/task", pid);
	return procfs_each_number(procfs, path, thread_visit, &walk);
}

int procfs_threads(struct procfs *procfs, uint32_t target, uint32_t pid, const struct fact_sink *sink)
{
	return walk_threads(procfs, FACT_THREAD_SEEN, target, pid, sink);
}

int procfs_sample(struct procfs *procfs, uint32_t target, uint32_t pid, const struct fact_sink *sink)
{
	return walk_threads(procfs, FACT_THREAD_SAMPLED, target, pid, sink);
}

/* Who has had less than that could not do much. */
#define HAS_RUN_NS 1000000

/* CPU time, and how often it got a CPU: the first and the third number of schedstat (Documentation/scheduler/sched-stats.rst). */
static bool has_hardly_run(int dirfd, const char *path, char **buffer, size_t *size, unsigned long long *ret_times)
{
	unsigned long long ran_ns;

	return file_read(dirfd, path, buffer, size) > 0 && sscanf(*buffer, "%llu %*u %llu", &ran_ns, ret_times) == 2 &&
	       ran_ns < HAS_RUN_NS;
}

/* Its first moment may have passed in the kernel: since Linux 6.18 who is beyond a quota is stopped on its way out. D is who
 * is frozen, too (cgroup v1); who is by cgroup v2 cannot be told from who sleeps. */
void procfs_ask(struct procfs *procfs, uint32_t pid, struct fact_thread *thread)
{
	unsigned long long times, own_times;
	struct proc_stat stat;
	char path[64];

	thread->has_run = true;
	if (procfs_stat(procfs, pid, thread->id.tid, &stat) < 0 || !strchr("RTtD", stat.state))
		return;
	snprintf(path, sizeof(path), "%u/task/%u/schedstat", pid, thread->id.tid);
	if (!has_hardly_run(procfs->fd, path, &procfs->buffer, &procfs->buffer_size, &times))
		return;
	/* A kernel that does not count has 0 for who asks, too. */
	thread->has_run = has_hardly_run(AT_FDCWD, "/proc/self/schedstat", &procfs->buffer, &procfs->buffer_size, &own_times);
	thread->state = stat.state;
	thread->is_unsure = stat.state == 'R' && times;
}
