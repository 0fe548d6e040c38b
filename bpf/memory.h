/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls that make, change or free address space: each a record, read from the caller's user registers, which hold
 * the arguments until the call returns. It must not know how the handlers are attached. */
#ifndef POOLSCOPE_BPF_MEMORY_H
#define POOLSCOPE_BPF_MEMORY_H

#include "filter.h"

struct call {
	__u64 arg[5];
};

static __always_inline void call_read(struct call *call, const struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	struct {
		__u64 r10, r9, r8, ax, cx, dx, si, di;
	} saved = {};

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

static __always_inline bool is_error(long result)
{
	return (__u64)result >= (__u64)-MAX_ERRNO;
}

static __always_inline int memory_submit(const struct process *process, __u16 kind, const struct event_memory *what)
{
	struct event_memory *event;
	__u32 caller = current_number();
	__u64 start_ns = current_start();

	/* A vfork child is no thread: what it maps in the memory of its creator, which waits for it, is the creator's. */
	if (process->flags & PROCESS_VFORK) {
		struct task_struct *creator = BPF_CORE_READ(task_current(), real_parent);

		caller = task_number(creator);
		start_ns = BPF_CORE_READ(creator, start_boottime);
	}
	event = event_reserve(process, sizeof(*event), kind, false, caller, start_ns);

	if (!event)
		return 0;
	event->start = what->start;
	event->length = what->length;
	event->old_start = what->old_start;
	event->old_length = what->old_length;
	event->protection = what->protection;
	event->header.flags = what->header.flags;
	event_submit(event, false);
	return 0;
}

static __always_inline int on_mmap(const struct process *process, const struct pt_regs *regs, long result)
{
	struct event_memory what = {};
	struct call call;

	if (is_error(result))
		return 0;
	call_read(&call, regs);
	what.start = result;
	what.length = call.arg[1];
	what.protection = call.arg[2];
	what.header.flags = call.arg[3];
	return memory_submit(process, EVENT_MMAP, &what);
}

static __always_inline int on_mprotect(const struct process *process, const struct pt_regs *regs, long result)
{
	struct event_memory what = {};
	struct call call;

	if (is_error(result))
		return 0;
	call_read(&call, regs);
	what.start = call.arg[0];
	what.length = call.arg[1];
	what.protection = call.arg[2];
	return memory_submit(process, EVENT_MPROTECT, &what);
}

/* The result is the break as it is now: other than the argument when the call was refused or only asked. */
static __always_inline int on_brk(const struct process *process, const struct pt_regs *regs, long result)
{
	struct event_memory what = {};
	struct call call;
	__u64 start;

	call_read(&call, regs);
	start = BPF_CORE_READ(task_current(), mm, start_brk);
	if (call.arg[0] != (__u64)result || (__u64)result < start)
		return 0;
	what.start = start;
	what.length = (__u64)result - start;
	return memory_submit(process, EVENT_BRK, &what);
}

/* Calls that the kernel refuses before it frees anything are no event at entry, hence none at exit. */
static __always_inline bool munmap_frees(const struct call *call, struct event_memory *what)
{
	what->start = call->arg[0];
	what->length = call->arg[1];
	return !(what->start & page_mask) && what->length;
}

/* What a mremap gives back when it succeeds; growing in place gives nothing back, but only the kernel
 * knows whether it will. */
static __always_inline bool mremap_frees(const struct call *call, struct event_memory *what)
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

static __always_inline int on_munmap_entry(const struct process *process, const struct pt_regs *regs)
{
	struct event_memory what = {};
	struct call call;

	call_read(&call, regs);
	return munmap_frees(&call, &what) ? memory_submit(process, EVENT_MUNMAP, &what) : 0;
}

static __always_inline int on_munmap(const struct process *process, const struct pt_regs *regs, long result)
{
	struct event_memory what = {};
	struct call call;

	if (!is_error(result))
		return 0;
	call_read(&call, regs);
	return munmap_frees(&call, &what) ? memory_submit(process, EVENT_MUNMAP_FAILED, &what) : 0;
}

static __always_inline int on_mremap_entry(const struct process *process, const struct pt_regs *regs)
{
	struct event_memory what = {};
	struct call call;

	call_read(&call, regs);
	return mremap_frees(&call, &what) ? memory_submit(process, EVENT_MREMAP_SOURCE, &what) : 0;
}

static __always_inline int on_mremap(const struct process *process, const struct pt_regs *regs, long result)
{
	struct event_memory what = {};
	struct call call;

	call_read(&call, regs);
	if (is_error(result))
		return mremap_frees(&call, &what) ? memory_submit(process, EVENT_MREMAP_FAILED, &what) : 0;
	what.start = result;
	what.length = call.arg[2];
	what.old_start = call.arg[0];
	what.old_length = call.arg[1];
	what.header.flags = call.arg[3];
	return memory_submit(process, EVENT_MREMAP, &what);
}

#endif
