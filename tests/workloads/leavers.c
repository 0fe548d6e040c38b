/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads that come and go while others keep the memory's lock busy, so that leaving takes its time. Each line on stdin makes
 * them pause, or go on, and is answered. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PER_TURN 4
#define MAKERS 3
#define MAPPERS 4
#define BLOCK (1 << 20)

static atomic_bool paused;
static atomic_int at_rest;

static void rest(void)
{
	if (!atomic_load(&paused))
		return;
	atomic_fetch_add(&at_rest, 1);
	while (atomic_load(&paused))
		usleep(1000);
	atomic_fetch_sub(&at_rest, 1);
}

static void *use_stack(void *unused)
{
	char bytes[60000];

	memset(bytes, 1, sizeof(bytes));
	__asm__ volatile("" : : "r"(bytes) : "memory");
	return NULL;
}

static void *make(void *unused)
{
	pthread_t threads[PER_TURN];

	for (;;) {
		rest();
		for (int i = 0; i < PER_TURN; i++)
			if (pthread_create(&threads[i], NULL, use_stack, NULL))
				_exit(1);
		for (int i = 0; i < PER_TURN; i++)
			pthread_join(threads[i], NULL);
	}
}

static void *map(void *unused)
{
	for (;;) {
		void *block;

		rest();
		block = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (block == MAP_FAILED)
			_exit(1);
		memset(block, 1, BLOCK);
		munmap(block, BLOCK);
	}
}

int main(void)
{
	pthread_t thread;
	char line[16];

	for (int i = 0; i < MAKERS + MAPPERS; i++)
		if (pthread_create(&thread, NULL, i < MAKERS ? make : map, NULL))
			return 1;
	printf("{\"ready\": %d}\n", getpid());
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		bool pause = !atomic_load(&paused);

		atomic_store(&paused, pause);
		while (atomic_load(&at_rest) != (pause ? MAKERS + MAPPERS : 0))
			usleep(1000);
		printf("{\"paused\": %s}\n", pause ? "true" : "false");
		fflush(stdout);
	}
	_exit(0);
}
