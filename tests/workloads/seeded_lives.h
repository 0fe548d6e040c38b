/* SPDX-License-Identifier: GPL-2.0-only */
/* The workload `seeded`: threads that come and go, guests of the address space, forked and vforked children. It must
 * not know what plans are made of. */
#ifndef POOLSCOPE_WORKLOADS_SEEDED_LIVES_H
#define POOLSCOPE_WORKLOADS_SEEDED_LIVES_H

#include <linux/futex.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "seeded_malloc.h"

#define SLICE ((size_t)128 << 10)
#define GUEST_STACK ((size_t)64 << 10)

static size_t stack_size; /* of all threads but those on a slab */
static bool uses_slab;

static void person_work(struct person *self); /* seeded.c */

static const char *const pool_names[POOLS] = { "alpha", "beta", "gamma" };

/* Waits for the next round; without libc, for guests. */
static void park(struct person *self)
{
	unsigned round = book->round;
	struct timespec soon = { .tv_nsec = 200000000 };

	__atomic_store_n(&self->done, round, __ATOMIC_RELEASE);
	while (book->round == round) {
		syscall(SYS_futex, &book->round, FUTEX_WAIT, round, &soon, NULL, 0);
		if (self->guest && syscall(SYS_getppid) != book->pid)
			syscall(SYS_exit_group, 0);
	}
}

static void person_begin(struct person *self)
{
	char name[16];

	self->tid = (pid_t)syscall(SYS_gettid);
	snprintf(name, sizeof(name), "%s-%u", pool_names[self->pool], number_of(self) % 1000u);
	prctl(PR_SET_NAME, name);
}

/* The whole stack is the thread's from birth on; how deep it is only the page tables know. */
static void stack_note(struct person *self, uintptr_t slice)
{
	uintptr_t start = slice, end = slice + SLICE;

	if (!slice) {
		take(&book->heap_lock);
		if (!mapping_of((uintptr_t)&slice, &start, &end))
			DIE("no stack");
		give(&book->heap_lock);
	}
	pages_set(start, end - start, (struct page){ number_of(self), STACK, USABLE | ASK });
}

static void *thread_main(void *argument)
{
	struct person *self = argument;

	person_begin(self);
	stack_note(self, self->slice);
	person_work(self);
	take(&book->heap_lock);
	arena_leave(self);
	self->alive = false;
	give(&book->heap_lock);
	return NULL;
}

/* A slice whose last user is gone for good; the slab is mapped by whoever needs it first. */
static uintptr_t slice_take(struct person *self, struct person *user)
{
	uintptr_t slice = 0;

	if (!book->slab) {
		char *start = mmap(NULL, SLICES_MAX * SLICE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (start == MAP_FAILED)
			DIE("mmap: %s", strerror(errno));
		pages_set((uintptr_t)start, SLICES_MAX * SLICE, (struct page){ number_of(self), MMAP, USABLE | ASK });
		book->slab = (uintptr_t)start;
	}
	for (unsigned i = 0; i < SLICES_MAX && !slice; i++) {
		struct person *last = book->slice_user[i];

		if (last && (last->alive || !last->tid ||
			     syscall(SYS_tgkill, book->pid, last->tid, 0) == 0))
			continue;
		book->slice_user[i] = user;
		slice = book->slab + i * SLICE;
	}
	return slice;
}

/* malloc is called in here (for the thread's table of TLS blocks), and a cached stack may be unmapped. */
static struct person *spawn(struct person *self, int pool, unsigned ops)
{
	struct person *person = person_add(pool, random_next(self), ops);
	pthread_attr_t attributes;
	pthread_t thread;

	take(&book->heap_lock);
	arena_attach(self);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, stack_size);
	if (uses_slab && chance(self, 60))
		person->slice = slice_take(self, person);
	if (person->slice)
		pthread_attr_setstack(&attributes, (void *)person->slice, SLICE);
	if (pthread_create(&thread, &attributes, thread_main, person))
		DIE("pthread_create failed");
	pthread_attr_destroy(&attributes);
	heaps_look(self);
	give(&book->heap_lock);
	return person;
}

/* The one that is replaced ends at its next step. */
static void op_birth(struct person *self)
{
	if (self->host || self == book->people || !self->ops_left)
		return;
	spawn(self, chance(self, 70) ? self->pool : (int)pick(self, POOLS), self->ops_left);
	self->ops_left = 0;
	self->leaving = true;
}

static void op_stack(struct person *self)
{
	touch_stack(pick(self, self->slice ? SLICE / 4 : stack_size / 4));
}

/* ---- other processes --------------------------------------------------------------------------------- */

/* Anonymous pages of this process, by /proc: in private mappings of files, and in all others. */
static void private_resident(uint64_t *ret_others, uint64_t *ret_image)
{
	char *line = proc_text("/proc/self/maps", book->text, sizeof(book->text));
	uintptr_t start, end;
	unsigned long inode;
	char access[8];

	*ret_others = *ret_image = 0;
	for (; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %7s %*x %*x:%*x %lu", &start, &end, access, &inode) == 4 &&
		    start < (uintptr_t)1 << 47 && access[3] == 'p')
			*(inode ? ret_image : ret_others) += bytes_resident(start, end - start);
}

static void child_count(struct child *child, uintptr_t own, size_t own_length)
{
	close(truth_pagemap); /* it is the parent's */
	truth_pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	private_resident(&child->inherited, &child->image);
	child->own = bytes_resident(own, own_length);
	child->inherited -= child->own;
}

/* A child of fork is a process of its own; what it holds at first it has inherited. */
static void op_fork(struct person *self)
{
	struct child *child;
	pid_t pid;

	take(&book->heap_lock);
	if (book->n_children == CHILDREN_MAX) {
		give(&book->heap_lock);
		return;
	}
	child = &book->children[book->n_children++];
	pid = (pid_t)syscall(SYS_fork);
	if (pid == 0) {
		size_t length = (1 + pick(self, 100)) * PAGE;
		char *own = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		touch(own, length);
		child->pid = (pid_t)syscall(SYS_getpid);
		child_count(child, (uintptr_t)own, length);
		child->ready = true;
		while (syscall(SYS_getppid) == book->pid)
			usleep(100000);
		_exit(0);
	}
	while (pid > 0 && !__atomic_load_n(&child->ready, __ATOMIC_ACQUIRE))
		usleep(500);
	give(&book->heap_lock);
}

/* A child of vfork lives in its creator, which waits: what it maps is the creator's. */
static void op_vfork(struct person *self)
{
	static char *const command[] = { "/bin/true", NULL };
	bool execs = chance(self, 50);
	size_t length = (1 + pick(self, 100)) * PAGE;
	char *volatile start = MAP_FAILED;
	pid_t pid;

	pid = vfork();
	if (pid == 0) {
		start = (char *)syscall(SYS_mmap, NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (execs)
			execv(command[0], command);
		_exit(0);
	}
	if (pid < 0)
		DIE("vfork: %s", strerror(errno));
	waitpid(pid, NULL, 0);
	if (start == MAP_FAILED)
		return;
	pages_set((uintptr_t)start, length, (struct page){ number_of(self), MMAP, USABLE });
	touch_pages(self, (uintptr_t)start, length);
	area_add((uintptr_t)start, length);
}

static int guest_main(void *argument)
{
	struct person *self = argument;

	self->tid = (pid_t)syscall(SYS_gettid);
	person_work(self);
	self->alive = false;
	syscall(SYS_exit, 0);
	return 0;
}

/* Another process in the same memory. Its stack is its creator's mapping: nothing tells where it ends. */
static void op_guest(struct person *self)
{
	struct person *guest;
	char *stack;

	if (self == book->people)
		return;
	self->host = true;
	stack = mmap(NULL, GUEST_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack == MAP_FAILED)
		DIE("mmap: %s", strerror(errno));
	pages_set((uintptr_t)stack, GUEST_STACK, (struct page){ number_of(self), MMAP, USABLE | ASK });
	guest = person_add(self->pool, random_next(self), 10);
	guest->guest = true;
	if (clone(guest_main, stack + GUEST_STACK, CLONE_VM, guest) < 0)
		DIE("clone: %s", strerror(errno));
}

#endif
