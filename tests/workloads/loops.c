/* SPDX-License-Identifier: GPL-2.0-only */
/* Loops whose speed tells what an observer costs. Reads "keep MIB" lines, answers "kept" when it has them; and "go MODE
 * SECONDS" lines, answers with the rates a second and a CPU second; modes: mmap, thread, touch, getppid, flit, calls. It
 * must not know who observes. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TOUCH_BYTES (4UL << 20)
#define PAGE 4096UL
#define FLIT_BLOCKS 16
#define FLIT_BYTES (48 * PAGE)

static double seconds_of(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void *map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fail("mmap");
	return memory;
}

static void step_mmap(void)
{
	if (munmap(map(16 * PAGE), 16 * PAGE))
		fail("munmap");
}

static void *worker(void *argument)
{
	return argument;
}

static void step_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, worker, NULL) || pthread_join(thread, NULL))
		fail("pthread");
}

static void step_touch(void)
{
	static char *memory;

	if (!memory)
		memory = map(TOUCH_BYTES);
	for (size_t at = 0; at < TOUCH_BYTES; at += PAGE)
		memory[at] = 1;
	if (madvise(memory, TOUCH_BYTES, MADV_DONTNEED))
		fail("madvise");
}

/* As many filled blocks as ever, none of them for long. */
static void step_flit(void)
{
	static char *blocks[FLIT_BLOCKS];
	static size_t at;
	char **block = &blocks[at++ % FLIT_BLOCKS];

	if (*block && munmap(*block, FLIT_BYTES))
		fail("munmap");
	*block = map(FLIT_BYTES);
	memset(*block, 1, FLIT_BYTES);
}

/* One of each of the other calls that are watched. */
static void step_calls(void)
{
	static char *memory;

	if (!memory)
		memory = map(PAGE);
	if (mprotect(memory, PAGE, PROT_READ) || mprotect(memory, PAGE, PROT_READ | PROT_WRITE))
		fail("mprotect");
	if (mremap(memory, PAGE, PAGE, MREMAP_MAYMOVE) != memory)
		fail("mremap");
	if (sbrk((intptr_t)PAGE) == (void *)-1 || sbrk(-(intptr_t)PAGE) == (void *)-1)
		fail("brk");
	if (prctl(PR_SET_NAME, "loops"))
		fail("prctl");
}

static void step_getppid(void)
{
	for (int i = 0; i < 100; i++)
		syscall(SYS_getppid);
}

static const struct mode {
	const char *name;
	void (*step)(void);
} modes[] = {
	{"mmap", step_mmap}, {"thread", step_thread}, {"touch", step_touch}, {"getppid", step_getppid},
	{"flit", step_flit}, {"calls", step_calls},
};

static void keep(size_t bytes)
{
	if (bytes)
		memset(map(bytes), 1, bytes);
	printf("kept\n");
	fflush(stdout);
}

int main(void)
{
	char word[8], name[16];
	double seconds;

	printf("ready %d\n", getpid());
	fflush(stdout);
	while (scanf(" %7s %15s", word, name) == 2) {
		const struct mode *mode = NULL;
		unsigned long steps = 0;
		double start, cpu, end;

		if (!strcmp(word, "keep")) {
			keep(strtoul(name, NULL, 10) << 20);
			continue;
		}
		if (scanf(" %lf", &seconds) != 1)
			return 2;
		start = seconds_of(CLOCK_MONOTONIC);
		cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
		for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
			if (!strcmp(modes[i].name, name))
				mode = &modes[i];
		if (!mode)
			return 2;
		do {
			for (int i = 0; i < 16; i++)
				mode->step();
			steps += 16;
			end = seconds_of(CLOCK_MONOTONIC);
		} while (end - start < seconds);
		cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
		printf("%.1f %.1f\n", (double)steps / (end - start), (double)steps / cpu);
		fflush(stdout);
	}
	return 0;
}
