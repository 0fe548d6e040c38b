/* SPDX-License-Identifier: GPL-2.0-only */
/* A stack so deep that it is read a page at a time, in the image of a living interpreter: whole, torn, and leading back
 * into itself. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cpython_image.h"
#include "source/cpython_executor.h"
#include "source/cpython_root.h"

#define DEPTH 700U

static struct image image;

/* By whichever name: what leads from the other worker to its object may not have been read. */
static const struct fact_executor *deep(void)
{
	for (size_t i = 0; i < image.n_facts; i++) {
		if (image.facts[i].kind == FACT_EXECUTOR && image.facts[i].executor.kind == EXECUTOR_FUTURES &&
		    !image.facts[i].executor.gone)
			return &image.facts[i].executor;
	}
	fail();
	return NULL;
}

static int record(void **state)
{
	struct cpython_walk *walk;

	image_start(&image);
	image_say(&image, "executor deep 2 deep");
	image_say(&image, "submit deep 2");
	image_wait_started(&image, "deep", 2);
	image_say(&image, "open deep");
	image_say(&image, "recurse deep 700");
	image_wait_started(&image, "deep", 1);
	image_find(&image);
	/* Nobody tells when a worker that has ended its task is waiting again. */
	walk = image_walk(&image);
	do
		assert_int_equal(image_pass(&image, walk), 0);
	while (deep()->idle != 1);
	cpython_walk_free(walk);
	cpython_walk_free(image_freeze(&image));
	image_kill(&image);
	return 0;
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

/* Where it stands which frame the thread is in. */
static uint64_t *innermost(uint64_t thread)
{
	uint64_t *pointer = word_at(thread + image.offsets.thread_frame);

	return image.offsets.has_cframe ? word_at(*pointer + image.offsets.cframe_frame) : pointer;
}

/* So far from the innermost; 0: the stack is no deeper. */
static uint64_t frame_of(uint64_t thread, unsigned int distance)
{
	uint64_t frame = *innermost(thread);

	for (unsigned int i = 0; frame && i < distance; i++)
		frame = *word_at(frame + image.offsets.frame_previous);
	return frame;
}

static uint64_t thread_next(uint64_t thread)
{
	uint64_t interp = *word_at(image.site.runtime + image.offsets.runtime_interpreters);

	return *word_at(thread ? thread + image.offsets.thread_next : interp + image.offsets.interp_threads);
}

static uint64_t deep_thread(void)
{
	uint64_t thread = thread_next(0);

	while (thread && !frame_of(thread, DEPTH))
		thread = thread_next(thread);
	assert_true(thread);
	return thread;
}

static uint64_t deep_frame(unsigned int distance)
{
	return frame_of(deep_thread(), distance);
}

static void assert_told(struct cpython_walk *walk)
{
	assert_int_equal(image_pass(&image, walk), 0);
	assert_int_equal(deep()->workers, 2);
	assert_int_equal(deep()->busy, 1);
	assert_false(deep()->may_have_more);
}

static void told_as_any_other(void **state)
{
	struct cpython_walk *walk = image_walk(&image);

	assert_told(walk);
	assert_int_equal(cpython_walk_counts(walk)->unread, 0);
	cpython_walk_free(walk);
}

/* Threads of no executor, that do something. */
static size_t count_untold(void)
{
	size_t count = 0;

	for (size_t i = 0; i < image.n_facts; i++) {
		const struct fact_worker *worker = &image.facts[i].worker;

		count += image.facts[i].kind == FACT_WORKER && !worker->executor && *worker->function &&
			 worker->id.tid != image.threads[0].id.tid;
	}
	return count;
}

/* Once may be chance; what stays is told to be unknown, and what the thread does. It is told when it can be. */
static void untold_by(uint64_t *word, uint64_t value)
{
	struct cpython_walk *walk = image_walk(&image);
	uint64_t before = *word;

	*word = value;
	assert_int_equal(image_pass(&image, walk), 0);
	assert_int_equal(count_untold(), 0);
	assert_int_equal(image_pass(&image, walk), 0);
	assert_int_equal(image_pass(&image, walk), 0);
	assert_int_equal(image_pass(&image, walk), 0);
	assert_int_equal(deep()->workers, 1);
	assert_int_equal(deep()->busy, UNKNOWN_U64);
	assert_true(deep()->may_have_more);
	assert_int_equal(count_untold(), 1);
	assert_true(cpython_walk_counts(walk)->unread > 0);
	*word = before;
	image.now_ns += 60 * NSEC_PER_SEC;
	assert_told(walk);
	assert_int_equal(count_untold(), 0);
	cpython_walk_free(walk);
}

static void torn(void **state)
{
	untold_by(word_at(deep_frame(200) + image.offsets.frame_previous), 0x1230);
}

static void leading_back_into_itself(void **state)
{
	untold_by(word_at(deep_frame(250) + image.offsets.frame_previous), deep_frame(120));
}

/* The oldest: newer ones stand before it. */
static uint64_t leader(void)
{
	uint64_t thread = thread_next(0);

	while (thread_next(thread))
		thread = thread_next(thread);
	return thread;
}

/* One pass by hand, in which of deep stacks so many frames are read. */
static void pass_with(struct py_threads *threads, struct executors *executors, const struct cpython_image *site,
		      struct code_table *codes, uint32_t frames)
{
	memory_view_begin(site->view);
	code_table_begin(codes);
	threads->now_ns += NSEC_PER_SEC;
	assert_int_equal(py_threads_list(threads, site, image.site.runtime), 0);
	assert_int_equal(py_threads_locate(threads, site, codes), 0);
	for (size_t i = 0; i < threads->count; i++)
		threads->thread[i]->is_leader = threads->thread[i]->address == leader();
	assert_int_equal(py_threads_tell_roots(threads, site, codes, frames), 0);
	executors_update(executors, threads, site, codes);
}

static const struct fact_executor *futures_of(const struct executors *executors)
{
	for (uint32_t i = 0; i < executors->count; i++) {
		if (executors->executor[i].in_use && executors->executor[i].fact.kind == EXECUTOR_FUTURES)
			return &executors->executor[i].fact;
	}
	fail();
	return NULL;
}

/* Whose turn does not come in a pass is not known to be nobody's worker, and it comes in the next. */
static void left_to_the_next_pass(void **state)
{
	const struct memory_source source = {.read = image_read, .context = &image};
	struct cpython_image site = {.offsets = image.offsets, .types = image.site.types};
	struct py_threads threads = {0};
	struct executors executors = {0};
	struct code_table *codes;

	assert_int_equal(memory_view_new(&source, &site.view), 0);
	assert_int_equal(code_table_new(&codes), 0);
	pass_with(&threads, &executors, &site, codes, 0);
	assert_int_equal(futures_of(&executors)->workers, 1);
	assert_true(futures_of(&executors)->may_have_more);
	assert_int_equal(futures_of(&executors)->busy, UNKNOWN_U64);
	for (size_t i = 0; i < threads.count; i++)
		assert_false(threads.thread[i]->is_out_of_reach);
	pass_with(&threads, &executors, &site, codes, 1);
	assert_int_equal(futures_of(&executors)->workers, 2);
	assert_false(futures_of(&executors)->may_have_more);
	assert_int_equal(futures_of(&executors)->busy, 1);
	executors_clear(&executors);
	py_threads_clear(&threads);
	code_table_free(codes);
	memory_view_free(site.view);
}

/* Frames on top of the deep thread's that are copies of one of them, each the caller of the one above it. */
#define PILE 0x500000000000ULL
#define PILE_FRAME 256U
static struct {
	unsigned char frame[PILE_FRAME];
	uint64_t count, below; /* what the lowest has for its caller */
} pile;

static void read_pile(void *context, const uint64_t *addresses, size_t count, unsigned char *bytes, bool *ret_read)
{
	image_read(context, addresses, count, bytes, ret_read);
	for (size_t i = 0; i < count; i++) {
		if (addresses[i] < PILE || addresses[i] >= PILE + pile.count * PILE_FRAME)
			continue;
		for (uint64_t at = 0; at < MEMORY_BLOCK; at += PILE_FRAME) {
			uint64_t frame = addresses[i] + at, previous = frame > PILE ? frame - PILE_FRAME : pile.below;

			memcpy(bytes + i * MEMORY_BLOCK + at, pile.frame, PILE_FRAME);
			memcpy(bytes + i * MEMORY_BLOCK + at + image.offsets.frame_previous, &previous, sizeof(previous));
		}
		ret_read[i] = true;
	}
}

static bool is_told_with(unsigned int frames)
{
	const struct memory_source source = {.read = read_pile, .context = &image};
	struct cpython_image site = {.offsets = image.offsets, .types = image.site.types};
	uint64_t *where = innermost(deep_thread()), before = *where;
	struct py_threads threads = {0};
	struct executors executors = {0};
	struct code_table *codes;
	bool is_out_of_reach = false;

	pile.below = before;
	pile.count = frames;
	for (unsigned int i = 0; frame_of(deep_thread(), i); i++)
		pile.count--;
	for (uint64_t i = 0; i < PILE_FRAME; i += sizeof(uint64_t))
		memcpy(pile.frame + i, word_at(deep_frame(100) + i), sizeof(uint64_t));
	*where = PILE + (pile.count - 1) * PILE_FRAME;
	assert_int_equal(memory_view_new(&source, &site.view), 0);
	assert_int_equal(code_table_new(&codes), 0);
	pass_with(&threads, &executors, &site, codes, FRAMES_PASS);
	for (size_t i = 0; i < threads.count; i++)
		is_out_of_reach |= threads.thread[i]->is_out_of_reach;
	assert_int_equal(futures_of(&executors)->workers, is_out_of_reach ? 1 : 2);
	*where = before;
	executors_clear(&executors);
	py_threads_clear(&threads);
	code_table_free(codes);
	memory_view_free(site.view);
	return !is_out_of_reach;
}

static void as_deep_as_is_followed(void **state)
{
	assert_true(is_told_with(FRAMES_MAX - 1));
	assert_true(is_told_with(FRAMES_MAX));
	assert_false(is_told_with(FRAMES_MAX + 1));
}

/* It is read again so late that what is told meanwhile must not leave it out. */
static void torn_where_it_is_deepest(void **state)
{
	struct cpython_walk *walk = image_walk(&image);
	uint64_t *word = word_at(deep_frame(600) + image.offsets.frame_previous), before = *word;

	*word = 0x1230;
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(image_pass(&image, walk), 0);
		assert_int_equal(deep()->workers, 1);
		assert_int_equal(deep()->busy, UNKNOWN_U64);
		assert_true(deep()->may_have_more);
		assert_int_equal(count_untold(), 0);
		assert_int_equal(cpython_walk_counts(walk)->unread, 0);
	}
	*word = before;
	assert_told(walk);
	cpython_walk_free(walk);
}

/* The task is over, and what it was in is of no more interest. */
static void no_longer_deep(void **state)
{
	struct cpython_walk *walk = image_walk(&image);
	uint64_t *word = word_at(deep_frame(600) + image.offsets.frame_previous), before = *word;
	uint64_t *where = innermost(deep_thread()), frame = *where;

	*word = 0x1230;
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(image_pass(&image, walk), 0);
	assert_int_equal(deep()->busy, UNKNOWN_U64);
	assert_int_equal(count_untold(), 1);
	*where = 0;
	assert_int_equal(image_pass(&image, walk), 0);
	assert_int_equal(deep()->busy, 0);
	assert_false(deep()->may_have_more);
	*where = frame;
	*word = before;
	assert_told(walk);
	cpython_walk_free(walk);
}

/* Whose main thread is too deep, as recursive programs are, is told of its executors all the same. */
static void a_leader_is_no_worker(void **state)
{
	struct cpython_walk *walk = image_walk(&image);
	uint64_t *word = word_at(deep_frame(600) + image.offsets.frame_previous), before = *word;
	uint64_t *where = innermost(deep_thread()), frame = *where;
	uint64_t *leader_where = innermost(leader()), leader_frame = *leader_where;

	*word = 0x1230;
	*where = 0;
	*leader_where = frame;
	for (unsigned int i = 0; i < 6; i++) {
		assert_int_equal(image_pass(&image, walk), 0);
		assert_int_equal(deep()->workers, 1);
		assert_int_equal(deep()->busy, 0);
		assert_false(deep()->may_have_more);
	}
	assert_true(cpython_walk_counts(walk)->unread > 0);
	*where = frame;
	*leader_where = leader_frame;
	*word = before;
	assert_told(walk);
	cpython_walk_free(walk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told_as_any_other),
		cmocka_unit_test(torn),
		cmocka_unit_test(leading_back_into_itself),
		cmocka_unit_test(left_to_the_next_pass),
		cmocka_unit_test(as_deep_as_is_followed),
		cmocka_unit_test(torn_where_it_is_deepest),
		cmocka_unit_test(no_longer_deep),
		cmocka_unit_test(a_leader_is_no_worker),
	};

	return cmocka_run_group_tests(tests, record, forget);
}
