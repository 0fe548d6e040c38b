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

/* How many frames the thread stands in. *is_python: its state is known. */
static __always_inline __u32 python_codes(const struct process *process, __u32 tid, __u64 start_ns, __u64 *codes,
					  __u32 *is_python)
{
	const struct python_thread *thread = bpf_map_lookup_elem(&python_threads, &tid);
	const struct wish *wish = wish_of(process);
	__u32 count = 0;
	__u64 frame;

	*is_python = 0;
	if (!thread || !wish || !wish->python.is_known || start_ns - thread->start_ns + TICK_NS > 2 * TICK_NS)
		return 0;
	*is_python = 1;
	frame = user_word(thread->address + wish->python.thread_frame);
	if (wish->python.has_cframe)
		frame = frame ? user_word(frame + wish->python.cframe_frame) : 0;
	for (; frame && count < EVENT_CODES; count++) {
		__u8 owner = 0;

		if (wish->python.frame_owner)
			bpf_probe_read_user(&owner, sizeof(owner), (void *)(frame + wish->python.frame_owner));
		codes[count] = owner < PYTHON_OWNER_C_STACK ? user_word(frame + wish->python.frame_code) : 0;
		frame = user_word(frame + wish->python.frame_previous);
	}
	return count;
}

#endif
