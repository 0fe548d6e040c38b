/* SPDX-License-Identifier: GPL-2.0-only */
/* Who is watched, and the one place that reserves ring space and counts what did not fit. It must not know what the
 * events are. */
#ifndef POOLSCOPE_BPF_FILTER_H
#define POOLSCOPE_BPF_FILTER_H

#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "poolscope/event.h"

/* Set before load. */
const volatile __u64 memory_bytes;        /* beyond this fill of the ring only births and ends get room */
const volatile __u64 share_bytes;         /* so much of it a target's other events may take at most */
const volatile __u64 wake_bytes;          /* from this fill on memory events wake the reader */
const volatile __u64 page_mask;           /* page size - 1 */
const volatile __u64 thread_size;         /* kernel stack; used without bpf_task_pt_regs only */
const volatile bool has_task_pt_regs;     /* Linux 5.15 */
const volatile __u64 growth_spacing_ns;   /* between wake-ups for the growth of any process, on average; 0: no bound */

/* Shared with the agent while running. */
__u32 watched[EVENT_FILTER_SLOTS];
struct share shares[EVENT_SHARES];
__u64 growth_all_ns; /* as process.growth_ns, of all processes together */
__u64 clock_ns; /* the reader's last look at its clock */
__u32 share_most; /* of what it leaves free in the ring, so many times as much a target may have in there */
__u32 procfs_level; /* of the PID namespace whose numbers are reported */
__u64 lives_lost; /* of all shares */
__u32 wake_on_thread; /* 1: the reader sleeps, and a thread event is to wake it at once */
__u32 wake_on_fill;   /* 1: it has not been woken for the ring's fill since it last read */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EVENT_MAX_PROCESSES);
	__type(key, __u32);
	__type(value, struct process);
} processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EVENT_MAX_PROCESSES);
	__type(key, __u32); /* space */
	__type(value, struct wish);
} wishes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, EVENT_PYTHON_THREADS);
	__type(key, __u32); /* tid */
	__type(value, struct python_thread);
} python_threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENT_LOSS_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EVENT_MAX_PROCESSES);
	__type(key, __u32); /* space */
	__type(value, __u64);
} lost_by_space SEC(".maps");

static __always_inline struct process *process_find(__u32 tgid)
{
	if (!watched[tgid & (EVENT_FILTER_SLOTS - 1)])
		return NULL;
	return bpf_map_lookup_elem(&processes, &tgid);
}

/* The caller of a memory call: each helper costs as much as the work it saves, so the task is asked for once, and
 * followed without a call where the verifier knows its type. NULL before Linux 5.15. */
static __always_inline struct task_struct *task_typed(void)
{
	return has_task_pt_regs ? bpf_get_current_task_btf() : NULL;
}

static __always_inline struct process *process_of(const struct task_struct *typed)
{
	return process_find(has_task_pt_regs ? (__u32)typed->tgid : bpf_get_current_pid_tgid() >> 32);
}

static __always_inline struct task_struct *task_current(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

/* space 0: concerns none of those that are watched. Not inlined away into a hot path by accident: losses are rare. */
static __noinline int loss_count(__u32 space, __u32 reason)
{
	__u64 *total = bpf_map_lookup_elem(&lost, &reason), *own, zero = 0;

	if (total)
		__sync_fetch_and_add(total, 1);
	if (!space)
		return 0;
	own = bpf_map_lookup_elem(&lost_by_space, &space);
	if (!own) {
		bpf_map_update_elem(&lost_by_space, &space, &zero, BPF_NOEXIST);
		own = bpf_map_lookup_elem(&lost_by_space, &space);
	}
	if (own)
		__sync_fetch_and_add(own, 1);
	return 0;
}

/* The slot counts entries, so whoever adds or removes an entry changes it, once, and a slot that two
 * processes share stays open until both are gone. */
static __always_inline int process_add(__u32 tgid, const struct process *process)
{
	__u32 *slot = &watched[tgid & (EVENT_FILTER_SLOTS - 1)];

	__sync_fetch_and_add(slot, 1);
	if (bpf_map_update_elem(&processes, &tgid, process, BPF_NOEXIST) == 0)
		return 0;
	__sync_fetch_and_add(slot, -1);
	/* A child in memory of its own is not watched then, and nothing of its parent is lost. */
	loss_count(process->flags & PROCESS_GUEST ? process->space : 0, EVENT_LOSS_MAP);
	return -1;
}

static __always_inline void process_remove(__u32 tgid)
{
	if (bpf_map_delete_elem(&processes, &tgid) == 0)
		__sync_fetch_and_add(&watched[tgid & (EVENT_FILTER_SLOTS - 1)], -1);
}

/* The number of a task in the PID namespace of the procfs in use. */
static __always_inline __u32 pid_number(struct pid *pid, __u32 level)
{
	struct upid number = {};

	if (level > BPF_CORE_READ(pid, level))
		return 0;
	bpf_core_read(&number.nr, sizeof(number.nr),
		      (char *)pid + bpf_core_field_offset(pid->numbers) + level * bpf_core_type_size(struct upid) +
			      bpf_core_field_offset(number.nr));
	return number.nr;
}

/* A field of a task; without a call where `is_typed`, a constant: the verifier knows then what the pointer is. */
#define FOLLOW(is_typed, pointer, field) ((is_typed) ? (pointer)->field : BPF_CORE_READ(pointer, field))

static __always_inline __u32 task_number(struct task_struct *task, bool is_typed)
{
	if (!procfs_level)
		return FOLLOW(is_typed, task, pid);
	return pid_number(BPF_CORE_READ(task, thread_pid), procfs_level);
}

static __always_inline __u32 current_number(const struct task_struct *typed)
{
	if (procfs_level)
		return task_number(task_current(), false);
	return has_task_pt_regs ? (__u32)typed->pid : (__u32)bpf_get_current_pid_tgid();
}

static __always_inline __u64 current_start(const struct task_struct *typed)
{
	return has_task_pt_regs ? typed->start_boottime : BPF_CORE_READ(task_current(), start_boottime);
}

/* Where every task's user registers lie on its kernel stack. Taken from the running task where the
 * helper exists: the padding above them depends on how the kernel was built. */
/* A thread of the process that never runs in user space, and carries its creator's registers and thread pointer. */
static __always_inline bool is_kernels_worker(__u32 flags)
{
	return flags & PF_IO_WORKER || (flags & PF_USER_WORKER && bpf_core_type_exists(struct vhost_task));
}

static __always_inline __u64 regs_offset(void)
{
	if (has_task_pt_regs) {
		__u64 typed = bpf_task_pt_regs(bpf_get_current_task_btf()), regs = 0;

		/* The verifier forbids arithmetic on a pointer of the kernel's, and on its copy, but not on this. */
		bpf_probe_read_kernel(&regs, sizeof(regs), &typed);
		return regs - (__u64)BPF_CORE_READ(task_current(), stack);
	}
	return thread_size - sizeof(struct pt_regs);
}

static __always_inline const struct pt_regs *task_regs(struct task_struct *task)
{
	return (const struct pt_regs *)((__u64)BPF_CORE_READ(task, stack) + regs_offset());
}

static __always_inline const struct pt_regs *current_regs(struct task_struct *typed)
{
	if (has_task_pt_regs)
		return (const struct pt_regs *)bpf_task_pt_regs(typed);
	return task_regs(task_current());
}

#if defined(__TARGET_ARCH_x86)
static __always_inline void registers_take(const struct pt_regs *regs, __u64 *registers)
{
	registers[EVENT_BX] = regs->bx;
	registers[EVENT_BP] = regs->bp;
	registers[EVENT_SP] = regs->sp;
	registers[EVENT_R12] = regs->r12;
	registers[EVENT_R13] = regs->r13;
	registers[EVENT_R14] = regs->r14;
	registers[EVENT_R15] = regs->r15;
	registers[EVENT_IP] = regs->ip;
}
#endif

/* A memory event, or a name, may take what is free below memory_bytes, and its target at most share_most times what it leaves
 * free: among others it fills half of the ring, so that these always find room; one alone fills eight ninths. */
static __always_inline bool ring_has_room(const struct process *process, __u64 filled, __u64 size)
{
	const struct share *share = &shares[process->share & (EVENT_SHARES - 1)];
	__u64 free_bytes = memory_bytes - filled, taken = share->produced - share->consumed;

	return filled + size <= memory_bytes && taken <= share_most * free_bytes && taken + size <= share_bytes;
}

static __always_inline void event_fill(struct event_header *header, const struct process *process, __u8 kind, __u32 tid,
				       __u64 start_ns, __u64 time_ns)
{
	header->kind = kind;
	header->protection = 0;
	header->share = EVENT_SHARES;
	header->space = process->space;
	header->time_ns = time_ns;
	header->start_ns = start_ns;
	header->tid = tid;
	header->flags = 0;
}

/* Every record whose loss matters passes here; `size` is a constant. NULL: counted as lost. What is behind the header is not cleared. */
static __always_inline void *event_reserve(const struct process *process, __u64 size, __u8 kind, bool has_room,
					   __u32 tid, __u64 start_ns, __u64 time_ns)
{
	struct event_header *header = NULL;

	if (has_room)
		header = bpf_ringbuf_reserve(&ring, size, 0);
	if (!header) {
		/* A child that nobody hears of is not watched: nothing of those that are is lost, and an account of its own would
		 * stay for ever. */
		if (kind < EVENT_MMAP && kind != EVENT_PROCESS_BORN) {
			__sync_fetch_and_add(&shares[process->share & (EVENT_SHARES - 1)].lives_lost, 1);
			__sync_fetch_and_add(&lives_lost, 1);
		}
		loss_count(kind == EVENT_PROCESS_BORN ? 0 : process->space, EVENT_LOSS_RING);
		return NULL;
	}
	event_fill(header, process, kind, tid, start_ns, time_ns);
	return header;
}

/* Accounts are kept while the ring is filling only: in a ring that is read in time nobody takes another's room, and an
 * atomic add on a line that the reader writes costs as much as the rest of an event. */
static __always_inline void event_account(struct event_header *header, const struct process *process, __u64 size,
					  __u64 filled)
{
	if (filled < wake_bytes)
		return;
	header->share = process->share & (EVENT_SHARES - 1);
	__sync_fetch_and_add(&shares[header->share].produced, size);
}

static __always_inline __u64 ring_filled(void)
{
	return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);
}

/* Waking costs an interrupt, so each flag is used up by one wake-up, and the reader sets it anew. */
static __always_inline void event_submit(void *record, __u64 filled)
{
	if (wake_on_fill && filled >= wake_bytes) {
		wake_on_fill = 0;
		bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
	} else {
		bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	}
}

/* What the reader said of the image that the process runs now; a guest runs its host's. NULL: nothing. */
static __always_inline const struct wish *wish_of(const struct process *process)
{
	const struct wish *wish = bpf_map_lookup_elem(&wishes, &process->space);

	if (!wish || wish->execs != process->execs)
		return NULL;
	return process->flags & PROCESS_GUEST || wish->start_ns == process->start_ns ? wish : NULL;
}

/* What was saved up is a second's. */
static __always_inline __u64 spent(__u64 spent_ns, __u64 now_ns)
{
	return spent_ns + NSEC_PER_SEC < now_ns ? now_ns - NSEC_PER_SEC : spent_ns;
}

/* By chance from half to one and a half of a measure: one that was always the same would meet the same step each time of
 * a program that makes the same steps again and again. */
static __always_inline __u32 about(__u32 measure)
{
	return measure / 2 + (bpf_get_prandom_u32() & (measure - 1));
}

/* Read once: other threads change it meanwhile, and below 0 is 4 GiB. */
static __always_inline __u32 growth_left(const struct process *process)
{
	return *(const volatile __u32 *)&process->left;
}

/* A call below the measure fills it, or not: by chance, in proportion to its bytes. What it has beyond counts for the next. */
static __always_inline bool growth_fills(struct process *process, __u32 bytes, __u32 measure)
{
	__u32 left = growth_left(process);

	if (bytes < left) {
		process->left = left - bytes;
		return false;
	}
	left += about(measure);
	process->left = left > bytes ? left - bytes : left + measure - bytes;
	return true;
}

/* Apart from the callers, of whom few come here. A process that grows faster than the reader may be woken has its measure
 * doubled until the calls that fill it are few enough: so each byte has the same chance, in a flood as well. */
static __noinline int growth_look(struct process *process, __u64 bytes)
{
	const struct wish *wish = wish_of(process);
	__u32 doubled = process->doubled, measure;
	__u64 now_ns;

	if (!wish || !wish->growth) {
		process->left = EVENT_GROWTH_BYTES;
		return false;
	}
	now_ns = bpf_ktime_get_boot_ns();
	if (doubled && process->growth_ns + EVENT_GROWTH_SAVED_NS < now_ns) {
		doubled = process->doubled = 0;
		process->left = about(EVENT_GROWTH_BYTES);
	}
	if (doubled > EVENT_GROWTH_DOUBLED_MAX)
		return false;
	measure = EVENT_GROWTH_BYTES << doubled;
	if (bytes < measure && !growth_fills(process, bytes, measure))
		return false;
	if (process->growth_ns > now_ns || growth_all_ns > now_ns) {
		/* What it is refused for others' sake is no sign that it has slowed down. */
		if (process->growth_ns + EVENT_GROWTH_SAVED_NS / 2 < now_ns)
			process->growth_ns = now_ns - EVENT_GROWTH_SAVED_NS / 2;
		if (doubled < EVENT_GROWTH_DOUBLED_MAX) {
			process->doubled = doubled + 1;
			process->left += measure;
		}
		return false;
	}
	process->growth_ns = spent(process->growth_ns, now_ns) + EVENT_GROWTH_SPACING_NS;
	/* Two CPUs at once may spend one for two: that is no flood. */
	growth_all_ns = spent(growth_all_ns, now_ns) + growth_spacing_ns;
	return true;
}

/* Who grows is asked what it does: soon, or it does something else by then. True: these bytes are worth it alone, or fill
 * the measure. */
static __always_inline bool growth_count(struct process *process, __u64 bytes)
{
	__u32 left = growth_left(process);

	/* Looking at the clock at each call would cost the target more than the counting: at each MiB will do. */
	if (bytes < EVENT_GROWTH_BYTES && bytes < left && !((left ^ (left - bytes)) & EVENT_GROWTH_BYTES)) {
		process->left = left - bytes;
		return false;
	}
	return growth_look(process, bytes);
}

static __always_inline void event_submit_urgent(void *record)
{
	if (wake_on_thread) {
		wake_on_thread = 0;
		bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
	} else {
		event_submit(record, ring_filled());
	}
}

#endif
