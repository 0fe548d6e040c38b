/* SPDX-License-Identifier: GPL-2.0-only */
/* Walks one thread's frames from the innermost outwards until a function of the program is met. It must not know
 * executors, nor trust a chain of frames to end. */
#include "cpython_stack.h"

#include <errno.h>

#define DEPTH_MAX 256U
/* Frames lie one above the other, their callers below them, in chunks of 16 KiB (Python/pystate.c): so much of the
 * stack is had by one call. */
#define STACK_BYTES 4096U

int stack_function(struct py_thread *thread, const struct cpython_image *image, struct code_table *codes,
		   const struct code_info **ret_code)
{
	const struct code_info *best = NULL;
	struct frame frame;
	uint64_t at;
	int r = py_thread_innermost(thread, image, &at);

	if (r == 0 && at > STACK_BYTES && !image->offsets.frame_is_object)
		memory_view_want(image->view, at - STACK_BYTES, STACK_BYTES + 1);
	for (unsigned int depth = 0; r == 0 && at && depth < DEPTH_MAX; depth++) {
		r = frame_read(image, codes, at, &frame);
		if (r < 0)
			return r;
		at = frame.previous;
		if (!frame.code || (best && frame.code->layer >= best->layer))
			continue;
		best = frame.code;
		if (best->layer == LAYER_PROGRAM)
			break;
	}
	if (r < 0)
		return r;
	if (!best)
		return -ENOENT;
	if (best->layer == LAYER_RUNTIME)
		return -ENODATA;
	*ret_code = best;
	return 0;
}
