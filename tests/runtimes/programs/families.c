/* SPDX-License-Identifier: GPL-2.0-only */
/* A thread for each name on stdin, answered when it carries the name. */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static char name[32];
static sem_t named;

static void *wait_named(void *argument)
{
	prctl(PR_SET_NAME, name);
	sem_post(&named);
	pause();
	return argument;
}

int main(void)
{
	sem_init(&named, 0, 0);
	printf("{\"ready\":%d}\n", getpid());
	fflush(stdout);
	while (scanf("%31s", name) == 1) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, wait_named, NULL))
			return 1;
		while (sem_wait(&named))
			;
		printf("{\"named\":\"%s\"}\n", name);
		fflush(stdout);
	}
	return 0;
}
