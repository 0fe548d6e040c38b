/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads and processes: what a birth, an exit, a new name and an exec put in the ring, and how they change who is
 * watched. It must not know how the handlers are attached. */
#ifndef POOLSCOPE_BPF_THREADS_H
#define POOLSCOPE_BPF_THREADS_H

#include "filter.h"

/* is_typed, here and below: the task pointer is a tp_btf program's own, which it may follow by itself. Each call that
 * copies costs as much as a quarter of the record (Linux 6.18, in a virtual machine). */
static __always_inline void name_read(char *name, struct task_struct *task, bool is_typed)
{
	if (is_typed) {
		const __u64 *words = (const __u64 *)task->comm;

		((__u64 *)name)[0] = words[0];
		((__u64 *)name)[1] = words[1];
	} else {
		bpf_core_read(name, sizeof(task->comm), &task->comm);
	}
}

static __always_inline struct event_thread *thread_event(bool is_typed, const struct process *process, __u8 kind,
							  struct task_struct *task, __u64 time_ns)
{
	struct event_thread *event = event_reserve(process, sizeof(*event), kind, true, task_number(task, is_typed),
						   FOLLOW(is_typed, task, start_boottime), time_ns);

	if (event) {
		__builtin_memset(&event->header + 1, 0, sizeof(*event) - sizeof(event->header));
		name_read(event->name, task, is_typed);
	}
	return event;
}

static __always_inline __u64 task_tls(struct task_struct *task, bool is_typed)
{
#if defined(__TARGET_ARCH_x86)
	return FOLLOW(is_typed, task, thread.fsbase);
#else
	return FOLLOW(is_typed, task, thread.uw.tp_value);
#endif
}

static __always_inline __u64 regs_sp(const struct pt_regs *regs)
{
	__u64 sp = 0;

	bpf_probe_read_kernel(&sp, sizeof(sp), &regs->sp);
	return sp;
}

static __always_inline __u64 task_sp(struct task_struct *task, bool is_typed)
{
	if (is_typed && has_task_pt_regs)
		return ((const struct pt_regs *)bpf_task_pt_regs(task))->sp;
	return regs_sp(task_regs(task));
}

static __always_inline __u64 current_sp(const struct pt_regs *regs)
{
	return has_task_pt_regs ? regs->sp : regs_sp(regs);
}

/* The stack that clone3 was given; other calls tell its top only. */
static __always_inline void clone3_stack(struct event_thread *event, const struct pt_regs *regs)
{
	__u64 number = 0, args = 0, stack[2] = {};

#if defined(__TARGET_ARCH_x86)
	if (has_task_pt_regs) {
		number = regs->orig_ax;
		args = regs->di;
	} else {
		bpf_probe_read_kernel(&number, sizeof(number), &regs->orig_ax);
		bpf_probe_read_kernel(&args, sizeof(args), &regs->di);
	}
#else
	bpf_probe_read_kernel(&number, sizeof(__s32), &regs->syscallno);
	bpf_probe_read_kernel(&args, sizeof(args), &regs->orig_x0);
#endif
	if (number != NR_clone3 || bpf_probe_read_user(stack, sizeof(stack), (void *)(args + CLONE_ARGS_STACK)))
		return;
	event->stack_start = stack[0];
	event->stack_length = stack[1];
}

/* Asked for once: it stays for as long as the image does. */
static __always_inline __u32 routine_offset(struct process *process)
{
	const struct wish *wish;

	if (!process->routine_offset) {
		wish = wish_of(process);
		if (wish)
			process->routine_offset = wish->routine_offset;
	}
	return process->routine_offset;
}

/* io_uring's, vhost's and KVM's workers carry their creator's registers and TLS base, a vfork child its parent's: a
 * stack that is another's must not be reported. */
static __always_inline void birth_describe(bool is_typed, struct event_thread *event, __u32 offset,
					   struct task_struct *child, __u64 flags)
{
	__u32 task_flags = FOLLOW(is_typed, child, flags);
	struct task_struct *creator = task_typed();

	event->creator_tid = current_number(creator);
	event->creator_start_ns = current_start(creator);
	if (!(flags & CLONE_THREAD))
		event->header.flags |= EVENT_THREAD_LEADER;
	if (task_flags & PF_IO_WORKER)
		event->header.flags |= EVENT_THREAD_IO_WORKER;
	if (is_kernels_worker(task_flags))
		return;
	event->stack_pointer = task_sp(child, is_typed);
	if (flags & CLONE_VM) {
		const struct pt_regs *regs = current_regs(creator);

		if (event->stack_pointer == current_sp(regs))
			event->stack_pointer = 0;
		clone3_stack(event, regs);
	}
	if (!(flags & CLONE_VM) || flags & CLONE_SETTLS)
		event->tls_base = task_tls(child, is_typed);
	if (event->tls_base && offset)
		bpf_probe_read_user(&event->start_routine,
				    sizeof(event->start_routine) + sizeof(event->start_argument),
				    (void *)(event->tls_base + offset));
}

static __always_inline void process_describe(struct event_thread *event, __u32 family, struct task_struct *task,
					     struct task_struct *parent)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);

	event->pid = event->header.tid;
	event->family = family;
	event->inner_pid = pid_number(pid, BPF_CORE_READ(pid, level));
	event->parent_pid = task_number(BPF_CORE_READ(parent, group_leader), false);
	event->header.flags |= EVENT_THREAD_LEADER;
}

/* Runs before the child does, in the creator's context: whatever the child will do is seen. */
static __always_inline int on_birth(bool is_typed, struct task_struct *child, __u64 flags)
{
	bool thread = flags & CLONE_THREAD, own_space = !(flags & (CLONE_THREAD | CLONE_VM));
	/* Of others that is all: a helper called for it would be a third of that. */
	__u32 creator_tgid = is_typed && thread ? child->tgid : bpf_get_current_pid_tgid() >> 32, tgid = 0, offset;
	struct process *process = process_find(creator_tgid), next;
	struct event_thread *event;

	if (thread && !process)
		return 0;
	if (!thread) {
		tgid = FOLLOW(is_typed, child, tgid);
		/* The number has just been given anew: what is known under it is stale. */
		if (process_find(tgid))
			process_remove(tgid);
	}
	if (!process || (own_space && !(process->flags & PROCESS_FOLLOW)))
		return 0;
	next = *process;
	if (!thread) {
		next.start_ns = FOLLOW(is_typed, child, start_boottime);
		next.flags = process->flags & PROCESS_FOLLOW;
		if (own_space) {
			next.routine_offset = routine_offset(process);
			next.space = tgid;
			next.execs = 0;
		} else {
			next.flags |= PROCESS_GUEST | (flags & CLONE_VFORK ? PROCESS_VFORK : 0);
		}
	}
	/* A vfork child, with what threads it makes, is a process to be: its creator waits in it. Counted as a thread, every
	 * program that a service starts would be a birth in its pools. */
	if (next.flags & PROCESS_VFORK) {
		if (!thread)
			process_add(tgid, &next);
		return 0;
	}
	offset = thread ? routine_offset(process) : 0;
	event = thread_event(is_typed, &next, own_space ? EVENT_PROCESS_BORN : EVENT_THREAD_BORN, child,
			     FOLLOW(is_typed, child, start_boottime));
	/* One test of event right here: before 6.2 the verifier takes a second one for a lost reference. A child
	 * that the reader never hears of must not be watched: its events would have no owner. */
	if (!event) {
		if (!thread && !own_space)
			process_add(tgid, &next);
		return 0;
	}
	if (!thread && process_add(tgid, &next) && own_space) {
		bpf_ringbuf_discard(event, 0);
		return 0;
	}
	birth_describe(is_typed, event, offset, child, flags);
	if (own_space)
		process_describe(event, next.family, child, task_current());
	event_submit_urgent(event);
	return 0;
}

static __always_inline struct event_exit *exit_event(bool is_typed, const struct process *process, struct task_struct *task)
{
	struct event_exit *event = event_reserve(process, sizeof(*event), EVENT_THREAD_EXITED, true, task_number(task, is_typed),
						 FOLLOW(is_typed, task, start_boottime), bpf_ktime_get_boot_ns());

	if (event) {
		event->faults = FOLLOW(is_typed, task, min_flt) + FOLLOW(is_typed, task, maj_flt);
		event->exit_code = 0;
		name_read(event->name, task, is_typed);
	}
	return event;
}

/* How the process ended, by its last thread. */
static __always_inline void end_describe(struct event_exit *event, struct task_struct *task,
					 struct signal_struct *signal)
{
	event->header.flags |= EVENT_THREAD_LAST;
	if (BPF_CORE_READ(signal, oom_mm))
		event->header.flags |= EVENT_THREAD_OOM;
	if (BPF_CORE_READ(signal, flags) & SIGNAL_GROUP_EXIT)
		event->exit_code = BPF_CORE_READ(signal, group_exit_code);
	else
		event->exit_code = BPF_CORE_READ(task, group_leader, exit_code);
}

/* Threads that exit side by side may all see none alive, so that the process stays watched for a moment: the reader
 * takes the first for the end and removes it later. A guest, of one thread as a rule, is not the reader's. */
static __always_inline int on_exit(bool is_typed, struct task_struct *task)
{
	__u32 tgid = is_typed ? (__u32)task->tgid : bpf_get_current_pid_tgid() >> 32;
	struct process *process = process_find(tgid);
	struct signal_struct *signal;
	struct event_exit *event;
	bool guest, last;

	if (!process)
		return 0;
	signal = FOLLOW(is_typed, task, signal);
	last = FOLLOW(is_typed, signal, live.counter) == 0;
	if (process->flags & PROCESS_VFORK) {
		if (last)
			process_remove(tgid);
		return 0;
	}
	guest = process->flags & PROCESS_GUEST;
	event = exit_event(is_typed, process, task);
	if (event) {
		if (last && !guest)
			end_describe(event, task, signal);
		event_submit_urgent(event);
	}
	if (guest && last)
		process_remove(tgid);
	return 0;
}

static __always_inline __u64 task_waited(struct task_struct *task, bool is_typed)
{
	if (!bpf_core_field_exists(task->sched_info.run_delay))
		return ~0ULL;
	if (FOLLOW(is_typed, task, sched_info.last_queued)) /* named by another while it waits: for how long is not counted yet */
		return ~0ULL;
	return FOLLOW(is_typed, task, sched_info.run_delay);
}

static __always_inline int on_rename(bool is_typed, struct task_struct *task, const char *name)
{
	struct process *process = process_find(FOLLOW(is_typed, task, tgid));
	struct event_thread *event;
	__u64 filled;

	/* What a vfork child renames is its image to be, not a thread of its parent. */
	if (!process || process->flags & PROCESS_VFORK)
		return 0;
	/* As often as a program likes: names take from its share of the ring, as what it maps does. */
	filled = ring_filled();
	event = event_reserve(process, sizeof(*event), EVENT_THREAD_RENAMED, ring_has_room(process, filled, sizeof(*event)),
			      task_number(task, is_typed), FOLLOW(is_typed, task, start_boottime), bpf_ktime_get_boot_ns());
	if (!event)
		return 0;
	event_account(&event->header, process, sizeof(*event), filled);
	__builtin_memset(&event->header + 1, 0, sizeof(*event) - sizeof(event->header));
	event->waited_ns = task_waited(task, is_typed);
	bpf_probe_read_kernel_str(event->name, sizeof(event->name), name);
	event_submit_urgent(event);
	return 0;
}

/* A guest leaves the address space: for its host that is an exit, for itself a birth, if followed. */
static __always_inline int guest_exec(bool is_typed, struct task_struct *task, __u32 tgid, const struct process *process)
{
	struct process next = *process;
	struct event_thread *event;
	struct event_exit *end;

	if (!(next.flags & PROCESS_VFORK)) {
		end = exit_event(is_typed, process, task);
		if (end)
			event_submit_urgent(end);
	}
	process_remove(tgid);
	if (!(next.flags & PROCESS_FOLLOW))
		return 0;
	next.space = tgid;
	next.flags = PROCESS_FOLLOW;
	next.routine_offset = 0;
	next.execs = 0;
	event = thread_event(is_typed, &next, EVENT_PROCESS_BORN, task, bpf_ktime_get_boot_ns());
	if (!event)
		return 0;
	process_add(tgid, &next);
	birth_describe(is_typed, event, 0, task, 0);
	event->header.flags |= EVENT_PROCESS_EXECED;
	event->creator_tid = 0;
	event->creator_start_ns = 0;
	process_describe(event, next.family, task, BPF_CORE_READ(task, real_parent));
	event_submit_urgent(event);
	return 0;
}

static __always_inline int on_exec(bool is_typed, struct task_struct *task, __u32 old_tid)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct process *process = process_find(tgid);
	struct event_thread *event;

	if (!process)
		return 0;
	if (process->flags & PROCESS_GUEST)
		return guest_exec(is_typed, task, tgid, process);
	process->routine_offset = 0;
	process->brk = 0;
	process->execs++;
	event = thread_event(is_typed, process, EVENT_EXEC, task, bpf_ktime_get_boot_ns());
	if (!event)
		return 0;
	process_describe(event, process->family, task, BPF_CORE_READ(task, real_parent));
	event->execs = (__u32)process->execs;
	/* The tracepoint tells the kernel's own number only, and the old one no longer leads to a task. */
	if (old_tid != tgid) {
		event->header.flags |= EVENT_THREAD_TOOK_OVER;
		event->old_tid = procfs_level ? 0 : old_tid;
	}
	event->tls_base = task_tls(task, is_typed);
	event->stack_pointer = current_sp(current_regs(task_typed()));
	event_submit_urgent(event);
	return 0;
}

#endif
