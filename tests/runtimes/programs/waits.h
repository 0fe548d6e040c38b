/* SPDX-License-Identifier: GPL-2.0-only */
/* A pool of a runtime whose workers are put into tasks by command: each line on stdin is answered with a line of JSON once
 * it is so. `in BLOCKED SPINNING`: so many tasks that wait, and that compute; `out`: all of them end. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The program's runtime: so many tasks are to be run, by its workers. May return before they are. */
static void tasks_run(unsigned count);
/* All tasks have ended: returns when the workers have nothing to do any more. */
static void tasks_end(void);

#ifndef WAIT
#define WAIT(condition, mutex) pthread_cond_wait(condition, mutex)
#endif

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned tickets, blocked, spinning, present;
static volatile int is_open;

/* By the same wait as a runtime's own, but in a task; and not by a jump at its end. */
__attribute__((noinline)) static void task(void)
{
	int spins;

	pthread_mutex_lock(&gate);
	if (!tickets) {
		pthread_mutex_unlock(&gate);
		return;
	}
	spins = --tickets >= blocked;
	present++;
	pthread_cond_broadcast(&changed);
	while (!spins && !is_open)
		WAIT(&changed, &gate);
	pthread_mutex_unlock(&gate);
	while (!is_open)
		continue;
	pthread_mutex_lock(&gate);
	present--;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&gate);
}

/* Of those who give work, where they have to take part in it. */
__attribute__((noinline, unused)) static void until_all_are_in(void)
{
	pthread_mutex_lock(&gate);
	while (present < blocked + spinning && !is_open)
		pthread_cond_wait(&changed, &gate);
	pthread_mutex_unlock(&gate);
}

static void command_in(void)
{
	is_open = 0;
	tickets = blocked + spinning;
	tasks_run(tickets);
	until_all_are_in();
}

static void command_out(void)
{
	pthread_mutex_lock(&gate);
	is_open = 1;
	pthread_cond_broadcast(&changed);
	while (present)
		pthread_cond_wait(&changed, &gate);
	pthread_mutex_unlock(&gate);
	tasks_end();
}

static int serve(void)
{
	char line[64];

	printf("{\"ready\": %d}\n", getpid());
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "in %u %u", &blocked, &spinning) == 2)
			command_in();
		else
			command_out();
		printf("{\"in\": %u}\n", present);
		fflush(stdout);
	}
	_exit(0);
}
