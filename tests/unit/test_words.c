/* SPDX-License-Identifier: GPL-2.0-only */
/* What the dashboard says in words: which sentence comes when, and which does not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <locale.h>
#include <signal.h>
#include <time.h>

#include "fixture_words.h"
#include "view/dashboard_parts.h"

static void test_words(void **state)
{
	static struct snapshot_target both[2];
	struct fixture *fixture = fixture_snapshot();
	struct snapshot_target *target = &fixture->targets[0];
	struct snapshot_limit *over = NULL;
	double seconds;

	for (size_t i = 0; i < target->n_pools && !over; i++)
		for (size_t k = 0; k < target->pools[i].n_limits; k++)
			if (target->pools[i].limits[k].state == LIMIT_OVER)
				over = &target->pools[i].limits[k];
	assert_says(fixture, "OVER anyio-worker-*: 41 threads > 40 since 12:03:11 (2 min)");
	assert_non_null(over);
	over->value = over->max;
	over->is_falling = true;
	assert_says(fixture, "OVER anyio-worker-*: 40 threads of 40 since 12:03:11 (2 min), below by now: held for its clear_for");
	over->value = 41;
	assert_says(fixture, "memory.max in about 42 min at this rate (a rate, not a verdict)\n");
	target->memory.swapped = FIXTURE_MIB(22);
	assert_says(fixture, "22.0M swapped out: in no RES, GROWN or /MIN\n");
	target->memory.swapped = 0;
	target->cgroup_seconds_to_memory_max = 56;
	assert_says(fixture, "memory.max in about 56 s as its cgroup grows, file cache too; in 42 min at this process's rate alone (rates, not verdicts)\n");
	target->growth_shmem = target->growth_anon + 1;
	assert_says(fixture, "alone (rates, not verdicts): shared memory grows most");
	target->growth_shmem = 0;
	target->cgroup_seconds_to_memory_max = NAN;
	seconds = target->seconds_to_memory_max;
	target->seconds_to_memory_max = 0.2;
	assert_says(fixture, "memory.max is reached: what grows further is reclaimed, swapped or killed\n");
	target->seconds_to_memory_max = seconds;
	target->growth_file = FIXTURE_MIB(300);
	assert_says(fixture, "file pages grow most");
	target->growth_file = 0;
	target->growth_shmem = FIXTURE_MIB(300);
	assert_says(fixture, "shared memory grows most");
	target->children = (struct fact_children){ 2, FIXTURE_MIB(8000) };
	assert_says(fixture, "2 children hold 7.81G, this process 3.11G: take them in with -f");
	both[0] = *target;
	both[1] = *target; /* one of the two is watched */
	both[1].info.pid = target->info.pid + 1;
	both[1].info.parent_pid = target->info.pid;
	both[1].memory.rss_anon = FIXTURE_MIB(4500);
	fixture->snapshot.targets = both;
	fixture->snapshot.n_targets = 2;
	assert_says(fixture, "1 child holds 3.42G, this process 3.11G: take them in with -f");
	fixture->snapshot.targets = target;
	fixture->snapshot.n_targets = 1;
	target->info.search_cut = true;
	target->unattributed[UNATTRIBUTED_BEFORE_ATTACH] = target->unattributed_bytes = target->memory.rss_anon / 2;
	assert_says(fixture, "before attach (its maker was not seen, and the search for its holders did not end)");
	target->info.memory_hidden = true;
	assert_says(fixture, "its memory may not be read (CAP_SYS_PTRACE is missing)");
	target->info.is_32_bit = true;
	assert_says(fixture, "A 32-bit program: its threads are known, but what it maps is not traced");
	target->stopped = true;
	assert_says(fixture, "STOPPED");
	target->ended = true;
	target->ended_realtime_ns = FIXTURE_AGO(2);
	target->end = (struct fact_target_gone){ TARGET_END_EXITED, 3, 0 };
	assert_says(fixture, "ENDED 12:05:09: exited with code 3; this is the last frame, read 0.4 s before");
	target->end = (struct fact_target_gone){ TARGET_END_SIGNALLED, SIGTERM, 0 };
	assert_says(fixture, "ENDED 12:05:09: killed by signal 15 (SIGTERM)");
	fixture->process_limits[0].state = LIMIT_OVER;
	fixture->process_limits[0].value = fixture->process_limits[0].max + 1;
	assert_says(fixture, "OVER process: RES 3.60G > 3.60G by 1B (90 % of memory.max) since 12:00:59 (4 min)");
}

/* 80 columns have no room for the reasons, and what each means stands nowhere else. */
static void test_unexplained_is_said_where_it_is_much(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	struct snapshot_target *target = &fixture->targets[0];
	char *text;

	target->unexplained_bytes = (int64_t)(target->memory.rss_anon / 16);
	assert_says(fixture, "Unexplained ");
	assert_says(fixture, ": pools may hold that much more than is shown (it was mapped anew while it was read)");
	for (int i = 0; i < 3; i++) {
		target->unexplained_bytes = (int64_t[]){UNKNOWN_I64, -(1LL << 30), (int64_t)(target->memory.rss_anon / 16) - 1}[i];
		text = words_of(fixture);
		assert_null(strstr(text, "Unexplained"));
		free(text);
	}
	/* A doubt about what is mapped is no loss. */
	memset(fixture->snapshot.lost, 0, sizeof(fixture->snapshot.lost));
	target->reseeds = 1;
	target->reseed_age_seconds = 2;
	target->unattributed[UNATTRIBUTED_LOST] = 0;
	target->events_lost = 0;
	assert_says(fixture, "Mappings read anew 1 time, last 2 s ago");
	fixture->snapshot.ended_dropped = 7;
	assert_says(fixture, "Processes that ended and are not shown: 7 (those asked for are, and the children that held most)");
}

static void test_unattributed_is_explained_where_it_is_much(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	struct snapshot_target *target = &fixture->targets[0];
	char *text = words_of(fixture);

	assert_null(strstr(text, "Unattributed: ")); /* 2 % */
	free(text);
	target->unattributed[UNATTRIBUTED_BEFORE_ATTACH] = FIXTURE_MIB(800);
	target->unattributed_bytes = FIXTURE_MIB(821);
	assert_says(fixture, "Unattributed: 800M before attach (its maker was not seen), 21.0M image (");
	target->unattributed_bytes = UNKNOWN_U64;
	text = words_of(fixture);
	assert_null(strstr(text, "Unattributed: "));
	free(text);
}

/* 80 columns have no room for ORPHAN: without a word such a pool has memory and no threads. */
static void test_orphaned_is_said(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	struct snapshot_pool *pool = &fixture->pools[FIXTURE_EXECUTOR];
	struct dashboard_state ui;
	char *text;

	pool->threads = 0;
	pool->memory.orphaned_bytes = FIXTURE_MIB(373);
	fixture->pools[FIXTURE_MAIN].memory.orphaned_bytes = FIXTURE_MIB(0.9); /* little */
	fixture->pools[FIXTURE_IO_URING].memory.orphaned_bytes = UNKNOWN_U64;
	assert_says(fixture, "Held by threads that have ended (orphaned): anyio-worker-* (12.0M), ThreadPoolExecutor-0_* (373M)\n");
	dashboard_init(&ui, true, 1000);
	dashboard_resize(&ui, 40, 80);
	text = frame(&fixture->snapshot, &ui);
	assert_non_null(strstr(text, " 0/40/- orphaned "));
	free(text);
	fixture->pools[FIXTURE_ANYIO].memory.orphaned_bytes = 0;
	pool->memory.orphaned_bytes = 0;
	text = words_of(fixture);
	assert_null(strstr(text, "orphaned"));
	free(text);
}

static void assert_title(struct fixture *fixture, const struct dashboard_state *ui, const char *words)
{
	char *text = frame(&fixture->snapshot, ui);

	*strchr(text, '\n') = '\0';
	if (!strstr(text, words))
		fail_msg("no \"%s\" in: %s", words, text);
	free(text);
}

static void test_old_activity(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	char *text;

	fixture->targets[0].activity_age_seconds = 2.4;
	text = words_of(fixture);
	assert_null(strstr(text, "--cpu-budget"));
	free(text);
	fixture->targets[0].activity_age_seconds = 6;
	assert_says(fixture, "BUSY, QUEUE and what threads do were read 6 s ago: reading them takes more than --cpu-budget\n");
	fixture->targets[0].ended = true;
	text = words_of(fixture);
	assert_null(strstr(text, "--cpu-budget"));
	free(text);
}

/* Of each target its own. */
static void test_folded_pools(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	char *text = words_of(fixture);

	assert_null(strstr(text, "folded"));
	free(text);
	fixture->targets[0].pools_dropped = 8;
	assert_says(fixture, "8 pools folded into `other`: raise max_pools to see them\n");
}

/* What ended and came back is shown, unless the user has chosen what to look at; both say so. */
static void test_return(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	struct snapshot_target *ended = &fixture->targets[0], *back = &fixture->targets[1];
	struct dashboard_state ui;

	fixture->targets[1] = *ended;
	fixture->targets[2] = *ended;
	ended->ended = true;
	ended->ended_realtime_ns = FIXTURE_AGO(20);
	ended->end = (struct fact_target_gone){ TARGET_END_OOM_KILLED, SIGKILL, 0 };
	back->id = 2;
	back->info.pid = 4800;
	back->attached_realtime_ns = FIXTURE_AGO(9);
	fixture->targets[2].id = 3; /* was there all the time: no successor */
	fixture->targets[2].info.pid = 4700;
	fixture->snapshot.n_targets = 3;
	dashboard_init(&ui, true, 1000);
	assert_title(fixture, &ui, "PID 4800");
	assert_says(fixture, "BACK since 12:05:02: PID 4711 ended 12:04:51, OOM-killed by the kernel\n");
	dashboard_key(&ui, &fixture->snapshot, KEY_TAB_BACK);
	assert_title(fixture, &ui, "PID 4711");
	ended->info.followed = true; /* a child that the parent replaced */
	dashboard_init(&ui, true, 1000);
	assert_title(fixture, &ui, "PID 4711");
	ended->info.followed = false;
	back->info.followed = true; /* what it left behind has forked */
	dashboard_init(&ui, true, 1000);
	assert_title(fixture, &ui, "PID 4711");
	assert_says(fixture, "this is the last frame, read 0.4 s before\n");
	back->info.followed = false;
	for (int i = 0; i < 3; i++) /* once around, and chosen by that */
		dashboard_key(&ui, &fixture->snapshot, KEY_TAB_BACK);
	assert_title(fixture, &ui, "PID 4800");
	dashboard_key(&ui, &fixture->snapshot, KEY_TAB_BACK);
	back->ended = true; /* and again: the last frame is that of the last one */
	back->ended_realtime_ns = FIXTURE_AGO(1);
	back->end = (struct fact_target_gone){ TARGET_END_EXITED, 0, 0 };
	assert_title(fixture, &ui, "PID 4711");
	dashboard_init(&ui, true, 1000);
	assert_title(fixture, &ui, "PID 4800");
	assert_says(fixture, "ENDED 12:05:10: exited with code 0; this is the last frame, read 0.4 s before\n");
	back->ended = false;
	strcpy(back->info.name, "orders"); /* another service is no return */
	assert_title(fixture, &ui, "PID 4711");
}

/* Capacity and quota are told; a state of a limit they are not. */
static void test_capacity_is_no_fault(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	struct snapshot_pool *pool = &fixture->pools[FIXTURE_ANYIO];

	pool->threads = 40;
	pool->n_limits = 0;
	assert_says(fixture, "40/-/40 full");
	assert_says(fixture, "At capacity: anyio-worker-* (40 of 40)");
	assert_says(fixture, "More threads than the CPU quota of 2: anyio-worker-* (40)");
	fixture->pools[FIXTURE_OPENMP].is_runtimes_own = true; /* nobody sizes it */
	assert_says(fixture, "More threads than the CPU quota of 2: anyio-worker-* (40), ThreadPoolExecutor-0_* (7)\n");
	pool->fit = (struct snapshot_fit){ 32, 6, "workers", "min(32, 40 CPUs + 4)", "max_workers=6" };
	fixture->targets[0].cgroup.cpus_allowed = 40;
	assert_says(fixture, "anyio-worker-*: 32 workers = min(32, 40 CPUs + 4), but the cgroup's CPU quota is 2: 6 would fit "
			     "(max_workers=6)");
	assert_says(fixture, "OOM kills 0  CPUs 2 of 40");
}

/* In words, so that the table of 80 columns stays as it is. */
static void test_kept_and_churn_in_words(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	char *text;

	fixture->pools[FIXTURE_ANYIO].memory.kept_bytes = FIXTURE_MIB(2048);
	assert_says(fixture, "anyio-worker-*: 2.53G resident, 543M live, 2.00G kept by malloc");
	fixture->pools[FIXTURE_ANYIO].memory.kept_bytes = UNKNOWN_U64; /* a new heap was not read yet */
	fixture->pools[FIXTURE_ANYIO].memory.kept_sum = FIXTURE_MIB(1024);
	assert_says(fixture, "anyio-worker-*: 2.53G resident, at least 1.00G kept by malloc");
	memset(fixture->pools[FIXTURE_ANYIO].memory.resident, 0, sizeof(fixture->pools[FIXTURE_ANYIO].memory.resident));
	fixture->pools[FIXTURE_ANYIO].memory.resident[REGION_ARENA] = FIXTURE_MIB(2048);
	fixture->pools[FIXTURE_ANYIO].memory.kept_unread = FIXTURE_MIB(1536);
	fixture->pools[FIXTURE_ANYIO].memory.kept_sum = FIXTURE_MIB(256);
	assert_says(fixture, "anyio-worker-*: kept by malloc: 512M of 2.00G read so far, of that 256M is free");
	/* Another's malloc, of which nothing can be read, ever. */
	fixture->pools[FIXTURE_ANYIO].memory.kept_unread = FIXTURE_MIB(2048);
	fixture->pools[FIXTURE_ANYIO].memory.kept_sum = 0;
	text = words_of(fixture);
	assert_null(strstr(text, "read so far"));
	free(text);
	fixture->pools[FIXTURE_ANYIO].memory.shared = true;
	assert_says(fixture, "Shared arenas, divided equally where no living thread grew them: anyio-worker-*\n");
	fixture->pools[FIXTURE_ANYIO].memory.held_bytes = FIXTURE_MIB(754);
	assert_says(fixture, "From before the attach, charged to who alone holds it: anyio-worker-* (754M)\n");
	fixture->pools[FIXTURE_ANYIO].memory.held_unattributed_bytes = FIXTURE_MIB(40);
	assert_says(fixture, "From before the attach, held by one pool alone, but perhaps made by others, so not charged: "
			     "anyio-worker-* (40.0M)\n");
	fixture->pools[FIXTURE_EXECUTOR].faults_per_second = 4480;
	fixture->pools[FIXTURE_EXECUTOR].growth_per_minute = 0;
	fixture->targets[0].growth_file = fixture->targets[0].growth_shmem = 0;
	assert_says(fixture, "ThreadPoolExecutor-0_*: 4480 page faults/s without growth");
	/* They fill shared memory: nothing was taken again. */
	fixture->targets[0].growth_shmem = 4480LL * 4096 * 60;
	text = words_of(fixture);
	assert_null(strstr(text, "without growth"));
	free(text);
	/* They fill a mapping from before the attach, which is no pool's. */
	fixture->targets[0].growth_shmem = 0;
	assert_says(fixture, "ThreadPoolExecutor-0_*: 4480 page faults/s without growth");
	fixture->targets[0].children.count = 1;
	assert_says(fixture, "4480 page faults/s without growth: freed and taken again, or copied for its children");
	fixture->targets[0].growth_anon += 4480LL * 4096 * 60;
	text = words_of(fixture);
	assert_null(strstr(text, "without growth"));
	free(text);
	/* They fill what another pool made, that took no faults for it. */
	fixture->pools[FIXTURE_ANYIO].growth_per_minute += 4480LL * 4096 * 60;
	text = words_of(fixture);
	assert_null(strstr(text, "without growth"));
	free(text);
	fixture->pools[FIXTURE_ANYIO].faults_per_second = 5000;
	assert_says(fixture, "ThreadPoolExecutor-0_*: 4480 page faults/s without growth");
}

static void test_blame_in_words(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	char *text;

	blame_pools(fixture);
	assert_says(fixture, "anyio-worker-*: of 2.00G that this pool grew, 1.86G under predict (app.py:42)\n");
	assert_says(fixture, "ThreadPoolExecutor-0_*: of 50.0M that this pool made since the attach, 20.0M under resize (__init__.py), 30.0M not seen at it");
	fixture->targets[0].refused[TABLE_OF_BLAME] = 3;
	assert_says(fixture, "3 times the table of blame was full: that growth is under other functions\n");
	fixture->pools[FIXTURE_EXECUTOR].blame[0].bytes = FIXTURE_MIB(1); /* too little to tell */
	text = words_of(fixture);
	assert_null(strstr(text, "under resize"));
	assert_null(strstr(text, "libgomp:gomp_thread_start: of"));
	free(text);
}

static void test_no_word_without_need(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	const struct words_options options = {.utf8 = true};
	struct word words[WORDS_MAX];
	size_t count;

	fixture->pools[FIXTURE_EXECUTOR].memory.kept_bytes = FIXTURE_MIB(10); /* little */
	fixture->pools[FIXTURE_MAIN].faults_per_second = 600;                 /* it grows by that */
	fixture->pools[FIXTURE_MAIN].growth_per_minute = 600 * 4096 * 60;
	count = words_collect(&fixture->snapshot, fixture->targets, &options, words, WORDS_MAX);
	for (size_t i = 0; i < count; i++) {
		assert_null(strstr(words[i].text, "kept by malloc"));
		assert_null(strstr(words[i].text, "page faults"));
		assert_null(strstr(words[i].text, "that this pool"));
	}
}

/* What such sentences look like in 60 columns and so many lines. */
static char *drawn(const char *const *sentences, size_t count, unsigned int rows)
{
	struct rectangle place = { 0, 0, rows, 60 };
	struct word words[8] = { 0 };
	struct cells *cells = NULL;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	unsigned int used;

	for (size_t i = 0; i < count; i++)
		snprintf(words[i].text, sizeof(words->text), "%s", sentences[i]);
	used = dashboard_draw_words(words, count, place, NULL);
	assert_int_equal(cells_new(rows + 1, place.columns, true, &cells), 0);
	assert_int_equal(dashboard_draw_words(words, count, place, cells), used);
	for (unsigned int row = used; row <= rows; row++)
		assert_int_equal(cells_at(cells, row, 0)->character, U' ');
	cells->rows = used;
	cells_print(cells, out);
	cells->rows = rows + 1;
	cells_free(cells);
	fclose(out);
	return text;
}

static void assert_drawn(const char *const *sentences, size_t count, unsigned int rows, const char *expected)
{
	char *text = drawn(sentences, count, rows);

	assert_string_equal(text, expected);
	free(text);
}

/* A sentence is there whole or not at all: its first half says something else. */
static void test_a_sentence_is_whole_or_left_out(void **state)
{
	static const char *const sentences[] = {
		"STOPPED: the target stands still",
		"pools:decode_main: of 92.6M that this pool grew, 60.1M under decode_main (pools)",
		"libgomp: 40.0M resident, 20.0M live, 20.0M kept by malloc",
		"one more",
	};
	static const char *const first = "STOPPED: the target stands still (3 more: F2)\n";

	assert_drawn(sentences, 4, 1, first);
	assert_drawn(sentences, 4, 2, first); /* the next takes two lines, and what is left out needs room */
	assert_drawn(sentences, 4, 3,
		     "STOPPED: the target stands still\n"
		     "pools:decode_main: of 92.6M that this pool grew, 60.1M under\n"
		     "  decode_main (pools) (2 more: F2)\n");
	/* The third fills its line: beside it there is no room for what tells of the others, below it there is. */
	assert_drawn(sentences, 4, 4,
		     "STOPPED: the target stands still\n"
		     "pools:decode_main: of 92.6M that this pool grew, 60.1M under\n"
		     "  decode_main (pools) (2 more: F2)\n");
	assert_drawn(sentences, 3, 4,
		     "STOPPED: the target stands still\n"
		     "pools:decode_main: of 92.6M that this pool grew, 60.1M under\n"
		     "  decode_main (pools)\n"
		     "libgomp: 40.0M resident, 20.0M live, 20.0M kept by malloc\n");
	assert_drawn(sentences + 2, 2, 1, "libgomp: 40.0M resident, 20.0M live, (2 more: F2)\n");
	assert_drawn(sentences + 1, 2, 1, "pools:decode_main: of 92.6M that this pool (2 more: F2)\n");
	assert_drawn((const char *const[]){ sentences[2], sentences[0], sentences[1] }, 3, 3,
		     "libgomp: 40.0M resident, 20.0M live, 20.0M kept by malloc\n"
		     "STOPPED: the target stands still (1 more: F2)\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_unexplained_is_said_where_it_is_much),
		cmocka_unit_test(test_unattributed_is_explained_where_it_is_much),
		cmocka_unit_test(test_orphaned_is_said),
		cmocka_unit_test(test_old_activity),
		cmocka_unit_test(test_folded_pools),
		cmocka_unit_test(test_return),
		cmocka_unit_test(test_capacity_is_no_fault),
		cmocka_unit_test(test_kept_and_churn_in_words),
		cmocka_unit_test(test_blame_in_words),
		cmocka_unit_test(test_no_word_without_need),
		cmocka_unit_test(test_a_sentence_is_whole_or_left_out),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	if (!setlocale(LC_ALL, "C.UTF-8"))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
