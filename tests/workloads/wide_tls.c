/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads with 3 MiB of thread-local variables each, which lie between a stack and the thread's descriptor, and 8 MiB of
 * small blocks in an arena of their own. It must not know poolscope. usage: wide_tls THREADS; says {"ready":PID}, makes
 * the threads at the first line read and answers it. */
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define LOCALS ((size_t)3 << 20)
#define BLOCKS ((size_t)8 << 20)
#define BLOCK 4000U

static __thread char locals[LOCALS];
static pthread_barrier_t grown;

static void *run(void *unused)
{
	prctl(PR_SET_NAME, "wide-1");
	memset(locals, 1, sizeof(locals));
	for (size_t taken = 0; taken < BLOCKS; taken += BLOCK)
		memset(malloc(BLOCK), 1, BLOCK);
	pthread_barrier_wait(&grown);
	for (;;)
		pause();
	return unused;
}

int main(int argc, char **argv)
{
	unsigned threads = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 4;
	char line[64];

	mallopt(M_ARENA_MAX, (int)threads + 1);
	pthread_barrier_init(&grown, NULL, threads + 1);
	printf("{\"ready\":%d}\n", getpid());
	fflush(stdout);
	for (bool is_grown = false; fgets(line, sizeof(line), stdin); is_grown = true) {
		pthread_t thread;

		for (unsigned i = 0; !is_grown && i < threads; i++)
			if (pthread_create(&thread, NULL, run, NULL))
				return 1;
		if (!is_grown)
			pthread_barrier_wait(&grown);
		puts("{}");
		fflush(stdout);
	}
	return 0;
}
