/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads that want a CPU for a known part of the time, and that know how long they did. Arguments: NAME:COUNT:PERCENT,
 * named NAME-0 and so on; each line on stdin is answered with one of JSON. Time from when a thread is due until it
 * has done counts, whether or not it got a CPU at once: so the kernel's state R has it. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_NS 37000000LL /* on average: from half of it to one and a half at random, in step with no observer */
#define GROUPS_MAX 8
#define THREADS_MAX 64

struct group {
	char name[12];
	long threads, percent;
};

static struct worker {
	struct group *group;
	_Atomic int64_t wanted_ns; /* so far */
} workers[THREADS_MAX];

static struct group groups[GROUPS_MAX];
static long n_groups, n_workers;

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	unsigned int seed = (unsigned int)(worker - workers);
	int64_t period_ns = 0;
	char name[32];

	snprintf(name, sizeof(name), "%s-%ld", worker->group->name, (long)(worker - workers));
	prctl(PR_SET_NAME, name);
	if (!worker->group->percent)
		pause();
	for (int64_t due = now_ns();; due += period_ns) {
		struct timespec until = {due / 1000000000, due % 1000000000};
		int64_t now, part_ns;

		period_ns = PERIOD_NS / 2 + PERIOD_NS * rand_r(&seed) / RAND_MAX;
		part_ns = period_ns * worker->group->percent / 100;
		if (worker->group->percent < 100)
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		do {
			now = now_ns();
		} while (now < due + part_ns);
		worker->wanted_ns += now - due;
		if (now > due + period_ns) /* what was missed is not made up for */
			due = now - period_ns;
	}
	return NULL;
}

static void answer(void)
{
	printf("{\"time_ns\":%lld", (long long)now_ns());
	for (long g = 0; g < n_groups; g++) {
		int64_t sum = 0;

		for (long i = 0; i < n_workers; i++)
			sum += workers[i].group == &groups[g] ? workers[i].wanted_ns : 0;
		printf(",\"%s\":%lld", groups[g].name, (long long)sum);
	}
	puts("}");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char line[64];

	for (int i = 1; i < argc && n_groups < GROUPS_MAX; i++) {
		struct group *group = &groups[n_groups++];
		pthread_t thread;

		if (sscanf(argv[i], "%11[^:]:%ld:%ld", group->name, &group->threads, &group->percent) != 3)
			return 2;
		for (long t = 0; t < group->threads && n_workers < THREADS_MAX; t++) {
			workers[n_workers].group = group;
			if (pthread_create(&thread, NULL, work, &workers[n_workers++]))
				return 1;
		}
	}
	printf("{\"ready\":%d}\n", getpid());
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		answer();
	return 0;
}
