// SPDX-License-Identifier: GPL-2.0-only
// A library whose large objects a program in another language knows by handles alone.
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct session {
	void *objects[64];
	int count;
};

void *object_new(size_t length)
{
	char *object = malloc(length);

	memset(object, 1, length);
	return object;
}

struct session *session_new(void)
{
	return calloc(1, sizeof(struct session));
}

void session_add(struct session *session, void *object)
{
	session->objects[session->count++] = object;
}

// Page faults of the caller's own, more than any object needs.
void work(size_t length)
{
	char *scratch = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	madvise(scratch, length, MADV_NOHUGEPAGE);
	memset(scratch, 1, length);
	munmap(scratch, length);
}

// As any code that runs on: what was in dead frames is gone.
void run_on(void)
{
	volatile char frames[256 << 10];

	memset((void *)frames, 0, sizeof(frames));
}
