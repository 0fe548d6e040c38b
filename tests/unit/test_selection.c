/* SPDX-License-Identifier: GPL-2.0-only */
/* Children that were there before: who is tried, and who is counted, where the engine has room for some of them. In the
 * place of the engine stands one that has so much room. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "app/selection.h"
#include "procfs_fixture.h"

#define CHILDREN 5

struct engine {
	size_t room, n_attached, tries;
	uint32_t attached[CHILDREN];
};

int engine_attach(struct engine *engine, uint32_t pid, bool follow_forks, struct explain *explain)
{
	engine->tries++;
	if (engine->n_attached == engine->room)
		return -E2BIG;
	engine->attached[engine->n_attached++] = pid;
	return 0;
}

int engine_attach_child(struct engine *engine, uint32_t pid, struct explain *explain)
{
	return engine_attach(engine, pid, true, explain);
}

bool engine_has(const struct engine *engine, uint32_t pid)
{
	for (size_t i = 0; i < engine->n_attached; i++) {
		if (engine->attached[i] == pid)
			return true;
	}
	return false;
}

bool engine_follows(const struct engine *engine, uint32_t pid)
{
	return pid == (uint32_t)getpid();
}

void engine_events(struct engine *engine)
{
}

void engine_note_unwatched(struct engine *engine, uint64_t count)
{
}

static struct engine look_for(size_t room, size_t *ret_unwatched)
{
	struct engine engine = {.room = room};
	struct options options = {0};
	struct selection *selection;
	pid_t children[CHILDREN];

	assert_int_equal(selection_new(&options, NULL, &selection), 0);
	selection_set_procfs(selection, procfs);
	for (size_t i = 0; i < CHILDREN; i++)
		children[i] = child_stopped(NULL);
	assert_int_equal(selection_attach_missed(selection, &engine, ret_unwatched), room < CHILDREN ? room : CHILDREN);
	for (size_t i = 0; i < CHILDREN; i++)
		child_end(children[i]);
	selection_free(selection);
	return engine;
}

static void all_are_attached_to_where_there_is_room(void **state)
{
	size_t unwatched = 1;
	struct engine engine = look_for(CHILDREN, &unwatched);

	assert_int_equal(engine.tries, CHILDREN);
	assert_int_equal(unwatched, 0);
}

static void beyond_the_first_that_found_no_room_they_are_counted(void **state)
{
	size_t unwatched = 0;
	struct engine engine = look_for(2, &unwatched);

	assert_int_equal(engine.tries, 3);
	assert_int_equal(unwatched, CHILDREN - 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_are_attached_to_where_there_is_room),
		cmocka_unit_test(beyond_the_first_that_found_no_room_they_are_counted),
	};

	return cmocka_run_group_tests(tests, open_procfs, close_procfs);
}
