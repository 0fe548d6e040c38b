/* SPDX-License-Identifier: GPL-2.0-only */
/* What functions of Python a thread stands in, as its interpreter's frames have it at a call that the thread makes: it
 * changes none of them meanwhile. It must not know what a code object looks like. */
#ifndef POOLSCOPE_BPF_PYTHON_H
#define POOLSCOPE_BPF_PYTHON_H

#include "filter.h"

/* How far apart a start is that procfs told (sysconf(_SC_CLK_TCK) is 100). */
#define TICK_NS 10000000ULL

static __always_inline __u64 user_word(__u64 address)
{
	__u64 word = 0;

	bpf_probe_read_user(&word, sizeof(word), (void *)address);
	return word;
}

/* Into the event: whether the thread's state is known, how many frames it stands in, and their code objects. */
static __always_inline void python_take(const struct process *process, __u32 tid, __u64 start_ns, struct event_stack *event)
{
	const struct python_thread *thread = bpf_map_lookup_elem(&python_threads, &tid);
	const struct wish *wish = wish_of(process);
	struct python_layout at;
	__u32 count = 0;
	__u64 frame;
	__s64 has_owner;

	event->is_python = 0;
	event->n_codes = 0;
	if (!thread || !wish || !wish->python.is_known || start_ns - thread->start_ns + TICK_NS > 2 * TICK_NS)
		return;
	event->is_python = 1;
	at = wish->python;
	has_owner = at.frame_owner ? 0xff : 0;
	frame = user_word(thread->address + at.thread_frame);
	if (at.has_cframe)
		frame = frame ? user_word(frame + at.cframe_frame) : 0;
	/* Without a branch: the verifier goes through each turn by every way that there is. */
	for (; frame && count < EVENT_CODES; count++) {
		__s64 owner = 0, has_code;

		bpf_probe_read_user(&owner, 1, (void *)(frame + at.frame_owner));
		has_code = ((owner & has_owner) - PYTHON_OWNER_C_STACK) >> 63; /* all ones, or none */
		barrier_var(has_code);
		event->codes[count] = user_word(frame + at.frame_code) & has_code;
		frame = user_word(frame + at.frame_previous);
	}
	event->n_codes = count;
}

#endif
