/* SPDX-License-Identifier: GPL-2.0-only */
/* N idle threads, or churn: threads that end and are replaced all the time. Says "ready PID" once
 * all run; lives until its standard input closes. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *idle(void *argument)
{
	pause();
	return argument;
}

static void *brief(void *argument)
{
	char page[8192];

	memset(page, 1, sizeof(page));
	__asm__ volatile("" : : "r"(page) : "memory");
	usleep(1000);
	return argument;
}

static void *churn(void *argument)
{
	for (;;) {
		pthread_t thread;

		if (!pthread_create(&thread, NULL, brief, NULL))
			pthread_join(thread, NULL);
	}
	return argument;
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? strtol(argv[1], NULL, 10) : 10;
	long churners = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
	pthread_attr_t attributes;
	char byte;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64 << 10);
	for (long i = 0; i < count + churners; i++) {
		pthread_t thread;
		int error = pthread_create(&thread, &attributes, i < count ? idle : churn, NULL);

		if (error) {
			fprintf(stderr, "idlers: thread %ld: %s\n", i, strerror(error));
			return 1;
		}
	}
	printf("ready %d\n", getpid());
	fflush(stdout);
	return read(STDIN_FILENO, &byte, 1) < 0;
}
