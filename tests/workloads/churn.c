/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads as fast as they can be made. Says {"ready":PID}; `churn MAKERS BATCH [NAME]`: so many threads "maker", each of which
 * makes a batch of threads, which take that name at once, waits for their end, and so on: never more than all makers and a
 * batch of each live at one time.
 * On stdin: `go`, `pause` (answered once all batches have ended), `stay N` (so many threads "stay-1", which stay),
 * `breed CHILDREN MS` (while it pauses: so many children that make one batch after the other for so long, and end). Each line
 * is answered with {"born":N}: threads of batches so far. */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH_MAX 256
#define MAKERS_MAX 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int runs;
static unsigned long born, working, batch;
static const char *name; /* NULL: none of their own */

static void *child(void *unused)
{
	if (name)
		prctl(PR_SET_NAME, name);
	return unused;
}

static void begin(pthread_t *thread, void *(*routine)(void *))
{
	if (pthread_create(thread, NULL, routine, NULL))
		exit(1);
}

static void make_batch(void)
{
	pthread_t thread[BATCH_MAX];

	for (unsigned long i = 0; i < batch; i++)
		begin(&thread[i], child);
	for (unsigned long i = 0; i < batch; i++)
		pthread_join(thread[i], NULL);
}

static void *make(void *unused)
{
	prctl(PR_SET_NAME, "maker");
	for (;;) {
		pthread_mutex_lock(&lock);
		while (!runs)
			pthread_cond_wait(&changed, &lock);
		working++;
		pthread_mutex_unlock(&lock);
		make_batch();
		pthread_mutex_lock(&lock);
		born += batch;
		working--;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
	}
	return unused;
}

/* A thread that was waited for is in there until its exit is over. */
static int threads_living(void)
{
	DIR *tasks = opendir("/proc/self/task");
	int count = -2;

	while (tasks && readdir(tasks))
		count++;
	closedir(tasks);
	return count;
}

static unsigned long ms_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned long)now.tv_sec * 1000 + (unsigned long)now.tv_nsec / 1000000;
}

static void breed(unsigned long children, unsigned long ms)
{
	while (children--) {
		unsigned long end = ms_now() + ms;

		if (fork())
			continue;
		while (ms_now() < end)
			for (make_batch(); threads_living() > 1;)
				;
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
}

static void *stay(void *unused)
{
	prctl(PR_SET_NAME, "stay-1");
	pause();
	return unused;
}

static void obey(const char *line)
{
	pthread_t thread;
	unsigned long count = 0, ms;

	if (sscanf(line, "stay %lu", &count) == 1)
		while (count--)
			begin(&thread, stay);
	if (sscanf(line, "breed %lu %lu", &count, &ms) == 2)
		breed(count, ms);
	pthread_mutex_lock(&lock);
	if (!strncmp(line, "go", 2))
		runs = 1;
	if (!strncmp(line, "pause", 5))
		for (runs = 0; working;)
			pthread_cond_wait(&changed, &lock);
	pthread_cond_broadcast(&changed);
	printf("{\"born\":%lu}\n", born);
	pthread_mutex_unlock(&lock);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	unsigned long makers = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
	pthread_t thread;
	char line[64];

	batch = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	name = argc > 3 ? argv[3] : NULL;
	if (!makers || makers > MAKERS_MAX || !batch || batch > BATCH_MAX) {
		fputs("usage: churn MAKERS BATCH [NAME]\n", stderr);
		return 2;
	}
	while (makers--)
		begin(&thread, make);
	printf("{\"ready\":%d}\n", getpid());
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		obey(line);
	return 0;
}
