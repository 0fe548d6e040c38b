/* SPDX-License-Identifier: GPL-2.0-only */
/* Walks one thread's frames from the innermost outwards until a function of the program is met. It must not know
 * executors, nor trust a chain of frames to end. */
#include "cpython_stack.h"

#include <errno.h>

#define DEPTH_MAX 256U
/* Frames lie one above the other, their callers below them, in chunks of 16 KiB (Python/pystate.c): so much of the
 * stack is had by one call. */
#define STACK_BYTES 4096U

/* The innermost of the layer that is nearest to the program. True: there is no better. */
static bool consider(const struct code_info *code, const struct code_info **best)
{
	if (!*best || code->layer < (*best)->layer)
		*best = code;
	return (*best)->layer == LAYER_PROGRAM;
}

static int result(const struct code_info *best, const struct code_info **ret_code)
{
	if (!best)
		return -ENOENT;
	if (best->layer == LAYER_RUNTIME)
		return -ENODATA;
	*ret_code = best;
	return 0;
}

int codes_function(const uint64_t *codes, size_t count, const struct cpython_image *image, struct code_table *table,
		   const struct code_info **ret_code)
{
	const struct code_info *best = NULL;

	for (size_t i = 0; i < count; i++) {
		/* 3.14 marks in the lowest bits whether a reference is counted. */
		const struct code_info *code = codes[i] ? code_table_get(table, image, codes[i] & ~7ULL) : NULL;

		if (codes[i] && !code)
			return -EFAULT;
		if (code && consider(code, &best))
			break;
	}
	return result(best, ret_code);
}

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
		if (frame.code && consider(frame.code, &best))
			break;
	}
	return r < 0 ? r : result(best, ret_code);
}
