/* SPDX-License-Identifier: GPL-2.0-only */
/* Which instance a worker is put to: by the object that is the instance's, and by the workers that it goes on with. Of no
 * memory at all: only what the threads say. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "source/cpython_executor.h"

#define QUEUE 0x10000U

static void unreadable(void *context, const uint64_t *addresses, size_t count, unsigned char *bytes, bool *ret_read)
{
	memset(ret_read, 0, count * sizeof(*ret_read));
}

struct scene {
	struct memory_view *view;
	struct code_table *codes;
	struct cpython_image image;
	struct executors executors;
	struct py_thread thread[4], *list[4];
	struct py_threads threads;
};

static void scene_new(struct scene *s, enum root_kind kind, size_t count)
{
	const struct memory_source source = {.read = unreadable};

	memset(s, 0, sizeof(*s));
	assert_int_equal(memory_view_new(&source, &s->view), 0);
	assert_int_equal(code_table_new(&s->codes), 0);
	s->image.view = s->view;
	for (size_t i = 0; i < count; i++) {
		s->thread[i] = (struct py_thread){.unique = i + 1, .executor = EXECUTOR_NONE, .is_read = true,
						  .is_in_loop = true, .root = {.kind = kind, .queue = QUEUE}};
		s->list[i] = &s->thread[i];
	}
	s->threads = (struct py_threads){.thread = s->list, .count = count};
}

static void scene_end(struct scene *s)
{
	executors_clear(&s->executors);
	code_table_free(s->codes);
	memory_view_free(s->view);
}

/* Another thread in the place of one that has ended. */
static void replace(struct scene *s, size_t i)
{
	s->thread[i].unique += 100;
	s->thread[i].executor = EXECUTOR_NONE;
}

static void pass(struct scene *s)
{
	s->threads.now_ns += 2 * NSEC_PER_SEC;
	memory_view_begin(s->view);
	executors_update(&s->executors, &s->threads, &s->image, s->codes);
}

static const struct fact_executor *executor_of(const struct scene *s, size_t i)
{
	assert_true(s->thread[i].executor != EXECUTOR_NONE);
	return &s->executors.executor[s->thread[i].executor].fact;
}

/* Its object is where another's was: not one worker of that is left. */
static void with_all_workers_new_it_is_another(void **state)
{
	static const enum root_kind kinds[] = {ROOT_FUTURES, ROOT_ANYIO, ROOT_PROCESSES};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct scene s;

		scene_new(&s, kinds[i], 2);
		pass(&s);
		assert_int_equal(executor_of(&s, 0)->id, 1);
		assert_int_equal(executor_of(&s, 1)->id, 1);
		replace(&s, 0);
		pass(&s);
		assert_int_equal(executor_of(&s, 0)->id, 1);
		assert_int_equal(executor_of(&s, 0)->workers, 2);
		replace(&s, 0);
		replace(&s, 1);
		pass(&s);
		assert_int_equal(executor_of(&s, 0)->id, 2);
		assert_int_equal(executor_of(&s, 1)->id, 2);
		assert_int_equal(executor_of(&s, 0)->workers, 2);
		/* Where the old one is no more when it comes, it is the first of its name as that was. */
		assert_int_equal(executor_of(&s, 0)->instance, 1);
		/* The old one is told to be gone, once. */
		assert_int_equal(s.executors.count, 2);
		assert_true(s.executors.executor[0].in_use && s.executors.executor[0].fact.gone);
		pass(&s);
		assert_false(s.executors.executor[0].in_use);
		assert_int_equal(executor_of(&s, 0)->id, 2);
		scene_end(&s);
	}
}

static void a_pool_may_replace_all_its_workers(void **state)
{
	struct scene s;

	scene_new(&s, ROOT_POOL, 2);
	pass(&s);
	replace(&s, 0);
	replace(&s, 1);
	pass(&s);
	assert_int_equal(executor_of(&s, 0)->id, 1);
	assert_int_equal(executor_of(&s, 1)->id, 1);
	scene_end(&s);
}

/* It may be anyone's worker. */
static void one_that_is_not_told_leaves_busy_unknown(void **state)
{
	struct scene s;

	scene_new(&s, ROOT_FUTURES, 3);
	pass(&s);
	assert_int_equal(executor_of(&s, 0)->busy, 0);
	assert_int_equal(executor_of(&s, 0)->idle, 3);
	s.thread[2].root.kind = ROOT_UNKNOWN;
	s.thread[2].may_be_any = true;
	pass(&s);
	assert_int_equal(executor_of(&s, 0)->workers, 2);
	assert_int_equal(executor_of(&s, 0)->busy, UNKNOWN_U64);
	assert_int_equal(executor_of(&s, 0)->idle, UNKNOWN_U64);
	scene_end(&s);
}

/* Neither they nor it are the other's: who has the oldest thread has the name. */
static void plain_threads_of_its_name_are_not_its_own(void **state)
{
	for (uint32_t oldest = 0; oldest < 2; oldest++) {
		struct scene s;

		scene_new(&s, ROOT_ANYIO, 4);
		for (size_t i = oldest; i < 4; i += 2) {
			s.thread[i].root = (struct root){.kind = ROOT_PLAIN};
			snprintf(s.thread[i].root.name, sizeof(s.thread[i].root.name), "anyio-worker-%zu", i);
		}
		pass(&s);
		for (size_t i = 0; i < 4; i++) {
			assert_int_equal(executor_of(&s, i)->kind, i % 2 == oldest ? EXECUTOR_THREAD : EXECUTOR_ANYIO);
			assert_int_equal(executor_of(&s, i)->instance, 1 + i % 2);
		}
		scene_end(&s);
	}
}

static void functions_of_two_files_are_two(void **state)
{
	struct scene s;

	scene_new(&s, ROOT_PLAIN, 4);
	for (size_t i = 0; i < 4; i++)
		s.thread[i].root = (struct root){.kind = ROOT_PLAIN, .function = "run", .file = "tasks.py", .path = i % 2 ? 7 : 8};
	for (int again = 0; again < 2; again++) {
		pass(&s);
		for (size_t i = 0; i < 4; i++) {
			assert_int_equal(executor_of(&s, i)->id, 1 + i % 2);
			assert_int_equal(executor_of(&s, i)->instance, 1 + i % 2);
			assert_int_equal(executor_of(&s, i)->workers, 2);
		}
	}
	scene_end(&s);
}

/* Nothing proves that the worker waits. */
static void what_cannot_be_read_is_not_idle(void **state)
{
	struct scene s;

	scene_new(&s, ROOT_POOL, 2);
	s.thread[0].root.task_local = 0x20000;
	s.thread[1].root.task_local = UINT64_MAX; /* its function has no local of that name */
	pass(&s);
	assert_int_equal(s.thread[0].activity, WORKER_UNKNOWN);
	assert_int_equal(s.thread[1].activity, WORKER_UNKNOWN);
	assert_int_equal(executor_of(&s, 0)->busy, UNKNOWN_U64);
	s.thread[0].root.task_local = s.thread[1].root.task_local = 0;
	s.thread[0].root.has_initializer = true;
	pass(&s);
	assert_int_equal(s.thread[0].activity, WORKER_UNKNOWN);
	assert_int_equal(s.thread[1].activity, WORKER_IDLE);
	scene_end(&s);
}

/* Its own function is out of reach, since it is on another stack: in a task, if nothing but a task leaves the stack; as of
 * the pass that found it there. */
static void on_another_stack_it_is_in_a_task(void **state)
{
	struct code_info code = {.role = CODE_PLAIN};
	struct scene s;

	scene_new(&s, ROOT_FUTURES, 2);
	s.thread[1].is_in_loop = false;
	s.thread[1].frame = (struct frame){.address = 0x30000, .code = &code};
	s.threads.pass = s.thread[1].root_pass = 1;
	pass(&s);
	assert_int_equal(s.thread[1].activity, WORKER_BUSY);
	assert_int_equal(executor_of(&s, 1)->busy, 1);
	s.executors.executor[0].has_other_queue = true;
	pass(&s);
	assert_int_equal(s.thread[1].activity, WORKER_UNKNOWN);
	assert_int_equal(executor_of(&s, 1)->busy, UNKNOWN_U64);
	s.executors.executor[0].has_other_queue = false;
	s.threads.pass++;
	pass(&s);
	assert_int_equal(s.thread[1].activity, WORKER_UNKNOWN);
	scene_end(&s);
}

/* Known before it went there: anyio's waits nowhere but on its own stack. */
static void a_stack_that_ends_elsewhere_is_a_tasks(void **state)
{
	struct code_info code = {.role = CODE_PLAIN};
	struct scene s;

	scene_new(&s, ROOT_ANYIO, 1);
	s.thread[0].is_in_loop = false;
	s.thread[0].root.worker_frame = 0x40000;
	s.thread[0].frame = (struct frame){.address = 0x30000, .code = &code};
	pass(&s);
	assert_int_equal(s.thread[0].activity, WORKER_BUSY);
	s.thread[0].frame.previous = 0x50000; /* which cannot be read */
	pass(&s);
	assert_int_equal(s.thread[0].activity, WORKER_UNKNOWN);
	scene_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_all_workers_new_it_is_another),
		cmocka_unit_test(a_pool_may_replace_all_its_workers),
		cmocka_unit_test(one_that_is_not_told_leaves_busy_unknown),
		cmocka_unit_test(plain_threads_of_its_name_are_not_its_own),
		cmocka_unit_test(functions_of_two_files_are_two),
		cmocka_unit_test(what_cannot_be_read_is_not_idle),
		cmocka_unit_test(on_another_stack_it_is_in_a_task),
		cmocka_unit_test(a_stack_that_ends_elsewhere_is_a_tasks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
