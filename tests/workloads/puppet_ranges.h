/* SPDX-License-Identifier: GPL-2.0-only */
/* The puppet's verbs on ranges of addresses, and the tables of its actors and ranges. It must not know poolscope or
 * the rule of ownership. */
#ifndef POOLSCOPE_WORKLOADS_PUPPET_RANGES_H
#define POOLSCOPE_WORKLOADS_PUPPET_RANGES_H

#include <pthread.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include "truth.h"

#define ACTORS_MAX 64
#define RANGES_MAX 64
#define WORDS_MAX 8
#define SLOT ((uintptr_t)1 << 30) /* each range has a gigabyte to itself, far from the kernel's own choices */
#define SLOT_FIRST ((uintptr_t)0x100000000000)

struct range {
	char name[16];
	uintptr_t start;
	size_t length;
};

struct actor {
	char name[16];
	pthread_t thread;
	pid_t tid;
	bool alive, leaving;
	struct range stack;
	uintptr_t heap;
	char **words;
	int n_words;
};

static struct actor actors[ACTORS_MAX];
static struct range ranges[RANGES_MAX];
static unsigned n_actors, n_ranges;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static char **arguments;

static struct actor *actor_find(const char *name)
{
	for (unsigned i = n_actors; i-- > 0;)
		if (strcmp(actors[i].name, name) == 0 && actors[i].alive)
			return &actors[i];
	return NULL;
}

static struct range *range_find(const char *name)
{
	for (unsigned i = 0; i < n_ranges; i++)
		if (strcmp(ranges[i].name, name) == 0)
			return &ranges[i];
	return NULL;
}

static int protection(const char *word)
{
	static const struct {
		const char *name;
		int bits;
	} table[] = { { "none", PROT_NONE }, { "r", PROT_READ }, { "rw", PROT_READ | PROT_WRITE } };

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (strcmp(table[i].name, word) == 0)
			return table[i].bits;
	return PROT_READ | PROT_WRITE;
}

static int answer(long failed)
{
	if (failed)
		say("{\"error\":\"%s\"}", strerror(errno));
	else
		say("{\"ok\":true}");
	return 0;
}

static int do_mmap(struct actor *self, int n, char **words)
{
	struct range *range = n >= 2 ? range_find(words[0]) : NULL, *over = n > 4 ? range_find(words[3]) : NULL;
	size_t length = n >= 2 ? parse_size(words[1]) : 0;
	uintptr_t where = over ? over->start + parse_size(words[4]) : SLOT_FIRST + n_ranges * SLOT;
	void *start;

	if (n < 2 || (n > 4 && !over) || (!range && n_ranges == RANGES_MAX))
		return -1;
	start = mmap((void *)where, length, protection(n > 2 ? words[2] : "rw"),
		     MAP_PRIVATE | MAP_ANONYMOUS | (over ? MAP_FIXED : 0), -1, 0);
	if (start == MAP_FAILED)
		return answer(-1);
	range = range ? range : &ranges[n_ranges++];
	snprintf(range->name, sizeof(range->name), "%s", words[0]);
	range->start = (uintptr_t)start;
	range->length = length;
	say("{\"start\":%" PRIuPTR "}", range->start);
	return 0;
}

/* Where the kernel chooses: it aligns to the huge page. */
static int do_huge(struct actor *self, int n, char **words)
{
	struct range *range = &ranges[n_ranges];
	void *start;

	if (n < 2 || n_ranges == RANGES_MAX)
		return -1;
	range->length = parse_size(words[1]);
	start = mmap(NULL, range->length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (start == MAP_FAILED)
		return answer(-1);
	touch(start, range->length);
	snprintf(range->name, sizeof(range->name), "%s", words[0]);
	range->start = (uintptr_t)start;
	n_ranges++;
	return answer(0);
}

/* Moving data out of an empty pipe is work for a kernel thread of ours that then waits for ever. */
/* RANGE [OFFSET SIZE] beginning at words[0] and words[at]; the whole range without them. */
static bool part(int n, char **words, int at, char **ret_start, size_t *ret_length)
{
	struct range *range = n ? range_find(words[0]) : NULL;

	if (!range)
		return false;
	*ret_start = (char *)range->start + (n > at + 1 ? parse_size(words[at]) : 0);
	*ret_length = n > at + 1 ? parse_size(words[at + 1]) : range->length;
	return true;
}

static int do_munmap(struct actor *self, int n, char **words)
{
	char *start;
	size_t length;

	return part(n, words, 1, &start, &length) ? answer(munmap(start, length)) : -1;
}

static int do_touch(struct actor *self, int n, char **words)
{
	char *start;
	size_t length;

	if (!part(n, words, 1, &start, &length))
		return -1;
	touch(start, length);
	return answer(0);
}

static int do_read(struct actor *self, int n, char **words)
{
	char *start;
	size_t length;

	if (!part(n, words, 1, &start, &length))
		return -1;
	for (size_t i = 0; i < length; i += PAGE)
		(void)((volatile char *)start)[i];
	return answer(0);
}

static int do_mprotect(struct actor *self, int n, char **words)
{
	char *start;
	size_t length;

	return n > 1 && part(n, words, 2, &start, &length) ? answer(mprotect(start, length, protection(words[1]))) : -1;
}

static int do_madvise(struct actor *self, int n, char **words)
{
	char *start;
	size_t length;

	return n > 1 && part(n, words, 2, &start, &length) ? answer(madvise(start, length, atoi(words[1]))) : -1;
}

static int do_mremap(struct actor *self, int n, char **words)
{
	struct range *range = n > 1 ? range_find(words[0]) : NULL;
	bool move = n > 2 && strcmp(words[2], "move") == 0;
	void *start;

	if (!range)
		return -1;
	start = mremap((void *)range->start, range->length, parse_size(words[1]),
		       MREMAP_MAYMOVE | (move ? MREMAP_FIXED : 0), range->start + 32 * SLOT * RANGES_MAX);
	if (start == MAP_FAILED)
		return answer(-1);
	range->start = (uintptr_t)start;
	range->length = parse_size(words[1]);
	say("{\"start\":%" PRIuPTR "}", range->start);
	return 0;
}

static int do_sbrk(struct actor *self, int n, char **words)
{
	bool down = n && words[0][0] == '-';
	intptr_t delta = n ? parse_size(words[0] + down) : 0;
	char *old = sbrk(down ? -delta : delta);

	if (old == (char *)-1)
		return answer(-1);
	if (!down)
		touch(old, delta);
	return answer(0);
}

/* Shared memory of System V over a range that is there. */
static int do_shmat(struct actor *self, int n, char **words)
{
	char *start;
	size_t length;
	int id;

	if (!part(n, words, 1, &start, &length))
		return -1;
	id = shmget(IPC_PRIVATE, length, IPC_CREAT | 0600);
	if (id < 0 || shmat(id, start, SHM_REMAP) == (void *)-1 || shmctl(id, IPC_RMID, NULL))
		return answer(-1);
	touch(start, length);
	return answer(0);
}

#endif
