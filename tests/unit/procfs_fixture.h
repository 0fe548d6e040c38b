/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of the procfs source share: the source on the real /proc, a sink that keeps facts, and a child
 * that stands still. Include after cmocka.h. */
#ifndef TESTS_PROCFS_FIXTURE_H
#define TESTS_PROCFS_FIXTURE_H

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "source/procfs_internal.h"

static struct procfs *procfs;

static inline int open_procfs(void **state)
{
	struct explain explain;

	return procfs_open(NULL, &procfs, &explain);
}

static inline int close_procfs(void **state)
{
	procfs_free(procfs);
	return 0;
}

struct kept {
	struct fact facts[64];
	size_t count;
};

static inline int keep(void *context, const struct fact *fact)
{
	struct kept *kept = context;

	assert_true(kept->count < ARRAY_SIZE(kept->facts));
	kept->facts[kept->count++] = *fact;
	return 0;
}

static inline uint64_t boottime(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/* A child that has reached a known point: it stopped itself. */
static inline pid_t child_stopped(void (*prepare)(void))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		if (prepare)
			prepare();
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status));
	return child;
}

static inline void child_end(pid_t child)
{
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

#endif
