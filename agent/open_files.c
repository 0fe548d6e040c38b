/* SPDX-License-Identifier: GPL-2.0-only */
/* How many files the agent may hold open: each target takes three to four. It must not know who opens them. */
#include "open_files.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

static rlim_t spare = 16; /* what a refresh opens at one time */
static rlim_t soft;       /* as it was; 0: not raised */

void open_files_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= limit.rlim_max)
		return;
	soft = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		soft = 0;
}

void open_files_restore(void)
{
	struct rlimit limit;

	if (!soft || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = soft;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

void open_files_spare(unsigned int more)
{
	spare += more;
}

bool open_files_have_room(void)
{
	struct rlimit limit;
	int lowest = eventfd(0, EFD_CLOEXEC); /* the lowest that is free */

	if (lowest < 0)
		return false;
	close(lowest);
	/* Of a very small limit half is kept. */
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return true;
	return (rlim_t)lowest + (limit.rlim_cur / 2 < spare ? limit.rlim_cur / 2 : spare) < limit.rlim_cur;
}

bool open_files_are_short(int error)
{
	return error == -EMFILE || error == -ENFILE;
}
