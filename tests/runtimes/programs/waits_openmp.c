/* SPDX-License-Identifier: GPL-2.0-only */
/* The workers of an OpenMP team of argv[1] threads in and out of tasks. The team is of a thread of its own. */
#include "waits.h"

#include <omp.h>
#include <semaphore.h>

static sem_t begin, done;
static int team;

static void *master(void *unused)
{
	for (;;) {
#pragma omp parallel num_threads(team)
		{
			if (omp_get_thread_num())
				task();
			else
				until_all_are_in();
		}
		sem_post(&done);
		sem_wait(&begin);
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

int main(int argc, char **argv)
{
	pthread_t thread;

	team = atoi(argv[1]);
	sem_init(&begin, 0, 0);
	sem_init(&done, 0, 0);
	if (pthread_create(&thread, NULL, master, NULL))
		return 1;
	tasks_end();
	return serve();
}
