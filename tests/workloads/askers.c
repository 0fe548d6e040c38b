/* SPDX-License-Identifier: GPL-2.0-only */
/* Functions that make memory grow in various ways, run by pools of threads under command: each line on stdin is
 * answered with a line of JSON. It must not know who observes. Tests build it with other options, too. */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))
#define BLOCK (4UL << 20)
#define POOLS_MAX 8
#define THREADS_MAX 8
#define KEPT_MAX 65536

typedef void task(void);

static void *kept[KEPT_MAX]; /* so that nothing is a leak, and nothing is optimised away */
static unsigned int n_kept;

/* Present in memory, whatever the compiler thinks of it. */
static void fill(void *memory, unsigned long length)
{
	memset(memory, 1, length);
	__asm__ volatile("" : : "r"(memory) : "memory");
}

static void keep(void *memory)
{
	if (!memory || memory == MAP_FAILED)
		abort();
	kept[__atomic_fetch_add(&n_kept, 1, __ATOMIC_RELAXED) % KEPT_MAX] = memory;
}

/* Each function does something after its call, so that none ends in a jump. */
NOINLINE static void map_much(void)
{
	void *memory = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	fill(memory, BLOCK);
	keep(memory);
}

NOINLINE static void allocate_much(void)
{
	void *memory = malloc(BLOCK);

	fill(memory, BLOCK);
	keep(memory);
}

NOINLINE static void allocate_small(void)
{
	for (int i = 0; i < 4000; i++) {
		char *memory = malloc(700);

		fill(memory, 700);
		kept[i] = memory;
	}
	__asm__ volatile("" ::: "memory");
}

static inline __attribute__((always_inline)) void map_step(unsigned long length)
{
	void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	fill(memory, length);
	keep(memory);
}

NOINLINE static void map_more(void)
{
	map_step(32 << 10);
	__asm__ volatile("" ::: "memory");
}

NOINLINE static void map_less(void)
{
	map_step(80 << 10);
	__asm__ volatile("" ::: "memory");
}

/* The same steps again and again: three quarters of it by one function, a quarter by another. */
NOINLINE static void map_in_steps(void)
{
	for (int i = 0; i < 250; i++) {
		for (int k = 0; k < 7; k++)
			map_more();
		map_less();
		usleep(20000);
	}
}

/* A MiB and a half. */
NOINLINE static void allocate_few(void)
{
	for (int i = 0; i < 2000; i++) {
		char *memory = malloc(800);

		fill(memory, 800);
		kept[i] = memory;
	}
	__asm__ volatile("" ::: "memory");
}

NOINLINE static void extend(void)
{
	char *memory = NULL;

	for (unsigned long size = BLOCK / 8; size <= BLOCK; size += BLOCK / 8) {
		char *longer = realloc(memory, size);

		if (!longer)
			abort();
		memory = longer;
		fill(memory, size);
	}
	keep(memory);
}

/* A function that asks through another of its own: who called the library is told, not who called that. */
NOINLINE static void through_another(void)
{
	allocate_much();
	__asm__ volatile("" ::: "memory");
}

/* Much step by step, and at once thereafter much by one call of another function. */
NOINLINE static void in_turn(void)
{
	allocate_small();
	allocate_much();
	__asm__ volatile("" ::: "memory");
}

static const struct {
	const char *name;
	task *run;
} tasks[] = {
	{"map_much", map_much}, {"allocate_much", allocate_much}, {"allocate_small", allocate_small},
	{"map_in_steps", map_in_steps}, {"allocate_few", allocate_few},	{"extend", extend}, {"through_another", through_another}, {"in_turn", in_turn},
};

static struct pool {
	char name[12];
	unsigned int threads, waiting;
	task *todo;
	unsigned int left, undone;
	pthread_mutex_t lock;
	pthread_cond_t come, done;
} pools[POOLS_MAX];

static void *work(void *argument)
{
	struct pool *pool = argument;

	pthread_mutex_lock(&pool->lock);
	pool->waiting++;
	pthread_cond_broadcast(&pool->done);
	for (;;) {
		while (!pool->left)
			pthread_cond_wait(&pool->come, &pool->lock);
		pool->left--;
		pthread_mutex_unlock(&pool->lock);
		pool->todo();
		pthread_mutex_lock(&pool->lock);
		pool->undone--;
		pthread_cond_broadcast(&pool->done);
	}
	return NULL;
}

static bool start(const char *name, unsigned int threads)
{
	for (struct pool *pool = pools; pool < pools + POOLS_MAX; pool++) {
		if (pool->threads)
			continue;
		pthread_mutex_init(&pool->lock, NULL);
		pthread_cond_init(&pool->come, NULL);
		pthread_cond_init(&pool->done, NULL);
		snprintf(pool->name, sizeof(pool->name), "%.11s", name);
		pool->threads = threads;
		for (unsigned int i = 0; i < threads; i++) {
			char text[16];
			pthread_t thread;

			if (pthread_create(&thread, NULL, work, pool))
				return false;
			snprintf(text, sizeof(text), "%.11s-%u", pool->name, i % 100);
			pthread_setname_np(thread, text);
		}
		pthread_mutex_lock(&pool->lock);
		while (pool->waiting < threads)
			pthread_cond_wait(&pool->done, &pool->lock);
		pthread_mutex_unlock(&pool->lock);
		return true;
	}
	return false;
}

static bool run(const char *name, const char *function, unsigned int count)
{
	struct pool *pool = NULL;
	task *todo = NULL;

	for (size_t i = 0; i < POOLS_MAX; i++)
		if (pools[i].threads && !strcmp(pools[i].name, name))
			pool = &pools[i];
	for (size_t i = 0; i < sizeof(tasks) / sizeof(*tasks); i++)
		if (!strcmp(tasks[i].name, function))
			todo = tasks[i].run;
	if (!pool || !todo)
		return false;
	pthread_mutex_lock(&pool->lock);
	pool->todo = todo;
	pool->left = pool->undone = count;
	pthread_cond_broadcast(&pool->come);
	while (pool->undone)
		pthread_cond_wait(&pool->done, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
	return true;
}

int main(void)
{
	char line[128], name[32], function[32];
	unsigned int count;

	setvbuf(stdout, NULL, _IOLBF, 4096);
	printf("{\"ready\": %d}\n", getpid());
	while (fgets(line, sizeof(line), stdin)) {
		bool is_done = false;

		if (sscanf(line, "pool %31s %u", name, &count) == 2)
			is_done = count <= THREADS_MAX && start(name, count);
		else if (sscanf(line, "run %31s %31s %u", name, function, &count) == 3)
			is_done = run(name, function, count);
		puts(is_done ? "{}" : "{\"error\": \"what is that?\"}");
	}
	return 0;
}
