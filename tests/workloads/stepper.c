/* SPDX-License-Identifier: GPL-2.0-only */
/* A pool that grows and shrinks on demand: "up" starts a worker and answers with CLOCK_MONOTONIC in ns
 * just before the clone, "down" ends the newest. It must not know who observes. */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WORKERS_MAX 1024

static struct worker {
	pthread_t thread;
	sem_t end;
} workers[WORKERS_MAX];

static void *stepper_worker(void *argument)
{
	struct worker *worker = argument;

	while (sem_wait(&worker->end))
		;
	return NULL;
}

int main(void)
{
	struct timespec now;
	size_t count = 0;
	char word[8];

	printf("ready %d\n", getpid());
	fflush(stdout);
	while (scanf(" %7s", word) == 1) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (!strcmp(word, "up") && count < WORKERS_MAX) {
			sem_init(&workers[count].end, 0, 0);
			if (pthread_create(&workers[count].thread, NULL, stepper_worker, &workers[count]))
				return 1;
			count++;
		} else if (!strcmp(word, "down") && count) {
			count--;
			sem_post(&workers[count].end);
			pthread_join(workers[count].thread, NULL);
		}
		printf("%lld\n", (long long)now.tv_sec * 1000000000LL + now.tv_nsec);
		fflush(stdout);
	}
	return 0;
}
