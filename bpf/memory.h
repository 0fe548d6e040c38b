/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls that make, change or free address space: each a record, read from the caller's user registers, which hold
 * the arguments until the call returns. It must not know how the handlers are attached. */
#ifndef POOLSCOPE_BPF_MEMORY_H
#define POOLSCOPE_BPF_MEMORY_H

#include "python.h"

struct call {
	__u64 arg[5];
};

/* Registers that the verifier knows the type of are read without a call, which would cost as much as the rest. */
static __always_inline void call_read(struct call *call, struct task_struct *typed)
{
	const struct pt_regs *regs = current_regs(typed);

#if defined(__TARGET_ARCH_x86)
	struct {
		__u64 r10, r9, r8, ax, cx, dx, si, di;
	} saved = {};

	if (has_task_pt_regs) {
		call->arg[0] = regs->di;
		call->arg[1] = regs->si;
		call->arg[2] = regs->dx;
		call->arg[3] = regs->r10;
		call->arg[4] = regs->r8;
		return;
	}
	bpf_probe_read_kernel(&saved, sizeof(saved), &regs->r10);
	call->arg[0] = saved.di;
	call->arg[1] = saved.si;
	call->arg[2] = saved.dx;
	call->arg[3] = saved.r10;
	call->arg[4] = saved.r8;
#else
	bpf_probe_read_kernel(call->arg, sizeof(call->arg), regs->regs);
	/* The result has replaced it at exit. */
	bpf_probe_read_kernel(&call->arg[0], sizeof(call->arg[0]), &regs->orig_x0);
#endif
}

/* Which results of a call a handler is for. */
static __always_inline bool failed(long result)
{
	return (__u64)result >= (__u64)-MAX_ERRNO;
}

static __always_inline bool succeeded(long result)
{
	return !failed(result);
}

static __always_inline bool ended(long result)
{
	return true;
}

/* A mprotect changes mapping after mapping until it meets a hole. */
static __always_inline bool changed(long result)
{
	return !failed(result) || result == -ENOMEM;
}

/* What to tell of a call. */
struct told {
	__u64 start, length;
	__u32 flags;
	__u8 kind, protection;
	__u64 grown; /* not 0: the reader wants to hear of it at once, and when it was; so many bytes at its end are new */
};

/* Private anonymous memory that can be written: what counts as growth. */
static __always_inline bool mmap_grows(__u32 protection, __u32 flags)
{
	return protection & PROT_WRITE && (flags & (MAP_TYPE | MAP_ANONYMOUS)) == (MAP_PRIVATE | MAP_ANONYMOUS);
}

static __always_inline struct event_memory *memory_reserve(const struct process *process, const struct task_struct *typed,
							   const struct told *what, __u64 size, __u64 filled)
{
	struct event_memory *event;
	__u32 caller = current_number(typed);
	__u64 start_ns = current_start(typed);

	/* A vfork child is no thread: what it maps in the memory of its creator, which waits for it, is the creator's. */
	if (process->flags & PROCESS_VFORK) {
		struct task_struct *creator = BPF_CORE_READ(task_current(), real_parent);

		caller = task_number(creator, false);
		start_ns = BPF_CORE_READ(creator, start_boottime);
	}
	/* The time of the reader's last look: whether a reading came before the call or after it is all that is asked of
	 * it, and looking at the clock here costs the target a fifth of the record (Linux 6.18, in a virtual machine). */
	event = event_reserve(process, size, what->kind, ring_has_room(process, filled, size), caller, start_ns,
			      what->grown ? bpf_ktime_get_boot_ns() + 1 : *(volatile __u64 *)&clock_ns);

	if (!event)
		return NULL;
	event_account(&event->header, process, size, filled);
	event->header.protection = what->protection;
	event->header.flags = what->flags;
	event->start = what->start;
	event->length = what->length;
	return event;
}

/* Where there is no interpreter: the registers and the upper end of the caller's stack. How many bytes of it. */
static __always_inline __u32 stack_take(struct task_struct *typed, struct event_stack *event)
{
	__u32 read = 0;
#if defined(__TARGET_ARCH_x86)
	struct pt_regs regs = {};

	bpf_probe_read_kernel(&regs, sizeof(regs), current_regs(typed));
	registers_take(&regs, event->registers);
#pragma unroll
	for (__u32 at = 0; at < EVENT_STACK_BYTES; at += EVENT_STACK_PIECE) {
		/* The first piece that cannot be read ends it: what is behind that is of no use. */
		if (read == at && !bpf_probe_read_user(event->stack + at, EVENT_STACK_PIECE, (void *)(regs.sp + at)))
			read = at + EVENT_STACK_PIECE;
	}
#endif
	return read;
}

/* What the caller does, before the record of its growth, which wakes the reader. One that does not fit is no loss: of that
 * growth it is not known then who asked for it. Apart from the callers, who come here 50 times a second at most. */
static __noinline int stack_submit(const struct process *process, __u64 start, __u64 length)
{
	struct task_struct *typed = task_typed();
	__u64 filled = ring_filled();
	struct event_stack *event;
	__u64 start_ns;
	__u32 tid;

	/* In a ring that fills there is no room but for what must not be lost. */
	if (process->flags & PROCESS_VFORK || filled + sizeof(*event) > wake_bytes)
		return 0;
	tid = current_number(typed);
	start_ns = current_start(typed);
	event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);
	if (!event)
		return 0;
	event_fill(&event->header, process, EVENT_STACK, tid, start_ns, bpf_ktime_get_boot_ns() + 1);
	event->header.doubled = process->doubled;
	event->grown_start = start;
	event->grown_length = length;
	python_take(process, tid, start_ns, event);
	event->header.flags = event->n_codes ? 0 : stack_take(typed, event);
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

static __always_inline int memory_submit(const struct process *process, const struct task_struct *typed,
					 const struct told *what)
{
	struct event_memory *event;
	__u64 filled;

	if (what->grown)
		stack_submit(process, what->start + what->length - what->grown, what->grown);
	filled = ring_filled();
	event = memory_reserve(process, typed, what, sizeof(*event), filled);
	if (!event)
		return 0;
	if (what->grown)
		event_submit_urgent(event);
	else
		event_submit(event, filled);
	return 0;
}

static __always_inline int on_mmap(struct process *process, struct task_struct *typed, long result)
{
	struct told what = {.kind = EVENT_MMAP, .start = result};
	struct call call;

	call_read(&call, typed);
	what.length = call.arg[1];
	what.protection = call.arg[2];
	what.flags = call.arg[3];
	if (mmap_grows(what.protection, what.flags) && growth_count(process, what.length))
		what.grown = what.length;
	return memory_submit(process, typed, &what);
}

static __always_inline int on_mprotect(struct process *process, struct task_struct *typed, long result)
{
	struct told what = {.kind = EVENT_MPROTECT};
	struct call call;

	call_read(&call, typed);
	what.start = call.arg[0];
	what.length = call.arg[1];
	what.protection = call.arg[2];
	what.flags = failed(result) ? EVENT_MPROTECT_FAILED : 0;
	if (what.protection & PROT_WRITE && !what.flags && growth_count(process, what.length))
		what.grown = what.length;
	return memory_submit(process, typed, &what);
}

/* The result is the break as it is now: other than the argument when the call was refused or only asked. */
static __always_inline int on_brk(struct process *process, struct task_struct *typed, long result)
{
	struct told what = {.kind = EVENT_BRK};
	struct call call;

	call_read(&call, typed);
	what.start = BPF_CORE_READ(task_current(), mm, start_brk);
	if (call.arg[0] != (__u64)result || (__u64)result < what.start)
		return 0;
	what.length = (__u64)result - what.start;
	if (process->brk && process->brk < (__u64)result && growth_count(process, (__u64)result - process->brk))
		what.grown = (__u64)result - process->brk;
	process->brk = result;
	return memory_submit(process, typed, &what);
}

/* Calls that the kernel refuses before it frees anything are no event at entry, hence none at exit. */
static __always_inline bool munmap_frees(const struct call *call, struct told *what)
{
	what->start = call->arg[0];
	what->length = call->arg[1];
	return !(what->start & page_mask) && what->length;
}

/* What a mremap gives back when it succeeds; growing in place gives nothing back, but only the kernel
 * knows whether it will. */
static __always_inline bool mremap_frees(const struct call *call, struct told *what)
{
	__u64 old_length = (call->arg[1] + page_mask) & ~page_mask, length = (call->arg[2] + page_mask) & ~page_mask;
	__u64 flags = call->arg[3];

	if (call->arg[0] & page_mask || !length || !old_length || flags & MREMAP_DONTUNMAP)
		return false;
	what->start = call->arg[0];
	what->length = old_length;
	if (flags & MREMAP_FIXED || (flags & MREMAP_MAYMOVE && length > old_length))
		return true;
	what->start += length;
	what->length -= length;
	return length < old_length;
}

static __always_inline int on_munmap_entry(const struct process *process, struct task_struct *typed)
{
	struct told what = {.kind = EVENT_MUNMAP};
	struct call call;

	call_read(&call, typed);
	return munmap_frees(&call, &what) ? memory_submit(process, typed, &what) : 0;
}

static __always_inline int on_munmap(const struct process *process, struct task_struct *typed, long result)
{
	struct told what = {.kind = EVENT_MUNMAP_FAILED};
	struct call call;

	call_read(&call, typed);
	return munmap_frees(&call, &what) ? memory_submit(process, typed, &what) : 0;
}

static __always_inline int on_mremap_entry(const struct process *process, struct task_struct *typed)
{
	struct told what = {.kind = EVENT_MREMAP_SOURCE};
	struct call call;

	call_read(&call, typed);
	return mremap_frees(&call, &what) ? memory_submit(process, typed, &what) : 0;
}

static __always_inline int move_submit(struct process *process, const struct task_struct *typed,
				       const struct call *call, long result)
{
	struct told what = {.kind = EVENT_MREMAP, .start = result, .length = call->arg[2], .flags = call->arg[3]};
	struct event_move *event;
	__u64 filled;

	if (what.length > call->arg[1] && growth_count(process, what.length - call->arg[1])) {
		what.grown = what.length - call->arg[1];
		stack_submit(process, what.start + call->arg[1], what.grown);
	}
	filled = ring_filled();
	event = (void *)memory_reserve(process, typed, &what, sizeof(*event), filled);
	if (!event)
		return 0;
	event->old_start = call->arg[0];
	event->old_length = call->arg[1];
	if (what.grown)
		event_submit_urgent(event);
	else
		event_submit(event, filled);
	return 0;
}

static __always_inline int on_mremap(struct process *process, struct task_struct *typed, long result)
{
	struct told what = {.kind = EVENT_MREMAP_FAILED};
	struct call call;

	call_read(&call, typed);
	if (succeeded(result))
		return move_submit(process, typed, &call, result);
	return mremap_frees(&call, &what) ? memory_submit(process, typed, &what) : 0;
}

#endif
