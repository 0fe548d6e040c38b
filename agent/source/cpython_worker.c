/* SPDX-License-Identifier: GPL-2.0-only */
/* Whose worker a thread is, by the function that takes tasks. It must not know how that function was found, nor what an
 * executor holds. */
#include "cpython_worker.h"

#include <errno.h>

static int local_named(const struct cpython_image *image, const struct worker_call *call, const char *name,
		       uint64_t *ret_value)
{
	uint32_t index;
	int r = code_local(image, call->code, name, &index);

	if (r < 0)
		return r;
	return call->frame ? frame_local(image, call->frame, index, ret_value)
			   : object_tuple_item(image, call->arguments, index, ret_value);
}

struct worker_kind {
	enum code_role role;
	enum root_kind root;
	const char *queue, *reference; /* names of its locals */
	const char *task, *begun;
};

static const struct worker_kind worker_kinds[] = {
	/* It has a task executed by a function of Python's (_WorkItem.run), whatever the task itself is. */
	{CODE_FUTURES_WORKER, ROOT_FUTURES, "work_queue", "executor_reference", NULL, NULL},
	{CODE_POOL_WORKER, ROOT_POOL, "inqueue", NULL, "task", "completed"},
	{CODE_POOL_KEEPER, ROOT_POOL_KEEPER, "inqueue", "processes", NULL, NULL},
	{CODE_POOL_HELPER, ROOT_POOL_HELPER, NULL, NULL, NULL, NULL},
	{CODE_PROCESSES_MANAGER, ROOT_PROCESSES, "pending_work_items", "executor_reference", NULL, NULL},
};

/* Where a local of the frame stands; nowhere that can be read, if its function calls none so: then it is not known. */
static int local_address(const struct cpython_image *image, const struct worker_call *call, const char *name,
			 uint64_t *ret_address)
{
	uint32_t index;
	int r = code_local(image, call->code, name, &index);

	if (r == 0)
		*ret_address = call->frame + image->offsets.frame_locals + index * 8ULL;
	if (r == -ENOENT)
		*ret_address = UINT64_MAX;
	return r == -ENOENT ? 0 : r;
}

/* What its own function's locals will tell of a worker whose innermost frame is that function's. */
static int tell_locals(const struct cpython_image *image, const struct worker_call *call, const char *task,
		       const char *begun, struct root *root)
{
	uint64_t initializer;
	int r;

	if (!call->frame)
		return 0;
	r = task ? local_address(image, call, task, &root->task_local) : 0;
	if (r == 0 && begun)
		r = local_address(image, call, begun, &root->begun_local);
	if (r < 0)
		return r;
	r = local_named(image, call, "initializer", &initializer);
	root->has_initializer = r == 0 && initializer && initializer != image->types.none;
	return r == -ENOENT ? 0 : r; /* anyio's has none, nor has a ThreadPoolExecutor's from 3.14 on */
}

/* anyio's worker is a Thread whose run() takes the tasks; all of one loop share the set `workers`. */
static int tell_anyio(const struct cpython_image *image, const struct worker_call *call, struct root *root)
{
	char type[32];
	int r = object_type_name(image, root->object, type, sizeof(type));

	/* The loop is run by a function of that name in the same file. */
	if (r == 0 && strcmp(type, "WorkerThread") != 0)
		return -ENOENT;
	if (r == 0)
		r = object_attribute(image, root->object, "workers", &root->queue);
	if (r == 0)
		r = object_attribute(image, root->object, "queue", &root->own_queue);
	if (r == 0)
		r = tell_locals(image, call, "item", NULL, root);
	if (r < 0)
		return r;
	root->reference = root->object;
	root->worker_frame = call->frame;
	root->kind = ROOT_ANYIO;
	return 0;
}

static int keeper_before_3_8(const struct cpython_image *image, const struct worker_call *call,
			     uint64_t *ret_queue, uint64_t *ret_processes)
{
	uint64_t pool;
	int r = local_named(image, call, "pool", &pool);

	if (r == 0)
		r = object_attribute(image, pool, "_inqueue", ret_queue);
	return r ? r : object_attribute(image, pool, "_processes", ret_processes);
}

static int manager_attributes(const struct cpython_image *image, uint64_t thread, const struct worker_kind *kind,
			      uint64_t *ret_queue, uint64_t *ret_reference)
{
	int r = object_attribute(image, thread, kind->queue, ret_queue);

	return r ? r : object_attribute(image, thread, kind->reference, ret_reference);
}

static int tell_worker(const struct cpython_image *image, const struct worker_call *call,
		       const struct worker_kind *kind, struct root *root)
{
	uint64_t queue = 0, reference = 0;
	int r = kind->queue ? local_named(image, call, kind->queue, &queue) : 0;

	if (r == 0 && kind->reference)
		r = local_named(image, call, kind->reference, &reference);
	if (r == -ENOENT && kind->root == ROOT_POOL_KEEPER) /* 3.7 has them in the pool alone */
		r = keeper_before_3_8(image, call, &queue, &reference);
	if (r == -ENOENT && kind->root == ROOT_PROCESSES) /* from 3.9 on the Thread has them */
		r = manager_attributes(image, root->object, kind, &queue, &reference);
	if (r == 0 && kind->queue && !queue)
		r = -EINVAL;
	if (r == 0)
		r = tell_locals(image, call, kind->task, kind->begun, root);
	if (r < 0)
		return r;
	root->queue = queue;
	root->reference = reference;
	root->own_queue = queue;
	/* Only who takes tasks may be idle in it. */
	root->worker_frame = kind->root == ROOT_FUTURES || kind->root == ROOT_POOL ? call->frame : 0;
	root->kind = kind->root;
	return 0;
}

int worker_tell(const struct cpython_image *image, const struct worker_call *call, struct root *root)
{
	if (call->code->role == CODE_ANYIO_WORKER)
		return tell_anyio(image, call, root);
	for (size_t i = 0; i < ARRAY_SIZE(worker_kinds); i++) {
		if (call->code->role == worker_kinds[i].role)
			return tell_worker(image, call, &worker_kinds[i], root);
	}
	return -ENOENT;
}

/* ---- by the Thread object ------------------------------------------------------------------------ */

static int function_code(const struct cpython_image *image, struct code_table *codes, uint64_t function,
			 struct code_info **ret_code)
{
	uint64_t at;
	int r = object_is(image, function, image->types.function)
			? object_pointer(image, function + image->offsets.function_code, &at)
			: -ENOENT;

	if (r < 0)
		return r;
	*ret_code = code_table_get(codes, image, at);
	return *ret_code ? 0 : -EINVAL;
}

int worker_call_given(const struct cpython_image *image, struct code_table *codes, uint64_t object,
		      struct worker_call *ret_call)
{
	struct worker_call call = {.frame = 0};
	uint64_t function;
	int r = object_attribute(image, object, "_target", &function);

	if (r == 0 && function != image->types.none)
		r = object_attribute(image, object, "_args", &call.arguments);
	else if (r == 0 || r == -ENOENT)
		r = object_class_attribute(image, object, "run", &function);
	if (r == 0)
		r = function_code(image, codes, function, &call.code);
	if (r == 0)
		*ret_call = call;
	return r;
}
