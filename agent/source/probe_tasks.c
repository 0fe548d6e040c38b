/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's list of tasks, by the task iterator: PIDs of a procfs to the kernel's, and the threads of a process.
 * It must not know targets. */
#include "probe_tasks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* TASK_REPORT bits and letters as fs/proc/array.c has them; no bit: running. */
static const char state_letters[] = "SDTtXZPI";

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define PASS_WORDS 4096

int probe_iterate(const struct probe_set *set, size_t size, int (*each)(void *context, const void *record), void *context)
{
	_cleanup_(close_fd) int fd = -1;
	uint64_t records[PASS_WORDS];
	ssize_t length;

	if (!set->iterator)
		return -EOPNOTSUPP;
	fd = bpf_iter_create(bpf_link__fd(set->iterator));
	if (fd < 0)
		return -errno;
	/* The kernel hands out whole records. */
	while ((length = read(fd, records, sizeof(records) / size * size)) != 0) {
		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			return -errno;
		for (size_t at = 0; at + size <= (size_t)length; at += size) {
			int r = each(context, (const char *)records + at);

			if (r)
				return r;
		}
	}
	return 0;
}

struct visit {
	int (*each)(void *context, const struct task_record *record);
	void *context;
};

static int visit_task(void *context, const void *record)
{
	const struct visit *visit = context;

	return visit->each(visit->context, record);
}

int probe_tasks_read(struct probe_set *set, const struct probe_tasks_request *request,
		     int (*each)(void *context, const struct task_record *record), void *context)
{
	struct visit visit = {each, context};

	if (!set->iterator)
		return -EOPNOTSUPP;
	set->object->bss->wanted_namespace = request->pid_namespace;
	set->object->bss->wanted_pid = request->pid;
	set->object->bss->wanted_tgid = request->kernel_tgid;
	set->object->bss->wanted_memory = request->memory;
	set->object->bss->wanted_running = set->object->bss->wanted_registers = 0;
	return probe_iterate(set, sizeof(struct task_record), visit_task, &visit);
}

int probe_tasks_namespace(const char *procfs, uint32_t *ret_inode)
{
	/* PID 1 of a procfs lives in the very namespace that it shows; `self` may live further inside. */
	static const char *const links[] = {"1/ns/pid", "self/ns/pid"};
	char path[4096];
	struct stat status;

	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		snprintf(path, sizeof(path), "%s/%s", procfs, links[i]);
		if (stat(path, &status) == 0) {
			*ret_inode = (uint32_t)status.st_ino;
			return 0;
		}
	}
	return -errno;
}

static char state_letter(const struct task_record *record)
{
	/* EXIT_DEAD and EXIT_ZOMBIE have their place among the state's bits. */
	uint32_t state = (record->state | record->exit_state) & 0x7f;

	/* TASK_IDLE, include/linux/sched.h */
	if (record->state == 0x402)
		return 'I';
	/* TASK_FROZEN, TASK_RTLOCK_WAIT: not for a report, but not running either (fs/proc/array.c says D). */
	if (!state)
		return record->state & ~0x7fU ? 'D' : 'R';
	return state_letters[31 - __builtin_clz(state)];
}

void probe_tasks_fact(const struct task_record *record, uint32_t target, uint64_t time_ns, struct fact *ret_fact)
{
	struct fact_thread *thread = &ret_fact->thread;

	*thread = (struct fact_thread){0};
	ret_fact->kind = FACT_THREAD_SEEN;
	ret_fact->target = target;
	ret_fact->time_ns = time_ns;
	thread->id = (struct thread_id){.tid = record->tid, .start_ns = record->start_ns};
	memcpy(thread->name, record->name, sizeof(thread->name) - 1);
	thread->is_leader = record->kernel_tid == record->kernel_tgid;
	thread->is_io_worker = record->flags & PF_IO_WORKER;
	thread->tls_base = record->tls_base;
	thread->stack_pointer = record->stack_pointer;
	thread->state = state_letter(record);
	thread->cpu_ns = record->cpu_ns;
	thread->cpu_is_exact = true;
	thread->faults = record->faults;
}
