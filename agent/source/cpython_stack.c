/* SPDX-License-Identifier: GPL-2.0-only */
/* Walks one thread's frames from the innermost outwards until a function of the program is met. It must not know
 * executors, nor trust a chain of frames to end. */
#include "cpython_stack.h"

#include <errno.h>

#define DEPTH_MAX 256U
/* Frames lie one above the other, their callers below them, in chunks of 16 KiB (Python/pystate.c): so much of the
 * stack is had by one call. */
#define STACK_BYTES 4096U

/* Installed packages in one stack that are told apart; of those beyond it the innermost function is not known. */
#define PACKAGES_MAX 8U

struct choice {
	const struct code_info *best;
	/* The innermost function of each package; the one whose package stands outermost. */
	const struct code_info *innermost[PACKAGES_MAX], *package;
	size_t n_packages;
};

/* A program that is installed beside what it uses is the one that called all others. */
static void consider_package(struct choice *choice, const struct code_info *code)
{
	size_t i = 0;

	while (i < choice->n_packages && choice->innermost[i]->package != code->package)
		i++;
	if (i == choice->n_packages && i < PACKAGES_MAX)
		choice->innermost[choice->n_packages++] = code;
	choice->package = i < choice->n_packages ? choice->innermost[i] : code;
}

/* The innermost of the layer that is nearest to the program. True: there is no better. */
static bool consider(struct choice *choice, const struct code_info *code)
{
	if (code->package)
		consider_package(choice, code);
	if (!choice->best || code->layer < choice->best->layer)
		choice->best = code;
	return choice->best->layer == LAYER_PROGRAM;
}

static int result(const struct choice *choice, const struct code_info **ret_code)
{
	if (!choice->best)
		return -ENOENT;
	if (choice->best->layer == LAYER_RUNTIME)
		return -ENODATA;
	*ret_code = choice->best->layer == LAYER_PACKAGE && choice->package ? choice->package : choice->best;
	return 0;
}

int codes_function(const uint64_t *codes, size_t count, const struct cpython_image *image, struct code_table *table,
		   const struct code_info **ret_code)
{
	struct choice choice = {.n_packages = 0};

	for (size_t i = 0; i < count; i++) {
		/* 3.14 marks in the lowest bits whether a reference is counted. */
		const struct code_info *code = codes[i] ? code_table_get(table, image, codes[i] & ~7ULL) : NULL;

		if (codes[i] && !code)
			return -EFAULT;
		if (code && consider(&choice, code))
			break;
	}
	return result(&choice, ret_code);
}

int stack_function(struct py_thread *thread, const struct cpython_image *image, struct code_table *codes,
		   const struct code_info **ret_code)
{
	struct choice choice = {.n_packages = 0};
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
		if (frame.code && consider(&choice, frame.code))
			break;
	}
	return r < 0 ? r : result(&choice, ret_code);
}
