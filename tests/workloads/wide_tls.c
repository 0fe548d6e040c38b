/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads with 3 MiB of thread-local variables each, which lie between a stack and the thread's descriptor, and 8 MiB of
 * small blocks (with glibc in an arena of their own); between their stacks lie mappings of 2 MiB that the first thread
 * makes. It must not know poolscope. usage: wide_tls THREADS; says {"ready":PID}, makes the threads at the first line read
 * and answers it. */
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define LOCALS ((size_t)3 << 20)
#define BETWEEN ((size_t)2 << 20)
#define BLOCKS ((size_t)8 << 20)
#define BLOCK 4000U

static __thread char locals[LOCALS];
static __thread char *last;
static pthread_barrier_t grown;

static void *run(void *unused)
{
	prctl(PR_SET_NAME, "wide-1");
	memset(locals, 1, sizeof(locals));
	for (size_t taken = 0; taken < BLOCKS; taken += BLOCK) {
		last = malloc(BLOCK);
		memset(last, 1, BLOCK);
	}
	pthread_barrier_wait(&grown);
	for (;;)
		pause();
	return unused;
}

static int start(void)
{
	void *between = mmap(NULL, BETWEEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t thread;

	if (between == MAP_FAILED)
		return -1;
	memset(between, 1, BETWEEN);
	return pthread_create(&thread, NULL, run, NULL);
}

int main(int argc, char **argv)
{
	unsigned threads = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 4;
	char line[64];

#ifdef __GLIBC__
	mallopt(M_ARENA_MAX, (int)threads + 1);
#endif
	pthread_barrier_init(&grown, NULL, threads + 1);
	printf("{\"ready\":%d}\n", getpid());
	fflush(stdout);
	for (bool is_grown = false; fgets(line, sizeof(line), stdin); is_grown = true) {
		for (unsigned i = 0; !is_grown && i < threads; i++)
			if (start())
				return 1;
		if (!is_grown)
			pthread_barrier_wait(&grown);
		puts("{}");
		fflush(stdout);
	}
	return 0;
}
