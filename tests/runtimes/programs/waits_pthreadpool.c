/* SPDX-License-Identifier: GPL-2.0-only */
/* A pthreadpool's three workers in and out of tasks. Who gives the work takes part: it is a thread of its own. */
#include "waits.h"

#include <pthreadpool.h>
#include <semaphore.h>

static sem_t begin, done;
static pthread_t giver;

static void item(void *unused, size_t number)
{
	if (pthread_equal(pthread_self(), giver))
		until_all_are_in();
	else
		task();
	__asm__ volatile("" : : : "memory");
}

static void *give(void *unused)
{
	pthreadpool_t pool = pthreadpool_create(4);

	giver = pthread_self();
	for (;;) {
		sem_post(&done);
		sem_wait(&begin);
		pthreadpool_parallelize_1d(pool, item, NULL, 64, 0);
	}
	return unused;
}

static void tasks_run(unsigned count)
{
	sem_post(&begin);
}

static void tasks_end(void)
{
	sem_wait(&done);
}

int main(void)
{
	pthread_t thread;

	sem_init(&begin, 0, 0);
	sem_init(&done, 0, 0);
	if (pthread_create(&thread, NULL, give, NULL))
		return 1;
	tasks_end();
	return serve();
}
