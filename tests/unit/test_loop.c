/* SPDX-License-Identifier: GPL-2.0-only */
/* The event loop: nothing starves, callbacks may change the loop, masks come back. No test waits for
 * a moment in time: each ends when what it waits for has happened. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "boottime.h"
#include "edge/loop.h"

struct world {
	struct loop *loop;
	struct loop_timer *timer;
	int fds[100], n_fds;
	unsigned fired, floods, signals;
};

static int on_flood(void *context, int fd)
{
	struct world *world = context;

	/* Never read: it stays ready for ever. */
	world->floods++;
	return 0;
}

static int on_timer_quit(void *context)
{
	struct world *world = context;

	world->fired++;
	loop_quit(world->loop);
	return 0;
}

static int begin(void **state)
{
	static struct world world;

	world = (struct world){ 0 };
	*state = &world;
	return loop_new(&world.loop);
}

static int end(void **state)
{
	struct world *world = *state;

	loop_free(world->loop);
	for (int i = 0; i < world->n_fds; i++)
		close(world->fds[i]);
	return 0;
}

static void flood(struct world *world, int n, int (*callback)(void *context, int fd))
{
	for (int i = 0; i < n; i++) {
		int fd = eventfd(1, EFD_CLOEXEC);

		assert_true(fd >= 0);
		world->fds[world->n_fds++] = fd;
		assert_int_equal(loop_add_fd(world->loop, fd, callback, world), 0);
	}
}

static void timer_under_flood(void **state)
{
	struct world *world = *state;

	flood(world, 100, on_flood);
	assert_int_equal(loop_add_timer(world->loop, on_timer_quit, world, &world->timer), 0);
	loop_timer_at(world->timer, boottime() + 20 * NSEC_PER_MSEC);
	assert_int_equal(loop_run(world->loop), 0);
	assert_int_equal(world->fired, 1);
	assert_true(world->floods > 0);
}

static int on_signal(void *context, int signal)
{
	struct world *world = context;

	assert_int_equal(signal, SIGUSR1);
	world->signals++;
	return 42;
}

static void signal_under_flood(void **state)
{
	struct world *world = *state;
	sigset_t signals, mask;

	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	flood(world, 100, on_flood);
	assert_int_equal(loop_signals(world->loop, &signals, on_signal, world), 0);
	assert_int_equal(loop_signals(world->loop, &signals, on_signal, world), -EALREADY);
	raise(SIGUSR1);
	assert_int_equal(loop_run(world->loop), 42);
	assert_int_equal(world->signals, 1);
	loop_free(world->loop);
	world->loop = NULL;
	sigprocmask(SIG_BLOCK, NULL, &mask);
	assert_int_equal(sigismember(&mask, SIGUSR1), 0);
}

static int on_nth_quit(void *context)
{
	struct world *world = context;

	if (++world->fired == 3)
		loop_quit(world->loop);
	return 0;
}

static void timers_repeat_and_disarm(void **state)
{
	struct world *world = *state;
	struct loop_timer *never;

	assert_int_equal(loop_add_timer(world->loop, on_timer_quit, world, &never), 0);
	loop_timer_at(never, 1);
	loop_timer_at(never, UINT64_MAX);
	assert_int_equal(loop_add_timer(world->loop, on_nth_quit, world, &world->timer), 0);
	loop_timer_every(world->timer, NSEC_PER_MSEC);
	assert_int_equal(loop_run(world->loop), 0);
	assert_int_equal(world->fired, 3);
	/* A moment that has passed comes at once. */
	loop_timer_every(world->timer, 0);
	loop_timer_at(never, 0);
	assert_int_equal(loop_run(world->loop), 0);
	assert_int_equal(world->fired, 4);
}

/* The first of the ready ones takes all away, itself too: no other may be called after that. */
static int on_remove_all(void *context, int fd)
{
	struct world *world = context;

	world->floods++;
	for (int i = 0; i < world->n_fds; i++)
		loop_remove_fd(world->loop, world->fds[i]);
	loop_timer_at(world->timer, 0);
	return 0;
}

static void removal_within_a_round(void **state)
{
	struct world *world = *state;

	flood(world, 10, on_remove_all);
	assert_int_equal(loop_add_fd(world->loop, world->fds[0], on_flood, world), -EEXIST);
	assert_int_equal(loop_add_timer(world->loop, on_timer_quit, world, &world->timer), 0);
	assert_int_equal(loop_run(world->loop), 0);
	assert_int_equal(world->floods, 1);
	/* The same descriptor may come back. */
	assert_int_equal(loop_add_fd(world->loop, world->fds[0], on_remove_all, world), 0);
	assert_int_equal(loop_run(world->loop), 0);
	assert_int_equal(world->floods, 2);
}

static int on_hang_up(void *context, int fd)
{
	struct world *world = context;
	char byte;

	assert_int_equal(read(fd, &byte, 1), 0);
	world->fired++;
	return -ECONNRESET;
}

static void hang_up_and_errors_end_the_run(void **state)
{
	struct world *world = *state;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	world->fds[world->n_fds++] = pair[0];
	close(pair[1]);
	assert_int_equal(loop_add_fd(world->loop, pair[0], on_hang_up, world), 0);
	assert_int_equal(loop_run(world->loop), -ECONNRESET);
	assert_int_equal(world->fired, 1);
	assert_int_equal(loop_add_fd(world->loop, -1, on_hang_up, world), -EBADF);
}

#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(timer_under_flood),
		LOOP_TEST(signal_under_flood),
		LOOP_TEST(timers_repeat_and_disarm),
		LOOP_TEST(removal_within_a_round),
		LOOP_TEST(hang_up_and_errors_end_the_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
