/* SPDX-License-Identifier: GPL-2.0-only */
/* What a Python process is there for among its like, by the functions that its main thread stands in. It must not know
 * executors, nor who the parent is. */
#include "cpython_role.h"

#include <errno.h>

/* A child first stands where its parent forked it, then imports what it is to run: it is asked again, ever more seldom. */
#define SPACING_FIRST_NS (NSEC_PER_SEC / 2)
#define SPACING_LAST_NS (64 * NSEC_PER_SEC)
#define YOUNG_NS (16 * NSEC_PER_SEC)

/* The innermost function that says anything: what a worker forks has the worker's frames further out. */
static int role_by_frames(const struct py_thread *leader, const struct cpython_image *image, struct code_table *codes,
			  enum process_role *ret_role)
{
	enum process_role role = PROCESS_ROLE_NONE;
	struct py_thread thread = *leader;
	uint64_t at;
	int r;

	memory_view_begin(image->view);
	if (!py_thread_is_same(leader, image))
		return -EINVAL;
	r = py_thread_innermost(&thread, image, &at);
	for (uint32_t level = 0; r == 0 && at; level++) {
		struct frame frame;
		enum process_role said;

		frame_want_callers(image, at);
		r = level < FRAMES_MAX ? frame_read(image, codes, at, &frame) : -EINVAL;
		if (r < 0)
			return r;
		at = frame.previous;
		said = frame.code ? frame.code->process_role : PROCESS_ROLE_NONE;
		/* A ThreadPool's workers run the same function, but in no child of multiprocessing's. */
		if (role == PROCESS_POOL_WORKER && said == PROCESS_MULTIPROCESSING) {
			*ret_role = role;
			return 0;
		}
		role = role == PROCESS_ROLE_NONE ? said : role;
		if (role != PROCESS_ROLE_NONE && role != PROCESS_POOL_WORKER) {
			*ret_role = role;
			return 0;
		}
	}
	if (r == 0)
		*ret_role = PROCESS_ROLE_NONE;
	return r;
}

void process_role_tell(struct process_role_state *state, const struct py_thread *leader,
		       const struct cpython_image *image, struct code_table *codes, uint64_t now_ns)
{
	enum process_role first, second;

	if (!leader || !leader->frame.address)
		return;
	if (state->unique != leader->unique)
		*state = (struct process_role_state){.unique = leader->unique, .spacing_ns = SPACING_FIRST_NS};
	if (now_ns < state->next_ns)
		return;
	state->next_ns = now_ns + state->spacing_ns;
	if (state->spacing_ns < SPACING_LAST_NS)
		state->spacing_ns *= 2;
	if (role_by_frames(leader, image, codes, &first) < 0 || role_by_frames(leader, image, codes, &second) < 0 ||
	    first != second)
		return;
	/* At first it may stand where its parent forked it; who has been something for long only ends. */
	if (first != PROCESS_ROLE_NONE || state->spacing_ns <= YOUNG_NS)
		state->role = first;
}
