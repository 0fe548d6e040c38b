/* SPDX-License-Identifier: GPL-2.0-only */
/* The figures of executors out of their own objects: bound, queue, name. It must not know threads beyond what
 * leads to those objects. */
#include <errno.h>
#include <stdio.h>

#include "cpython_executor.h"

#define DEFAULT_PREFIX "ThreadPoolExecutor-"
#define ENDS_MAX 32768U /* as many threads as are read */

/* ---- queues ------------------------------------------------------------------------------------- */

/* _queue.SimpleQueue stands in no header: a list and where it begins to 3.12, a ring from 3.13 on. */
enum { SIMPLE_LIST = 32, SIMPLE_FIRST = 40, RING_PUT = 24, RING_ITEMS = 40, RING_ROOM = 48, RING_COUNT = 56 };

struct items { /* of a queue: those before `end`, round from 0 to room */
	uint64_t array, end, room, length;
};

static int ring_queue(const struct cpython_image *image, uint64_t queue, struct items *ret_items)
{
	int r = object_pointer(image, queue + RING_COUNT, &ret_items->length);

	if (r == 0)
		r = object_pointer(image, queue + RING_PUT, &ret_items->end);
	if (r == 0)
		r = object_pointer(image, queue + RING_ITEMS, &ret_items->array);
	if (r == 0)
		r = object_pointer(image, queue + RING_ROOM, &ret_items->room);
	if (r < 0)
		return r;
	return ret_items->length > ret_items->room || ret_items->end > ret_items->room || !ret_items->room
		       ? -EINVAL
		       : 0;
}

static int list_queue(const struct cpython_image *image, uint64_t queue, struct items *ret_items)
{
	uint64_t list, first, length;
	int r = object_pointer(image, queue + SIMPLE_LIST, &list);

	if (r == 0)
		r = object_pointer(image, queue + SIMPLE_FIRST, &first);
	if (r == 0)
		r = object_is(image, list, image->types.list) ? object_length(image, list, &length) : -EINVAL;
	if (r == 0)
		r = object_pointer(image, list + image->offsets.list_items, &ret_items->array);
	if (r < 0)
		return r;
	if (first > length)
		return -EINVAL;
	ret_items->end = ret_items->room = length;
	ret_items->length = length - first;
	return 0;
}

/* How many None's stand at the end. -EINVAL: more than any number of workers would explain. */
static int count_ends(const struct cpython_image *image, const struct items *items, uint64_t *ret_count)
{
	for (uint64_t count = 0; count <= ENDS_MAX; count++) {
		uint64_t item = 0, place = (items->end + items->room - 1 - count) % (items->room ? items->room : 1);
		int r = count < items->length ? object_pointer(image, items->array + place * 8, &item) : 0;

		if (r < 0)
			return r;
		/* 3.14 on marks in the lowest bits whether a reference is counted. */
		if (!item || (item & ~7ULL) != image->types.none) {
			*ret_count = count;
			return 0;
		}
	}
	return -EINVAL;
}

/* queue.Queue and its subtypes: their attribute `queue` holds the items. */
static int other_queue(const struct cpython_image *image, uint64_t queue, uint64_t *ret_length)
{
	uint64_t items;
	char type[32];
	int r = object_attribute(image, queue, "queue", &items);

	if (r == 0)
		r = object_type_name(image, items, type, sizeof(type));
	if (r < 0)
		return r;
	return strcmp(type, "collections.deque") && strcmp(type, "list")
		       ? -EINVAL
		       : object_length(image, items, ret_length);
}

/* Tasks that wait. A None at the end stands for "no more": of a ThreadPoolExecutor's, one for each worker when it was
 * collected. In a ThreadPool's that is being ended they may stand between tasks too, where they are not looked for: with
 * one at the end its count is not known. */
static uint64_t queue_length(const struct cpython_image *image, struct executor *executor)
{
	struct items items = {0};
	uint64_t ends = 0;
	char type[32];
	int r = object_type_name(image, executor->identity, type, sizeof(type));

	if (r < 0)
		return UNKNOWN_U64;
	executor->has_other_queue = strcmp(type, "_queue.SimpleQueue") != 0;
	if (executor->has_other_queue)
		r = other_queue(image, executor->identity, &items.length);
	else
		r = image->offsets.minor >= 13 ? ring_queue(image, executor->identity, &items)
					       : list_queue(image, executor->identity, &items);
	if (r == 0 && !executor->has_other_queue)
		r = count_ends(image, &items, &ends);
	if (r < 0 || (ends && executor->fact.kind != EXECUTOR_FUTURES))
		return UNKNOWN_U64;
	return items.length - ends;
}

static uint64_t count_attribute(const struct cpython_image *image, uint64_t object, const char *name)
{
	uint64_t value;
	int64_t number;

	if (object_attribute(image, object, name, &value) < 0 || object_integer(image, value, &number) < 0 ||
	    number < 0)
		return UNKNOWN_U64;
	return (uint64_t)number;
}

/* ---- the kinds ---------------------------------------------------------------------------------- */

/* By the weak reference that each worker holds; the object's own queue proves that it is the workers'. */
static void read_futures(const struct cpython_image *image, struct executor *executor)
{
	uint64_t object, queue, prefix;
	char name[56];

	if (object_referent(image, executor->reference, &object) < 0 || object == image->types.none ||
	    object_attribute(image, object, "_work_queue", &queue) < 0 || queue != executor->identity)
		return;
	executor->fact.capacity = count_attribute(image, object, "_max_workers");
	if (executor->is_named || object_attribute(image, object, "_thread_name_prefix", &prefix) < 0 ||
	    object_text(image, prefix, name, sizeof(name)) < 0)
		return;
	executor->object = object;
	executor->is_named = true;
	snprintf(executor->fact.name, sizeof(executor->fact.name), "%s_0",
		 *name ? name : "ThreadPoolExecutor");
}

/* By the weak reference of the thread that manages it; the dict of tasks that are not done proves it. */
static void read_processes(const struct cpython_image *image, struct executor *executor)
{
	uint64_t object, pending, children;

	if (object_referent(image, executor->reference, &object) < 0 || object == image->types.none ||
	    object_attribute(image, object, "_pending_work_items", &pending) < 0 || pending != executor->identity)
		return;
	executor->fact.capacity = count_attribute(image, object, "_max_workers");
	if (object_dict_length(image, pending, &executor->fact.queued) < 0)
		executor->fact.queued = UNKNOWN_U64;
	/* None once it is shut down. */
	if (object_attribute(image, object, "_processes", &children) < 0 ||
	    object_dict_length(image, children, &executor->fact.processes) < 0)
		executor->fact.processes = UNKNOWN_U64;
}

bool executor_has_default_name(const struct executor *executor)
{
	return !strncmp(executor->fact.name, DEFAULT_PREFIX, strlen(DEFAULT_PREFIX));
}

static bool is_loop_reference(const struct cpython_image *image, uint64_t key, const void *context)
{
	uint64_t loop;

	return object_referent(image, key, &loop) == 0 && loop == *(const uint64_t *)context;
}

struct variable { /* anyio 3 keys by name, anyio 4 by the variable itself */
	uint64_t object;
	const char *name;
};

static bool is_variable(const struct cpython_image *image, uint64_t key, const void *context)
{
	const struct variable *variable = context;

	return key == variable->object || object_text_is(image, key, variable->name);
}

/* From the globals of WorkerThread.run by the class RunVar to the module that keeps the variables of each
 * loop. */
static int run_variables(const struct cpython_image *image, uint64_t globals, uint64_t *ret_data)
{
	uint64_t class, dict, function, module, variables;
	int r = object_dict_get(image, globals, "RunVar", &class);

	if (r == 0)
		r = object_pointer(image, class + image->offsets.type_dict, &dict);
	if (r == 0)
		r = object_dict_get(image, dict, "get", &function);
	if (r == 0 && !object_is(image, function, image->types.function))
		r = -EINVAL;
	if (r == 0)
		r = object_pointer(image, function + image->offsets.function_globals, &module);
	if (r == 0)
		r = object_dict_get(image, module, "_run_vars", &variables);
	return r ? r : object_attribute(image, variables, "data", ret_data);
}

/* Of WorkerThread.run. Something else may stand in the class by now: the frame knows better. */
static int run_globals(const struct cpython_image *image, uint64_t worker_frame, uint64_t worker, uint64_t *ret_globals)
{
	uint64_t function;
	int r;

	if (worker_frame)
		return object_pointer(image, worker_frame + image->offsets.frame_globals, ret_globals);
	r = object_class_attribute(image, worker, "run", &function);
	if (r == 0 && !object_is(image, function, image->types.function))
		r = -EINVAL;
	return r ? r : object_pointer(image, function + image->offsets.function_globals, ret_globals);
}

int anyio_limiter(const struct cpython_image *image, uint64_t worker_frame, uint64_t worker,
		  uint64_t *ret_limiter)
{
	struct variable variable = {.name = "_default_thread_limiter"};
	uint64_t globals, data, loop, of_loop;
	int r = run_globals(image, worker_frame, worker, &globals);

	if (r == 0)
		r = object_dict_get(image, globals, variable.name, &variable.object);
	if (r == 0)
		r = run_variables(image, globals, &data);
	if (r == 0)
		r = object_attribute(image, worker, "loop", &loop);
	if (r == 0)
		r = object_dict_find(image, data, is_loop_reference, &loop, &of_loop);
	return r ? r : object_dict_find(image, of_loop, is_variable, &variable, ret_limiter);
}

static void read_anyio(const struct cpython_image *image, struct executor *executor)
{
	uint64_t queue, borrowers;
	char type[32];

	if (!executor->limiter || object_type_name(image, executor->limiter, type, sizeof(type)) < 0 ||
	    strcmp(type, "CapacityLimiter") != 0)
		return;
	/* An unbounded limiter's total is a float: no integer, not known. */
	executor->fact.capacity = count_attribute(image, executor->limiter, "_total_tokens");
	if (object_attribute(image, executor->limiter, "_wait_queue", &queue) < 0 ||
	    object_dict_length(image, queue, &executor->fact.queued) < 0)
		executor->fact.queued = UNKNOWN_U64;
	if (object_attribute(image, executor->limiter, "_borrowers", &borrowers) < 0 ||
	    object_set_length(image, borrowers, &executor->fact.borrowed) < 0)
		executor->fact.borrowed = UNKNOWN_U64;
}

void executor_read(const struct cpython_image *image, struct executor *executor)
{
	executor->fact.capacity = executor->fact.queued = executor->fact.processes = executor->fact.borrowed =
		UNKNOWN_U64;
	switch (executor->fact.kind) {
	case EXECUTOR_FUTURES:
		read_futures(image, executor);
		executor->fact.queued = queue_length(image, executor);
		break;
	case EXECUTOR_POOL:
		executor->fact.queued = queue_length(image, executor);
		break;
	case EXECUTOR_PROCESSES:
		read_processes(image, executor);
		break;
	case EXECUTOR_ANYIO:
		read_anyio(image, executor);
		break;
	default:
		break;
	}
}
