/* SPDX-License-Identifier: GPL-2.0-only */
/* Two threads that are there from the start and take no memory until they are told: `first` (20 MiB of small blocks, then
 * it ends), then `late` (25 MiB), who gets the arena that the first has left: 45 MiB in all.
 * Says {"ready":PID}; answers each word. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define BLOCK 4000U

struct heir {
	const char *name;
	size_t bytes;
	int wake[2], done[2];
	pthread_t thread;
	char *last;
};

static struct heir heirs[] = {{.name = "first-1", .bytes = 20 << 20}, {.name = "late-1", .bytes = 25 << 20}};

static void *run(void *argument)
{
	struct heir *self = argument;
	char byte;

	prctl(PR_SET_NAME, self->name);
	if (read(self->wake[0], &byte, 1) != 1)
		return NULL;
	for (size_t taken = 0; taken < self->bytes; taken += BLOCK) {
		self->last = malloc(BLOCK);
		memset(self->last, 1, BLOCK);
	}
	if (self == &heirs[0])
		return NULL;
	if (write(self->done[1], &byte, 1) == 1)
		pause();
	return NULL;
}

int main(void)
{
	char line[64], byte = 0;

	for (struct heir *heir = heirs; heir < heirs + 2; heir++) {
		if (pipe(heir->wake) || pipe(heir->done) || pthread_create(&heir->thread, NULL, run, heir))
			return 1;
	}
	printf("{\"ready\":%d}\n", getpid());
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		struct heir *heir = strcmp(line, "late\n") == 0 ? &heirs[1] : &heirs[0];

		if (write(heir->wake[1], &byte, 1) != 1)
			return 1;
		if (heir == &heirs[0])
			pthread_join(heir->thread, NULL);
		else if (read(heir->done[0], &byte, 1) != 1)
			return 1;
		puts("{}");
		fflush(stdout);
	}
	return 0;
}
