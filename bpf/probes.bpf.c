/* SPDX-License-Identifier: GPL-2.0-only */
/* The programs: thin wrappers that attach the handlers in each of their variants. The agent turns on one variant of
 * each group (agent/source/probes_load.c has the table). */
#include "kernel.h"

#include "filter.h"
#include "memory.h"
#include "threads.h"

char LICENSE[] SEC("license") = "GPL";

/* Threads: a tp_btf program may follow a task pointer by itself, a raw tracepoint's has to copy. */
#define THREAD_ARGUMENTS(...) __VA_ARGS__
#define THREAD_PROBE(name, handler, arguments)                                                               \
	SEC("?tp_btf/" #name) int tp_btf_##name(__u64 *ctx)                                                  \
	{                                                                                                    \
		struct task_struct *task = (struct task_struct *)ctx[0];                                     \
		return handler(true, THREAD_ARGUMENTS arguments);                                            \
	}                                                                                                    \
	SEC("?raw_tp/" #name) int raw_tp_##name(__u64 *ctx)                                                  \
	{                                                                                                    \
		struct task_struct *task = (struct task_struct *)ctx[0];                                     \
		return handler(false, THREAD_ARGUMENTS arguments);                                           \
	}

THREAD_PROBE(task_newtask, on_birth, (task, ctx[1]))
THREAD_PROBE(sched_process_exit, on_exit, (task))
THREAD_PROBE(sched_process_exec, on_exec, (task, ctx[1]))
THREAD_PROBE(task_rename, on_rename, (task, (const char *)ctx[1]))

/* Of a call's results, only those of interest lead to the look-up of the process: of munmap none, as a rule.
 * The registers are not taken from ctx[0]: some kernels (5.10) do not let a program read that argument, for lack of its
 * type in the function's file. */
#define HANDLE_EXIT(call, of_interest, result)                                                               \
	struct task_struct *typed;                                                                           \
	struct process *process;                                                                             \
                                                                                                             \
	if (!of_interest(result))                                                                            \
		return 0;                                                                                    \
	typed = task_typed();                                                                                \
	process = process_of(typed);                                                                         \
	return process ? on_##call(process, typed, result) : 0;

#define EXIT_PROBE(call, of_interest)                                                                        \
	SEC("?fexit") int fexit_##call(__u64 *ctx)                                                           \
	{                                                                                                    \
		HANDLE_EXIT(call, of_interest, ctx[1])                                                       \
	}                                                                                                    \
	SEC("?tracepoint") int tracepoint_##call(struct trace_event_raw_sys_exit *ctx)                       \
	{                                                                                                    \
		HANDLE_EXIT(call, of_interest, ctx->ret)                                                     \
	}                                                                                                    \
	SEC("?kretprobe") int kretprobe_##call(struct pt_regs *ctx)                                          \
	{                                                                                                    \
		HANDLE_EXIT(call, of_interest, returned(ctx))                                                \
	}

#define HANDLE_ENTRY(call)                                                                                   \
	struct task_struct *typed = task_typed();                                                            \
	struct process *process = process_of(typed);                                                         \
                                                                                                             \
	return process ? on_##call##_entry(process, typed) : 0;

#define ENTRY_PROBE(call)                                                                                    \
	SEC("?fentry") int fentry_##call(__u64 *ctx)                                                         \
	{                                                                                                    \
		HANDLE_ENTRY(call)                                                                           \
	}                                                                                                    \
	SEC("?tracepoint") int tracepoint_entry_##call(struct trace_event_raw_sys_enter *ctx)                \
	{                                                                                                    \
		HANDLE_ENTRY(call)                                                                           \
	}                                                                                                    \
	SEC("?kprobe") int kprobe_entry_##call(struct pt_regs *ctx)                                          \
	{                                                                                                    \
		HANDLE_ENTRY(call)                                                                           \
	}

static __always_inline long returned(const struct pt_regs *ctx)
{
#if defined(__TARGET_ARCH_x86)
	return ctx->ax;
#else
	return ctx->regs[0];
#endif
}

EXIT_PROBE(mmap, succeeded)
EXIT_PROBE(munmap, failed)
EXIT_PROBE(mremap, ended)
EXIT_PROBE(mprotect, changed)
EXIT_PROBE(brk, ended)
ENTRY_PROBE(munmap)
ENTRY_PROBE(mremap)

/* One program type has one attach point under fexit: pkey_mprotect needs a program of its own there. */
SEC("?fexit") int fexit_pkey_mprotect(__u64 *ctx)
{
	HANDLE_EXIT(mprotect, changed, ctx[1])
}

/* The task iterator. Set by the agent before each run: */
__u32 wanted_namespace; /* inode number of the PID namespace whose numbers are asked for */
__u32 wanted_pid;       /* leaders with this number there; 0: all */
__u32 wanted_tgid;      /* not 0: instead, all threads of this kernel tgid */
__u64 wanted_memory;    /* not 0: and those of other processes in this address space */
__u32 wanted_running;   /* not 0: instead of all that, who is watched and runs or is ready to */
__u32 wanted_registers; /* not 0: instead of all that, where the threads of this kernel tgid stand */

/* Of a thousand tasks each call counts; the verifier knows what a pointer is that comes from the iterator's task. */
static __always_inline bool number_in_namespace(const struct pid *pid, struct task_record *record)
{
	__u32 top = pid->level;

	if (pid->numbers[0].ns->ns.inum == wanted_namespace) {
		record->tid = pid->numbers[0].nr;
		return true;
	}
	for (__u32 level = 1; level < MAX_PID_NS_LEVEL + 1; level++) {
		struct pid_namespace *namespace = NULL;
		struct upid number = {};

		if (level > top)
			return false;
		bpf_core_read(&namespace, sizeof(namespace),
			      (char *)pid + bpf_core_field_offset(pid->numbers) +
				      level * bpf_core_type_size(struct upid) + bpf_core_field_offset(number.ns));
		if (BPF_CORE_READ(namespace, ns.inum) != wanted_namespace)
			continue;
		record->level = level;
		record->tid = pid_number((struct pid *)pid, level);
		return true;
	}
	return false;
}

/* The state comes first: of the idle, who are nearly all, no more than that is looked at, and without a call. */
static __always_inline bool is_running(const struct task_struct *task)
{
	if (task->exit_state)
		return false;
	if (bpf_core_field_exists(task->__state))
		return !task->__state;
	return !((const struct task_struct___before_5_14 *)task)->state;
}

static __always_inline int write_running(struct seq_file *seq, struct task_struct *task)
{
	struct running_record record = {};
	struct process *process;

	if (!is_running(task))
		return 0;
	process = process_find(task->tgid);
	/* A vfork child is no thread, but a process to be. */
	if (!process || process->flags & PROCESS_VFORK)
		return 0;
	record.space = process->space;
	record.tid = task_number(task, true);
	record.start_ns = task->start_boottime;
	bpf_seq_write(seq, &record, sizeof(record));
	return 0;
}

/* In this order: a task counts its switch before it is off the CPU, so that who was found off it twice, with one number of
 * switches, was on none in between. */
static __always_inline int write_registers(struct seq_file *seq, struct task_struct *task)
{
	struct registers_record record = {};

	if (task->tgid != wanted_tgid || task->exit_state || is_kernels_worker(task->flags))
		return 0;
	record.tid = task_number(task, true);
	record.start_ns = task->start_boottime;
	record.on_cpu = bpf_core_field_exists(task->on_cpu) ? task->on_cpu != 0 : is_running(task);
	__asm__ volatile("" : : : "memory");
	record.switches = task->nvcsw + task->nivcsw;
#if defined(__TARGET_ARCH_x86)
	struct pt_regs regs = {};

	bpf_probe_read_kernel(&regs, sizeof(regs), task_regs(task));
	registers_take(&regs, record.registers);
#endif
	bpf_seq_write(seq, &record, sizeof(record));
	return 0;
}

SEC("?iter/task") int iter_task(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct task_record record = {};

	if (!task)
		return 0;
	if (wanted_running)
		return write_running(ctx->meta->seq, task);
	if (wanted_registers)
		return write_registers(ctx->meta->seq, task);
	if (wanted_tgid) {
		if (task->tgid != wanted_tgid && (!wanted_memory || (__u64)BPF_CORE_READ(task, mm) != wanted_memory))
			return 0;
	} else if (task->pid != task->tgid) {
		return 0;
	}
	if (!number_in_namespace(task->thread_pid, &record))
		return 0;
	if (!wanted_tgid && wanted_pid && record.tid != wanted_pid)
		return 0;
	record.kernel_tid = task->pid;
	record.kernel_tgid = task->tgid;
	if (bpf_core_field_exists(task->__state))
		record.state = task->__state;
	else
		record.state = ((const struct task_struct___before_5_14 *)task)->state;
	record.exit_state = task->exit_state;
	record.flags = task->flags;
	record.memory = (__u64)BPF_CORE_READ(task, mm);
	record.vfork = BPF_CORE_READ(task, vfork_done) != NULL;
	record.start_ns = task->start_boottime;
	/* What /proc's user and system time add up to (kernel/sched/cputime.c, cputime_adjust). */
	record.cpu_ns = task->se.sum_exec_runtime;
	record.faults = task->min_flt + task->maj_flt;
	name_read(record.name, task, true);
	if (!is_kernels_worker(record.flags) && !record.exit_state) {
		record.tls_base = task_tls(task, true);
		record.stack_pointer = task_sp(task, true);
	}
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}
