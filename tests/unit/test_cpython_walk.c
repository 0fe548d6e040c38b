/* SPDX-License-Identifier: GPL-2.0-only */
/* The walk over CPython: first a living interpreter, whose memory is recorded on the way; then that image changed in
 * all the ways that a hostile or torn reading could show it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <time.h>

#include "cpython_image.h"

static struct image image;

static void assert_facts_are_right(void)
{
	static const char *const given[] = {"time.sleep", "_thread.lock.acquire", "Event.wait"};
	const struct fact_executor *first = image_executor(&image, EXECUTOR_FUTURES, "resize_0", 1);
	const struct fact_executor *second = image_executor(&image, EXECUTOR_FUTURES, "resize_0", 2);
	const struct fact_executor *unnamed = image_executor(&image, EXECUTOR_FUTURES, "ThreadPoolExecutor-0_0", 1);
	const struct fact_executor *loops = image_executor(&image, EXECUTOR_FUTURES, "asyncio_0", 1);
	const struct fact_executor *pool = image_executor(&image, EXECUTOR_POOL, "ThreadPool", 1);
	const struct fact_executor *c_tasks = image_executor(&image, EXECUTOR_POOL, "ThreadPool", 2);
	const struct fact_executor *deep = image_executor(&image, EXECUTOR_FUTURES, "deep_0", 1);
	const struct fact_executor *processes = image_executor(&image, EXECUTOR_PROCESSES, "ProcessPoolExecutor", 1);
	const struct fact_executor *named = image_executor(&image, EXECUTOR_THREAD, "consumer-0", 1);
	const struct fact_executor *plain = image_executor(&image, EXECUTOR_THREAD, "consume", 1);

	assert_non_null(first);
	assert_int_equal(first->capacity, 4);
	assert_int_equal(first->workers, 4);
	assert_int_equal(first->busy, 4);
	assert_int_equal(first->queued, 3);
	assert_int_equal(image_workers(&image, first->id, WORKER_BUSY), 4);
	assert_non_null(second);
	assert_int_equal(second->capacity, 2);
	assert_int_equal(second->workers, 1);
	assert_int_equal(second->busy, 1);
	assert_int_equal(second->queued, 0);
	assert_non_null(unnamed);
	assert_int_equal(unnamed->capacity, 3);
	assert_int_equal(unnamed->workers, 2);
	assert_int_equal(unnamed->idle, 2);
	assert_int_equal(image_workers(&image, unnamed->id, WORKER_IDLE), 2);
	assert_non_null(loops);
	assert_int_equal(loops->capacity, 6);
	assert_int_equal(loops->busy, 2);
	assert_non_null(pool);
	assert_int_equal(pool->capacity, 2);
	assert_int_equal(pool->busy, 2);
	assert_int_equal(pool->queued, 1);
	assert_non_null(c_tasks);
	assert_int_equal(c_tasks->busy, 1);
	assert_int_equal(c_tasks->idle, 1);
	assert_int_equal(c_tasks->queued, 0);
	assert_non_null(deep);
	assert_int_equal(deep->workers, 1);
	assert_int_equal(deep->busy, 1);
	assert_non_null(named);
	assert_int_equal(named->workers, 3);
	assert_int_equal(named->capacity, UNKNOWN_U64);
	assert_non_null(processes);
	assert_int_equal(processes->capacity, 2);
	assert_int_equal(processes->processes, 2);
	assert_int_equal(processes->queued, 3);
	assert_int_equal(processes->workers, 1);
	assert_non_null(plain);
	assert_int_equal(plain->workers, 2);
	assert_non_null(image_executor(&image, EXECUTOR_THREAD, "Watcher.run", 1));
	for (size_t i = 0; i < ARRAY_SIZE(given); i++) {
		plain = image_executor(&image, EXECUTOR_THREAD, given[i], 1);
		assert_non_null(plain);
		assert_int_equal(plain->workers, i ? 1 : 2);
	}
}

/* One that nobody holds has the name of its workers. */
static void assert_dropped_is_right(void)
{
	const struct fact_executor *dropped = image_executor(&image, EXECUTOR_FUTURES, "lost_0", 1);

	assert_non_null(dropped);
	assert_int_equal(dropped->capacity, UNKNOWN_U64);
	assert_int_equal(dropped->busy, 2);
	assert_int_equal(dropped->queued, 3);
}

/* Who executes a task is in a function of the program, however deep in the library it waits; who waits for one in none. */
static void assert_functions_are_right(struct cpython_walk *walk)
{
	const struct thread_id nobody = {1, 1};
	struct fact_blame blame;
	unsigned int busy = 0;
	int r;

	for (size_t i = 0; i < image.n_facts; i++) {
		const struct fact_worker *worker = &image.facts[i].worker;

		if (image.facts[i].kind != FACT_WORKER || !worker->executor)
			continue;
		blame = (struct fact_blame){.line = 0};
		r = cpython_walk_function(walk, image.threads, image.n_threads, worker->id, &blame);
		if (worker->activity == WORKER_IDLE)
			assert_int_equal(r, -ENODATA);
		if (worker->activity != WORKER_BUSY)
			continue;
		busy++;
		if (!strcmp(worker->function, "worker")) { /* a function of C: nothing of the program's */
			assert_int_equal(r, -ENODATA);
			continue;
		}
		assert_int_equal(r, 0);
		assert_true(blame.line > 0);
		assert_string_equal(blame.function, "blocked_task");
		assert_string_equal(blame.file, "executors.py");
	}
	assert_true(busy >= 9);
	assert_int_equal(cpython_walk_function(walk, image.threads, image.n_threads, nobody, &blame), -ENOENT);
}

static int record(void **state)
{
	struct cpython_walk *walk;

	image_start(&image);
	image_say(&image, "processes q 2 3");
	image_say(&image, "executor unnamed 3");
	image_say(&image, "executor a 4 resize");
	image_say(&image, "executor b 2 resize");
	image_say(&image, "submit unnamed 2");
	image_wait_started(&image, "unnamed", 2);
	image_say(&image, "open unnamed");
	image_say(&image, "submit a 7");
	image_wait_started(&image, "a", 4);
	image_say(&image, "submit b 1");
	image_wait_started(&image, "b", 1);
	image_say(&image, "loop l");
	image_say(&image, "executor loops 6");
	image_say(&image, "default l loops");
	image_say(&image, "submit l 2");
	image_wait_started(&image, "l", 2);
	image_say(&image, "pool p 2");
	image_say(&image, "submit p 3");
	image_wait_started(&image, "p", 2);
	image_say(&image, "pool k 2");
	image_say(&image, "block k 1");
	image_say(&image, "drop lost 2 5");
	image_wait_started(&image, "lost", 2);
	image_say(&image, "executor deep 2 deep");
	image_say(&image, "recurse deep 150");
	image_wait_started(&image, "deep", 1);
	image_say(&image, "threads x 2");
	image_wait_started(&image, "x", 2);
	image_say(&image, "threads y 3 consumer");
	image_wait_started(&image, "y", 3);
	image_say(&image, "given");
	image_say(&image, "watcher");
	image_wait_started(&image, "watcher", 1);
	image_find(&image);
	/* Nobody tells when a worker that has ended its task is waiting again. */
	walk = image_walk(&image);
	for (unsigned int i = 0; i < 6000; i++) {
		const struct fact_executor *unnamed, *c_tasks;

		assert_int_equal(image_pass(&image, walk), 0);
		unnamed = image_executor(&image, EXECUTOR_FUTURES, "ThreadPoolExecutor-0_0", 1);
		c_tasks = image_executor(&image, EXECUTOR_POOL, "ThreadPool", 2);
		if (i && unnamed && unnamed->idle == 2 && c_tasks && c_tasks->busy == 1)
			break;
		usleep(10000);
	}
	cpython_walk_free(walk);
	walk = image_freeze(&image);
	assert_facts_are_right();
	assert_dropped_is_right();
	assert_functions_are_right(walk);
	cpython_walk_free(walk);
	image_kill(&image);
	return 0;
}

static int forget(void **state)
{
	image_free(&image);
	return 0;
}

static void the_image_tells_what_the_process_told(void **state)
{
	struct cpython_walk *walk = image_walk(&image);

	/* The first reading is as good as the second. */
	assert_int_equal(image_pass(&image, walk), 0);
	assert_facts_are_right();
	assert_int_equal(image_pass(&image, walk), 0);
	assert_facts_are_right();
	assert_dropped_is_right();
	assert_int_equal(cpython_walk_counts(walk)->unread, 0);
	assert_int_equal(cpython_walk_counts(walk)->failed_passes, 0);
	/* Every thread is told, and what it runs. */
	for (size_t i = 0, workers = 0; i < image.n_facts; i++) {
		const struct fact_worker *worker = &image.facts[i].worker;

		if (image.facts[i].kind != FACT_WORKER)
			continue;
		workers++;
		if (worker->activity != WORKER_IDLE)
			assert_true(*worker->function && *worker->file && worker->line);
		assert_true(workers <= image.n_threads);
	}
	cpython_walk_free(walk);
}

static void functions_by_a_walk_that_has_passed_and_by_one_that_has_not(void **state)
{
	struct cpython_walk *walk = image_walk(&image), *fresh = image_walk(&image);

	assert_int_equal(image_pass(&image, walk), 0);
	assert_functions_are_right(walk);
	assert_functions_are_right(fresh);
	/* The next pass is as good as any. */
	assert_int_equal(image_pass(&image, walk), 0);
	assert_facts_are_right();
	cpython_walk_free(walk);
	cpython_walk_free(fresh);
}

static void layouts_of_other_versions_prove_nothing(void **state)
{
	const struct cpython_offsets own = image.offsets;
	size_t proven = 0;

	for (size_t i = 0; i < cpython_offsets_count; i++) {
		struct cpython_walk *walk;

		image.offsets = cpython_offsets[i];
		walk = image_walk(&image);
		if (cpython_walk_proves(walk)) {
			assert_int_equal(cpython_offsets[i].minor, own.minor);
			proven++;
		}
		cpython_walk_free(walk);
	}
	image.offsets = own;
	assert_int_equal(proven, 1);
}

/* ---- changed images ----------------------------------------------------------------------------- */

static uint64_t random_word(void)
{
	static const uint64_t special[] = {0, 1, 7, 8, 255, 4095, 4096, UINT32_MAX, INT64_MAX, UINT64_MAX, 1ULL << 47,
					   (1ULL << 56) - 8, UINT64_MAX - 7};
	size_t at = (size_t)rand() % image.n_blocks;
	uint64_t word;

	switch (rand() % 4) {
	case 0:
		return special[(size_t)rand() % ARRAY_SIZE(special)];
	case 1:
		return image.address[at] + (uint64_t)(rand() % (int)MEMORY_BLOCK);
	case 2: /* a pointer that stands elsewhere: the wrong object of a right kind */
		memcpy(&word, image.block[at].bytes + (uint64_t)(rand() % (int)(MEMORY_BLOCK / 8)) * 8, sizeof(word));
		return word;
	default:
		return (uint64_t)rand() << 33 ^ (uint64_t)rand();
	}
}

static void change_one(void)
{
	size_t at = (size_t)rand() % image.n_blocks;
	struct image_block *block = &image.block[at];
	uint64_t word = random_word();

	switch (rand() % 8) {
	case 0:
		block->bytes[rand() % (int)MEMORY_BLOCK] = (unsigned char)rand();
		break;
	case 1:
		image.address[at] = 8; /* it can't be read */
		break;
	case 2:
		memset(block->bytes, rand() % 2 ? 0 : rand(), MEMORY_BLOCK);
		break;
	case 3:
		memcpy(block->bytes, image.block[(size_t)rand() % image.n_blocks].bytes, MEMORY_BLOCK);
		break;
	default:
		memcpy(block->bytes + (uint64_t)(rand() % (int)(MEMORY_BLOCK / 8)) * 8, &word, sizeof(word));
	}
}

static bool ends(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static void assert_facts_make_sense(void)
{
	for (size_t i = 0; i < image.n_facts; i++) {
		const struct fact *fact = &image.facts[i];

		if (fact->kind == FACT_EXECUTOR) {
			const struct fact_executor *executor = &fact->executor;

			assert_true(executor->id && (unsigned int)executor->kind < EXECUTOR_KIND_COUNT);
			assert_true(ends(executor->name, sizeof(executor->name)));
			assert_true(ends(executor->function, sizeof(executor->function)));
			assert_true(ends(executor->file, sizeof(executor->file)));
			assert_true(executor->gone || *executor->name || *executor->function);
			assert_true(executor->busy == UNKNOWN_U64 || executor->busy + executor->idle <= executor->workers);
		} else if (fact->kind == FACT_WORKER) {
			assert_true(ends(fact->worker.function, sizeof(fact->worker.function)));
			assert_true(ends(fact->worker.file, sizeof(fact->worker.file)));
			assert_true((unsigned int)fact->worker.activity <= WORKER_BUSY);
		} else {
			assert_int_equal(fact->kind, FACT_RUNTIME);
		}
	}
}

static void assert_function_makes_sense(struct cpython_walk *walk)
{
	struct thread_id id = image.threads[(size_t)rand() % image.n_threads].id;
	struct fact_blame blame = {.line = 0};

	if (cpython_walk_function(walk, image.threads, image.n_threads, id, &blame) == 0)
		assert_true(ends(blame.function, sizeof(blame.function)) && ends(blame.file, sizeof(blame.file)));
}

#define ROUNDS 20000
#define SECONDS 12
#define ROUNDS_UNTIL_CLEAN 50

/* The true image again, by a walk that has seen all before it: never another figure than the true one. False: not known. */
static bool reads_clean_image(struct cpython_walk *lasting)
{
	bool known = true;

	for (unsigned int pass = 0; pass < 3; pass++)
		assert_int_equal(image_pass(&image, lasting), 0);
	for (size_t i = 0; i < image.n_facts; i++) { /* numbers that were given stay; everything else is as it was */
		const struct fact_executor *executor = &image.facts[i].executor;

		if (image.facts[i].kind != FACT_EXECUTOR || executor->kind != EXECUTOR_POOL || executor->gone)
			continue;
		known &= executor->capacity != UNKNOWN_U64;
		if (executor->capacity != UNKNOWN_U64)
			assert_int_equal(executor->capacity, 2);
	}
	return known;
}

/* Each image by a walk of its own and by one that has seen all before it; now and then the true image, which the latter
 * must read as if nothing had been. It may not know a function whose name was changed, which in a living interpreter
 * is none's: until it has forgotten the names. */
static void changed_images(void **state)
{
	struct image_block *clean = malloc(image.n_blocks * sizeof(*clean));
	uint64_t *addresses = malloc(image.n_blocks * sizeof(*addresses));
	struct cpython_walk *lasting = image_walk(&image);
	size_t n_blocks = image.n_blocks;
	time_t end = time(NULL) + SECONDS;
	unsigned int rounds = 0, told = 0, clean_images = 0, read = 0;

	assert_non_null(clean);
	assert_non_null(addresses);
	memcpy(clean, image.block, n_blocks * sizeof(*clean));
	memcpy(addresses, image.address, n_blocks * sizeof(*addresses));
	srand(20260101);
	while (rounds < ROUNDS && time(NULL) < end) {
		struct cpython_walk *fresh = image_walk(&image);

		for (int changes = 1 + rand() % (rounds % 3 ? 8 : 200); changes > 0; changes--)
			change_one();
		image.torn = rounds % 4 ? 0 : 1 + (unsigned int)rand() % 50;
		image_pass(&image, fresh);
		assert_facts_make_sense();
		told += image_pass(&image, fresh) == 0;
		assert_facts_make_sense();
		image_pass(&image, lasting);
		assert_facts_make_sense();
		assert_function_makes_sense(fresh);
		assert_function_makes_sense(lasting);
		cpython_walk_free(fresh);
		memcpy(image.block, clean, n_blocks * sizeof(*clean));
		memcpy(image.address, addresses, n_blocks * sizeof(*addresses));
		image.torn = 0;
		rounds++;
		if (rounds % ROUNDS_UNTIL_CLEAN)
			continue;
		clean_images++;
		read += reads_clean_image(lasting);
	}
	print_message("%u changed images, of which %u could be walked; the true one read %u times of %u\n", rounds, told,
		      read, clean_images);
	assert_true(rounds >= 100);
	assert_true(told > 0 && told < rounds);
	assert_true(read >= clean_images - clean_images / 4);
	cpython_walk_free(lasting);
	free(clean);
	free(addresses);
}

/* A list of threads that never ends, and one that leads back into itself. */
static void endless_lists(void **state)
{
	struct cpython_walk *walk = image_walk(&image);
	uint64_t first = image_first_state(&image), next = image_word(&image, first + image.offsets.thread_next);

	image_put(&image, first + image.offsets.thread_next, first);
	image_pass(&image, walk);
	image_pass(&image, walk);
	assert_facts_make_sense();
	image_put(&image, first + image.offsets.thread_next, next);
	assert_int_equal(image_pass(&image, walk), 0);
	assert_int_equal(image_pass(&image, walk), 0);
	assert_facts_are_right();
	cpython_walk_free(walk);
}

/* Where the kernel is to find the frames of the process's first thread, and of whom this state is; 0: nobody. */
static void states_told(struct cpython_walk *walk, uint64_t state, uint64_t *ret_leaders, uint32_t *ret_tid)
{
	struct thread_id id;
	uint64_t address;
	size_t at = 0;

	cpython_walk_meet(walk, image.threads, image.n_threads);
	*ret_leaders = *ret_tid = 0;
	while (cpython_walk_next_thread(walk, &at, &id, &address)) {
		for (size_t i = 0; i < image.n_threads; i++) {
			if (image.threads[i].is_leader && image.threads[i].id.tid == id.tid)
				*ret_leaders = address;
		}
		if (address == state)
			*ret_tid = id.tid;
	}
}

/* Before 3.12 a new state has its creator's numbers until its thread begins: what the creator does would be taken from the
 * newborn's frames, for good. */
static void a_state_whose_thread_has_not_begun_is_nobodys(void **state)
{
	struct cpython_walk *walk = image_walk(&image);
	uint64_t first = image_first_state(&image), pthread = image_word(&image, first + image.offsets.thread_pthread),
		 native = image_word(&image, first + image.offsets.thread_native), main_state = first, leaders, again;
	uint32_t tid;

	/* The oldest is the last. */
	for (uint64_t next = first; next; next = image_word(&image, next + image.offsets.thread_next))
		main_state = next;
	image_put(&image, first + image.offsets.thread_pthread, image_word(&image, main_state + image.offsets.thread_pthread));
	image_put(&image, first + image.offsets.thread_native, image_word(&image, main_state + image.offsets.thread_native));
	assert_int_equal(image_pass(&image, walk), 0);
	states_told(walk, first, &leaders, &tid);
	assert_int_equal(leaders, main_state);
	assert_int_equal(tid, 0);
	/* It begins. */
	image_put(&image, first + image.offsets.thread_pthread, pthread);
	image_put(&image, first + image.offsets.thread_native, native);
	assert_int_equal(image_pass(&image, walk), 0);
	states_told(walk, first, &again, &tid);
	assert_int_equal(again, 0); /* nothing new of it */
	assert_int_equal(tid, native);
	cpython_walk_free(walk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_image_tells_what_the_process_told),
		cmocka_unit_test(functions_by_a_walk_that_has_passed_and_by_one_that_has_not),
		cmocka_unit_test(layouts_of_other_versions_prove_nothing),
		cmocka_unit_test(changed_images),
		cmocka_unit_test(a_state_whose_thread_has_not_begun_is_nobodys),
		cmocka_unit_test(endless_lists),
	};

	return cmocka_run_group_tests(tests, record, forget);
}
