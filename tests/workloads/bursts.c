/* SPDX-License-Identifier: GPL-2.0-only */
/* Children that begin with many threads at once for a moment. Says {"ready":PID}; `bursts CHILDREN THREADS MICROSECONDS
 * [NAME [ROUNDS [LATE]]]`: on a line on stdin so many children are made, one after the other, each with so many threads for so
 * long, of whom all live at the same time, and so many times over; each takes that name LATE microseconds after it has begun.
 * Answers {"children":N} once the last one's threads have ended; the children live on until the program ends. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS_MAX 64

static unsigned int threads, microseconds, rounds, late;
static const char *name; /* NULL: none of their own */
static pthread_barrier_t all;

static void *live(void *unused)
{
	if (late)
		usleep(late);
	if (name)
		prctl(PR_SET_NAME, name);
	pthread_barrier_wait(&all);
	usleep(microseconds);
	return unused;
}

__attribute__((noreturn)) static void child(int told)
{
	pthread_t thread[THREADS_MAX];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pthread_barrier_init(&all, NULL, threads);
	for (unsigned int round = 0; round < rounds; round++) {
		for (unsigned int i = 0; i < threads; i++) {
			if (pthread_create(&thread[i], NULL, live, NULL))
				_exit(1);
		}
		for (unsigned int i = 0; i < threads; i++)
			pthread_join(thread[i], NULL);
	}
	if (write(told, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	unsigned int children = argc > 3 ? (unsigned int)strtoul(argv[1], NULL, 10) : 0;
	char byte;
	int told[2];

	threads = argc > 3 ? (unsigned int)strtoul(argv[2], NULL, 10) : 0;
	microseconds = argc > 3 ? (unsigned int)strtoul(argv[3], NULL, 10) : 0;
	name = argc > 4 ? argv[4] : NULL;
	rounds = argc > 5 ? (unsigned int)strtoul(argv[5], NULL, 10) : 1;
	late = argc > 6 ? (unsigned int)strtoul(argv[6], NULL, 10) : 0;
	if (!children || children > 64 || !threads || threads > THREADS_MAX || pipe(told)) {
		fprintf(stderr, "usage: bursts CHILDREN THREADS MICROSECONDS [NAME [ROUNDS [LATE]]]\n");
		return 2;
	}
	printf("{\"ready\":%d}\n", getpid());
	fflush(stdout);
	if (getchar() == EOF)
		return 0;
	for (unsigned int i = 0; i < children; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 1;
		if (!pid)
			child(told[1]);
		if (read(told[0], &byte, 1) != 1)
			return 1;
	}
	printf("{\"children\":%u}\n", children);
	fflush(stdout);
	while (getchar() != EOF)
		continue;
	return 0;
}
