/* SPDX-License-Identifier: GPL-2.0-only */
/* What a Python process is there for among its like, by the functions that its main thread stands in. It must not know
 * executors, nor who the parent is. */
#include "cpython_role.h"

#include <errno.h>

#define LEVELS_MAX 512U
/* A child first imports what it is to run: it is asked again, ever more seldom. */
#define SPACING_FIRST_NS (NSEC_PER_SEC / 2)
#define SPACING_LAST_NS (64 * NSEC_PER_SEC)

/* The innermost function that says anything: what a worker forks has the worker's frames further out. */
static int role_by_frames(const struct py_thread *leader, const struct cpython_image *image, struct code_table *codes,
			  enum process_role *ret_role)
{
	enum process_role role = PROCESS_ROLE_NONE;
	struct py_thread thread = *leader;
	bool is_child = false;
	uint64_t at;
	int r;

	memory_view_begin(image->view);
	if (!py_thread_is_same(leader, image))
		return -EINVAL;
	r = py_thread_innermost(&thread, image, &at);
	for (uint32_t level = 0; r == 0 && at; level++) {
		struct frame frame;

		r = level < LEVELS_MAX ? frame_read(image, codes, at, &frame) : -EINVAL;
		if (r < 0)
			break;
		if (frame.code && role == PROCESS_ROLE_NONE)
			role = frame.code->process_role;
		is_child |= frame.code && frame.code->process_role == PROCESS_MULTIPROCESSING;
		at = frame.previous;
	}
	if (r < 0)
		return r;
	/* A ThreadPool's workers run the same function. */
	*ret_role = role == PROCESS_POOL_WORKER && !is_child ? PROCESS_ROLE_NONE : role;
	return 0;
}

/* More may come: what imports its program, or is about to call into it. */
static bool is_final(enum process_role role)
{
	return role != PROCESS_ROLE_NONE && role != PROCESS_MULTIPROCESSING;
}

void process_role_tell(struct process_role_state *state, const struct py_thread *leader,
		       const struct cpython_image *image, struct code_table *codes, uint64_t now_ns)
{
	enum process_role first, second;

	if (!leader || !leader->frame.address)
		return;
	if (state->unique != leader->unique)
		*state = (struct process_role_state){.unique = leader->unique, .spacing_ns = SPACING_FIRST_NS};
	if (is_final(state->role) || now_ns < state->next_ns)
		return;
	/* What was torn is asked again in the next pass. */
	if (role_by_frames(leader, image, codes, &first) < 0 || role_by_frames(leader, image, codes, &second) < 0 ||
	    first != second)
		return;
	if (first != PROCESS_ROLE_NONE)
		state->role = first;
	state->next_ns = now_ns + state->spacing_ns;
	if (state->spacing_ns < SPACING_LAST_NS)
		state->spacing_ns *= 2;
}
