/* SPDX-License-Identifier: GPL-2.0-only */
/* A process that loads large blocks and small ones and forks a worker, which makes some of its own: as a server that forks
 * its workers, or with the argument `daemon` as one that goes into the background: who loaded ends. The worker says that it
 * is ready. It must not know poolscope. */
#include <sys/prctl.h>
#include <sys/wait.h>
#include "truth.h"

#define BLOCKS 8
#define LOADED ((size_t)4 << 20)
#define MADE ((size_t)2 << 20)
#define SMALL 40000 /* of 800 bytes; each third is freed again */

static void *block_new(size_t length)
{
	char *block = malloc(length);

	memset(block, 1, length);
	return block;
}

/* Page faults of its own, more than any block needs. */
static void work(void)
{
	size_t length = (size_t)64 << 20;
	char *scratch = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	madvise(scratch, length, MADV_NOHUGEPAGE);
	memset(scratch, 1, length);
	munmap(scratch, length);
}

/* The process that was started lives on until the daemon ends; who forks the daemon is another. */
static void stay_in_front(void)
{
	int ends[2];
	char byte;

	if (pipe(ends) < 0)
		DIE("pipe: %s", strerror(errno));
	if (!fork()) {
		close(ends[0]);
		return;
	}
	close(ends[1]);
	while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

int main(int argc, char **argv)
{
	bool is_daemon = argc > 1 && !strcmp(argv[1], "daemon");
	void **kept = calloc(BLOCKS + 2, sizeof(*kept)), **small = calloc(SMALL, sizeof(*small));
	pid_t child;

	truth_init();
	if (is_daemon)
		stay_in_front();
	for (int i = 0; i < BLOCKS; i++)
		kept[i] = block_new(LOADED);
	for (int i = 0; i < SMALL; i++)
		small[i] = block_new(800);
	for (int i = 0; i < SMALL; i += 3)
		free(small[i]);
	child = fork();
	if (child < 0)
		DIE("fork: %s", strerror(errno));
	if (child && is_daemon)
		_exit(0);
	if (child) {
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
		return kept[0] == NULL;
	}
	if (!is_daemon)
		prctl(PR_SET_PDEATHSIG, 9);
	work();
	for (int i = 0; i < 2; i++)
		kept[BLOCKS + i] = block_new(MADE);
	printf("{\"ready\":%d,\"loaded\":%zu,\"made\":%zu}\n", getpid(), BLOCKS * LOADED, 2 * MADE);
	fflush(stdout);
	while (getchar() != EOF)
		;
	return kept[0] == NULL;
}
