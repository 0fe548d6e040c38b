/* SPDX-License-Identifier: GPL-2.0-only */
/* Runs an OpenMP team of argv[1] threads in the main thread, or one in each of argv[2] threads of its own, and
 * keeps them all. Says so on stdout, and stays until stdin ends. */
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_barrier_t all;
static int team;

static void run_team(void)
{
	int sum = 0;

#pragma omp parallel num_threads(team) reduction(+ : sum)
	sum += omp_get_thread_num();
	if (sum != team * (team - 1) / 2)
		abort();
}

static void *team_master(void *unused)
{
	run_team();
	pthread_barrier_wait(&all);
	pause();
	return NULL;
}

int main(int argc, char **argv)
{
	int masters = argc > 2 ? atoi(argv[2]) : 0;
	pthread_t thread;

	team = atoi(argv[1]);
	pthread_barrier_init(&all, NULL, (unsigned int)masters + 1);
	if (argc > 3) /* told when to begin */
		getchar();
	if (!masters)
		run_team();
	for (int i = 0; i < masters; i++)
		if (pthread_create(&thread, NULL, team_master, NULL))
			return 1;
	pthread_barrier_wait(&all);
	printf("{\"ready\": %d}\n", getpid());
	fflush(stdout);
	while (getchar() != EOF)
		;
	_exit(0);
}
