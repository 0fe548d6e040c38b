/* SPDX-License-Identifier: GPL-2.0-only */
/* A process whose threads malloc and free by known patterns, and that knows how much of each arena is in use. It must
 * not know poolscope. usage: kept [main:]PATTERN:MIB... (a thread each, or the main thread) */
#include <malloc.h>
#include <pthread.h>
#include <sys/syscall.h>
#include "truth.h"

#define THREADS_MAX 64
#define HEAPS_MAX 64

enum pattern { NONE, HALF, ALL, RANDOM, LARGE, TRIMMED, SMALL, LIST, TOP, BUSY, PATTERN_COUNT };

static const char *const names[PATTERN_COUNT] = { "none", "half", "all", "random", "large", "trimmed", "small", "list", "top", "busy" };

struct user {
	enum pattern pattern;
	size_t bytes;
	pid_t tid;
	bool is_main;
	uint64_t live; /* bytes of chunks in use, headers too; each is touched whole */
	uintptr_t heaps[HEAPS_MAX];
	unsigned n_heaps;
};

static struct user users[THREADS_MAX];
static unsigned n_users;
static pthread_barrier_t done;
static volatile bool go_on = true;

static uint64_t draw(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 33;
}

static void note_heap(struct user *user, const void *chunk)
{
	uintptr_t heap = (uintptr_t)chunk & ~(HEAP_MAX - 1);

	if (user->is_main)
		return;
	for (unsigned i = user->n_heaps; i-- > 0;) {
		if (user->heaps[i] == heap)
			return;
	}
	if (user->n_heaps < HEAPS_MAX)
		user->heaps[user->n_heaps++] = heap;
}

static size_t size_of(enum pattern pattern, uint64_t *state)
{
	if (pattern == LARGE || pattern == TRIMMED)
		return 20000 + draw(state) % 40000;
	if (pattern == SMALL || pattern == LIST) /* what is freed of it goes to the fastbins */
		return 20 + draw(state) % 100;
	return 200 + draw(state) % (draw(state) % 8 ? 1500 : 9000);
}

static bool is_freed(enum pattern pattern, size_t i, size_t count, uint64_t *state)
{
	switch (pattern) {
	case HALF:
	case LARGE:
	case TRIMMED:
	case SMALL:
		return i % 2;
	case ALL:
		return i + 1 < count; /* the last pins the rest */
	case TOP:
		return true; /* so all that the brk heap grew by is one chunk */
	case RANDOM:
		return draw(state) % 10 < 7;
	default:
		return false;
	}
}

/* Chunks that change hands all the time. */
static void be_busy(struct user *user)
{
	uint64_t state = 7;
	static __thread char *held[1000];

	while (go_on) {
		size_t i = draw(&state) % 1000;

		free(held[i]);
		held[i] = malloc(100 + draw(&state) % 6000);
		touch(held[i], 100);
	}
}

static void use(struct user *user)
{
	size_t room = user->bytes / (user->pattern == SMALL || user->pattern == LIST ? 20 : 200) + 1, count = 0, asked = 0;
	char **chunks = mmap(NULL, room * sizeof(*chunks), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t state = 88172645463325252ULL + (uint64_t)(user - users);

	user->tid = syscall(SYS_gettid);
	while (asked < user->bytes && count < room) {
		size_t size = size_of(user->pattern, &state);

		chunks[count] = malloc(size);
		memset(chunks[count], 1, malloc_usable_size(chunks[count]));
		note_heap(user, chunks[count]);
		/* As a program's own list: in use, though each leads to one of its size. */
		if (user->pattern == LIST && count)
			*(char **)chunks[count] = chunks[count - 1 - draw(&state) % count % 50];
		asked += size;
		count++;
	}
	for (size_t i = 0; i < count; i++) {
		if (is_freed(user->pattern, i, count, &state))
			free(chunks[i]);
		else
			user->live += malloc_usable_size(chunks[i]) + 8;
	}
	munmap(chunks, room * sizeof(*chunks));
}

static void *user_main(void *argument)
{
	struct user *user = argument;

	use(user);
	pthread_barrier_wait(&done);
	if (user->pattern == BUSY)
		be_busy(user);
	for (;;)
		pause();
	return NULL;
}

static void say_truth(void)
{
	say("{\"rss_anon\":%" PRIu64 ",\"threads\":[", rss_anon());
	for (unsigned i = 0; i < n_users; i++) {
		struct user *user = &users[i];
		uint64_t resident = user->is_main ? named_resident("[heap]") : 0;

		for (unsigned k = 0; k < user->n_heaps; k++)
			resident += bytes_resident(user->heaps[k], HEAP_MAX);
		say("%s{\"tid\":%d,\"pattern\":\"%s\",\"main\":%s,\"live\":%" PRIu64 ",\"resident\":%" PRIu64 "}", i ? "," : "",
		    user->tid, names[user->pattern], user->is_main ? "true" : "false", user->live, resident);
	}
	say("]}");
	say_done();
}

int main(int argc, char **argv)
{
	unsigned threads = 0;
	bool trim = false;
	char line[64];

	truth_init();
	mallopt(M_ARENA_MAX, 2 * THREADS_MAX);
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	for (int i = 1; i < argc && n_users < THREADS_MAX; i++) {
		struct user *user = &users[n_users++];
		char *word = argv[i], *size;
		int pattern = 0;

		user->is_main = strncmp(word, "main:", 5) == 0;
		word += user->is_main ? 5 : 0;
		size = strchr(word, ':');
		while (size && pattern < PATTERN_COUNT && strncmp(names[pattern], word, size - word) != 0)
			pattern++;
		if (!size || pattern == PATTERN_COUNT)
			DIE("usage: kept [main:]none|half|all|random|large|trimmed|small|list|top|busy:SIZE...");
		user->pattern = pattern;
		user->bytes = parse_size(size + 1);
		threads += !user->is_main;
		trim |= pattern == TRIMMED;
	}
	pthread_barrier_init(&done, NULL, threads + 1);
	for (struct user *user = users; user < users + n_users; user++) {
		pthread_t thread;

		if (user->is_main)
			use(user);
		else if (pthread_create(&thread, NULL, user_main, user))
			DIE("pthread_create failed");
	}
	pthread_barrier_wait(&done);
	if (trim)
		malloc_trim(0);
	say("{\"ready\":%d}", getpid());
	say_done();
	while (fgets(line, sizeof(line), stdin))
		say_truth();
	_exit(0);
}
