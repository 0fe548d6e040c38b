/* SPDX-License-Identifier: GPL-2.0-only */
/* Which executor a loop of uvloop's calls its default: by a class whose fields nothing describes, so never by a word that
 * is none of them. Of a memory made by hand; asyncio's own loop is in the image of the walk's test. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "source/cpython_find.h"
#include "source/cpython_loop.h"

#define EXECUTOR 0x7f0000001000U

enum { BYTES = 4096, BASE = 1 << 20 };
enum { THREAD = BASE, LOOP = BASE + 512, SUBTYPE = BASE + 1024, TYPE = BASE + 2048, TEXTS = BASE + 3072 };
enum { SUBTYPE_NAME = TEXTS, TYPE_NAME = TEXTS + 64 };

struct scene {
	unsigned char bytes[BYTES];
	struct cpython_image image;
};

static void scene_read(void *context, const uint64_t *addresses, size_t count, unsigned char *bytes, bool *ret_read)
{
	const struct scene *s = context;

	for (size_t i = 0; i < count; i++) {
		ret_read[i] = addresses[i] >= BASE && addresses[i] + MEMORY_BLOCK <= BASE + BYTES;
		if (ret_read[i])
			memcpy(bytes + i * MEMORY_BLOCK, s->bytes + (addresses[i] - BASE), MEMORY_BLOCK);
	}
}

static void put(struct scene *s, uint64_t address, uint64_t word)
{
	memcpy(s->bytes + (address - BASE), &word, sizeof(word));
	memory_view_begin(s->image.view);
}

static void put_text(struct scene *s, uint64_t address, const char *text)
{
	strcpy((char *)s->bytes + (address - BASE), text);
	memory_view_begin(s->image.view);
}

/* As 3.13 has it: a thread that runs a uvloop.Loop. */
static void scene_new(struct scene *s)
{
	const struct memory_source source = {.read = scene_read, .context = s};
	const struct cpython_offsets *at = &s->image.offsets;

	memset(s, 0, sizeof(*s));
	s->image.offsets = *cpython_offsets_of(13);
	assert_int_equal(memory_view_new(&source, &s->image.view), 0);
	put(s, THREAD + at->thread_loop, LOOP);
	put(s, LOOP + 8, SUBTYPE);
	put(s, SUBTYPE + at->type_name, SUBTYPE_NAME);
	put(s, SUBTYPE + at->type_base, TYPE);
	put(s, TYPE + at->type_name, TYPE_NAME);
	put_text(s, SUBTYPE_NAME, "Loop");
	put_text(s, TYPE_NAME, "uvloop.loop.Loop");
}

static void scene_end(struct scene *s)
{
	memory_view_free(s->image.view);
}

static bool has_default(const struct scene *s)
{
	uint64_t loop;

	assert_int_equal(event_loop_running(&s->image, THREAD, &loop), 0);
	return event_loop_has_default(&s->image, loop, EXECUTOR);
}

static void any_of_its_fields_may_hold_it(void **state)
{
	struct scene s;

	scene_new(&s);
	assert_false(has_default(&s));
	for (uint64_t field = 24; field < 192; field += 8) {
		put(&s, LOOP + field, EXECUTOR);
		assert_true(has_default(&s));
		assert_false(event_loop_has_default(&s.image, LOOP, EXECUTOR + 16));
		put(&s, LOOP + field, 0);
	}
	assert_false(event_loop_has_default(&s.image, LOOP, 0));
	scene_end(&s);
}

/* Its own head, what is no field's place, what clients have sent. */
static void no_other_word_tells(void **state)
{
	static const uint64_t places[] = {0, 16, 36, 92, 192, 256, 272, 400};
	struct scene s;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		scene_new(&s);
		put(&s, LOOP + places[i], EXECUTOR);
		assert_false(has_default(&s));
		scene_end(&s);
	}
}

static void no_other_class_tells(void **state)
{
	static const char *const names[] = {"", "Loop", "uvloop.loop.LoopX", "uvloop.loop", "xuvloop.loop.Loop"};
	struct scene s;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		scene_new(&s);
		put(&s, LOOP + 88, EXECUTOR);
		assert_true(has_default(&s));
		put_text(&s, TYPE_NAME, names[i]);
		assert_false(has_default(&s));
		scene_end(&s);
	}
}

static void classes_that_lead_nowhere(void **state)
{
	static const uint64_t bases[] = {0, 8, SUBTYPE, UINT64_MAX, BASE + BYTES};
	struct scene s;

	scene_new(&s);
	put(&s, LOOP + 88, EXECUTOR);
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		put(&s, SUBTYPE + s.image.offsets.type_base, bases[i]);
		assert_false(has_default(&s));
	}
	scene_end(&s);
}

static void a_thread_without_a_loop(void **state)
{
	static const uint64_t loops[] = {0, 8, LOOP + 4, UINT64_MAX - 7, BASE + BYTES - 8};
	struct scene s;

	scene_new(&s);
	put(&s, LOOP + 88, EXECUTOR);
	for (size_t i = 0; i < ARRAY_SIZE(loops); i++) {
		put(&s, THREAD + s.image.offsets.thread_loop, loops[i]);
		assert_false(has_default(&s));
	}
	scene_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_of_its_fields_may_hold_it),
		cmocka_unit_test(no_other_word_tells),
		cmocka_unit_test(no_other_class_tells),
		cmocka_unit_test(classes_that_lead_nowhere),
		cmocka_unit_test(a_thread_without_a_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
