/* SPDX-License-Identifier: GPL-2.0-only */
/* Workers whose frames are not those that their threads began with, as in a greenlet: in the image of a living
 * interpreter; with threading's table of its threads, and with one that cannot be trusted. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cpython_image.h"
#include "source/cpython_thread.h"

static struct image image;

static const struct fact_executor *executor(const char *name)
{
	return image_executor(&image, EXECUTOR_FUTURES, name, 1);
}

static void assert_told(struct cpython_walk *walk)
{
	const struct fact_executor *some = executor("some_0"), *all = executor("all_0");
	const struct fact_executor *pool = image_executor(&image, EXECUTOR_POOL, "ThreadPool", 1);
	const struct fact_executor *named = image_executor(&image, EXECUTOR_THREAD, "named-0", 1);
	const struct fact_executor *plain = image_executor(&image, EXECUTOR_THREAD, "apart", 1);

	assert_non_null(some);
	assert_int_equal(some->workers, 3);
	assert_int_equal(some->busy, 2);
	assert_int_equal(some->idle, 1);
	assert_int_equal(some->capacity, 3);
	assert_int_equal(image_workers(&image, some->id, WORKER_BUSY), 2);
	/* It is found though no frame of it is within reach. */
	assert_non_null(all);
	assert_int_equal(all->workers, 2);
	assert_int_equal(all->busy, 2);
	assert_int_equal(all->capacity, 2);
	assert_int_equal(all->queued, 1);
	assert_non_null(pool);
	assert_int_equal(pool->workers, 2);
	assert_int_equal(pool->busy, 1);
	assert_int_equal(pool->idle, 1);
	assert_non_null(named);
	assert_int_equal(named->workers, 1);
	assert_non_null(plain);
	assert_int_equal(plain->workers, 1);
	assert_int_equal(cpython_walk_counts(walk)->unread, 0);
}

static int forget(void **state)
{
	image_free(&image);
	return 0;
}

static uint64_t *word_at(uint64_t address)
{
	struct image_block *block = image_block(&image, address - address % MEMORY_BLOCK);

	assert_non_null(block);
	return (uint64_t *)(void *)(block->bytes + address % MEMORY_BLOCK);
}

static struct cpython_image image_open(void)
{
	const struct memory_source source = {.read = image_read, .context = &image};
	struct cpython_image site = {.offsets = image.offsets, .types = image.site.types};

	assert_int_equal(memory_view_new(&source, &site.view), 0);
	return site;
}

/* The table, by the interpreter's modules; and the n-th Thread in it. */
static uint64_t table(size_t n, uint64_t *ret_object)
{
	struct cpython_image site = image_open();
	struct active_threads active = {.thread = NULL};
	uint64_t interp, object, dict;

	assert_int_equal(object_pointer(&site, image.site.runtime + image.offsets.runtime_interpreters, &interp), 0);
	assert_int_equal(active_find(&active, &site, interp, 1, &object), -ENOENT);
	assert_int_equal(active.n_tables, 1);
	assert_true(n < active.count);
	assert_int_equal(active_find(&active, &site, interp, active.thread[n].pthread, &object), 0);
	assert_int_equal(object, active.thread[n].object);
	/* Of another interpreter, whose modules are not there. */
	assert_true(active_find(&active, &site, interp + 8, active.thread[n].pthread, ret_object) < 0);
	*ret_object = object;
	dict = active.table[0].dict;
	active_clear(&active);
	memory_view_free(site.view);
	return dict;
}

static int record(void **state)
{
	const struct fact_executor *some, *pool;
	struct cpython_walk *walk;
	uint64_t object;

	image_start(&image);
	image_say(&image, "executor some 3 some");
	image_say(&image, "submit some 3");
	image_wait_started(&image, "some", 3);
	image_say(&image, "open some");
	image_say(&image, "apart some 2");
	image_wait_started(&image, "some", 2);
	image_say(&image, "executor all 2 all");
	image_say(&image, "apart all 3");
	image_wait_started(&image, "all", 2);
	image_say(&image, "pool p 2");
	image_say(&image, "apart p 1");
	image_wait_started(&image, "p", 1);
	image_say(&image, "thread_apart t");
	image_wait_started(&image, "t", 1);
	image_say(&image, "thread_apart n named-1");
	image_wait_started(&image, "n", 1);
	image_find(&image);
	/* Nobody tells when a worker that has ended its task is waiting again. */
	walk = image_walk(&image);
	do {
		assert_int_equal(image_pass(&image, walk), 0);
		some = executor("some_0");
		pool = image_executor(&image, EXECUTOR_POOL, "ThreadPool", 1);
	} while (!some || some->idle != 1 || !pool || pool->idle != 1);
	cpython_walk_free(walk);
	walk = image_freeze(&image);
	assert_told(walk);
	cpython_walk_free(walk);
	/* What the walk has not read, since it has met frames of threading.py. */
	table(0, &object);
	image_kill(&image);
	return 0;
}

static void by_the_table(void **state)
{
	struct cpython_walk *walk = image_walk(&image);

	assert_int_equal(image_pass(&image, walk), 0);
	assert_told(walk);
	assert_int_equal(image_pass(&image, walk), 0);
	assert_told(walk);
	cpython_walk_free(walk);
}

/* By whichever name: what leads from the workers that are left to their executor may not have been recorded. */
static void assert_nobody_is_called_busy(void)
{
	size_t count = 0;

	for (size_t i = 0; i < image.n_facts; i++) {
		const struct fact_executor *told = &image.facts[i].executor;

		if (image.facts[i].kind != FACT_EXECUTOR || told->kind != EXECUTOR_FUTURES || told->gone)
			continue;
		count++;
		assert_int_equal(told->busy, UNKNOWN_U64);
		assert_int_equal(told->idle, UNKNOWN_U64);
	}
	assert_true(count);
}

/* Nothing tells whose workers they are: that is told, and busy is nobody's. It is told again when it can be. */
static void untold_by(uint64_t *word, uint64_t value)
{
	struct cpython_walk *walk = image_walk(&image);
	uint64_t before = *word, unread;

	*word = value;
	for (unsigned int i = 0; i < 3; i++) {
		unread = cpython_walk_counts(walk)->unread;
		assert_int_equal(image_pass(&image, walk), 0);
	}
	assert_true(cpython_walk_counts(walk)->unread > unread);
	assert_nobody_is_called_busy();
	*word = before;
	unread = cpython_walk_counts(walk)->unread;
	assert_int_equal(image_pass(&image, walk), 0);
	assert_int_equal(executor("some_0")->busy, 2);
	assert_int_equal(executor("all_0")->busy, 2);
	assert_int_equal(cpython_walk_counts(walk)->unread, unread);
	cpython_walk_free(walk);
}

static void without_the_table(void **state)
{
	uint64_t object;

	untold_by(word_at(table(0, &object) + 8), image.site.types.set);
}

/* Where the table has a worker's Thread there stands another thread's: that does not prove itself to be his. */
static void another_threads_object(void **state)
{
	uint64_t main_thread, worker, keys, *word = NULL;
	uint64_t dict = table(0, &main_thread);

	for (size_t n = 0; !word; n++) {
		struct cpython_image site = image_open();
		char name[64] = "";
		uint64_t text;

		assert_int_equal(table(n, &worker), dict);
		if (object_attribute(&site, worker, "_name", &text) == 0 && object_text(&site, text, name, sizeof(name)) == 0 &&
		    !strncmp(name, "all_", 4)) {
			keys = *word_at(dict + image.offsets.dict_keys);
			for (uint64_t at = keys; !word; at += 8)
				word = *word_at(at) == worker ? word_at(at) : NULL;
		}
		memory_view_free(site.view);
	}
	for (size_t n = 0;; n++) {
		assert_int_equal(table(n, &main_thread), dict);
		if (main_thread != worker)
			break;
	}
	untold_by(word, main_thread);
}

/* Of torn readings anything may come but a crash; and of whole ones, what is true. */
static void torn(void **state)
{
	srand(7);
	for (unsigned int round = 0; round < 150; round++) {
		struct cpython_walk *walk = image_walk(&image);

		image.torn = 20 + round * 4;
		for (unsigned int i = 0; i < 3; i++)
			image_pass(&image, walk);
		image.torn = 0;
		cpython_walk_free(walk);
	}
	by_the_table(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_the_table),
		cmocka_unit_test(without_the_table),
		cmocka_unit_test(another_threads_object),
		cmocka_unit_test(torn),
	};

	return cmocka_run_group_tests(tests, record, forget);
}
