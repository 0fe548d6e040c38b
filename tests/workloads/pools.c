/* SPDX-License-Identifier: GPL-2.0-only */
/* A process with pools of threads that fill up, leak or churn, and that knows the truth about itself:
 * bytes by thread and region, as JSON on demand. It must not know poolscope. See usage(). */
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "truth.h"

#define POOLS_MAX 16
#define WORKERS_MAX 16384
#define RANGES_MAX 64
#define CHUNK ((size_t)32 << 10) /* below M_MMAP_THRESHOLD: comes from the thread's arena */
#define STEP_MS 100

struct range {
	uintptr_t start;
	size_t length;
};

struct pool {
	char name[16];
	unsigned threads, started, ended;
	uint64_t stack, mmap, arena, leak, stack_size;
	uint64_t start_every_ms, ramp_ms, churn_ms, next_start_ms;
	void *(*routine)(void *);
	bool named, hold, unguarded;
	struct range kept[RANGES_MAX * 4]; /* of workers that have ended (hold) */
	unsigned n_kept;
};

struct worker {
	struct pool *pool;
	pthread_t thread;
	pid_t tid;
	enum { EMPTY, FILLING, FULL, ENDED } state;
	struct range stack, mmaps[RANGES_MAX];
	uintptr_t heaps[RANGES_MAX];
	unsigned n_mmaps, n_heaps;
	uint64_t asked_stack, asked_mmap, asked_arena;
};

static struct pool pools[POOLS_MAX];
static unsigned n_pools;
static struct worker *workers;
static unsigned n_workers;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool standing_still;
static unsigned n_parked;

static void usage(void)
{
	fputs("usage: pools [--pool NAME:threads=N[,KEY=VALUE...]]... [--heap SIZE] [--duration TIME]\n"
	      "             [--arenas N] [--control [--wait]]\n"
	      "pool keys: stack= mmap= arena= (bytes a worker touches), leak= (bytes a worker adds in 100 ms),\n"
	      "  start_every= (0: all at once), ramp= (time until a worker has all), churn= (a worker's life),\n"
	      "  hold (mmaps outlive their worker), unguarded (stacks without guards: the kernel merges neighbours),\n"
	      "  named (NAME-N), stack_size=, routine=resize_main|\n"
	      "  decode_main|upload_main|worker_main\n"
	      "--control: commands on stdin, one JSON line back each; end of file ends the program:\n"
	      "  start (with --wait), full (waits until all workers are full), still, go, truth, quit CODE,\n"
	      "  leader-exit\n", stderr);
	exit(2);
}

/* Waits one step, or while the process stands still. */
static void worker_pause(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += STEP_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	pthread_mutex_lock(&lock);
	while (!standing_still && pthread_cond_timedwait(&changed, &lock, &until) == 0)
		;
	if (standing_still) {
		n_parked++;
		pthread_cond_broadcast(&changed);
		while (standing_still)
			pthread_cond_wait(&changed, &lock);
		n_parked--;
	}
	pthread_mutex_unlock(&lock);
}

static void worker_mmap(struct worker *worker, size_t length)
{
	void *start;

	if (!length || worker->n_mmaps == RANGES_MAX)
		return;
	start = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (start == MAP_FAILED)
		DIE("mmap: %s", strerror(errno));
	touch(start, length);
	worker->mmaps[worker->n_mmaps++] = (struct range){ (uintptr_t)start, length };
	worker->asked_mmap += length;
}

static void worker_heap(struct worker *worker, const char *chunk)
{
	uintptr_t heap = (uintptr_t)chunk & ~(HEAP_MAX - 1);

	if (!chunk)
		DIE("malloc: %s", strerror(errno));
	if ((worker->n_heaps && worker->heaps[worker->n_heaps - 1] == heap) || chunk < (char *)sbrk(0))
		return;
	if (worker->n_heaps < RANGES_MAX)
		worker->heaps[worker->n_heaps++] = heap;
}

static void worker_malloc(struct worker *worker, size_t length)
{
	for (size_t done = 0; done < length; done += CHUNK) {
		char *chunk = malloc(CHUNK);

		worker_heap(worker, chunk);
		touch(chunk, CHUNK);
		worker->asked_arena += CHUNK;
	}
}

static void worker_run(struct worker *worker)
{
	struct pool *pool = worker->pool;
	uint64_t steps = pool->ramp_ms / STEP_MS ? pool->ramp_ms / STEP_MS : 1, age = 0;
	size_t arena_left = pool->arena, mmap_left = pool->mmap;
	pthread_attr_t attributes;
	void *stack;

	if (steps > RANGES_MAX)
		steps = RANGES_MAX;
	pthread_getattr_np(pthread_self(), &attributes);
	pthread_attr_getstack(&attributes, &stack, &worker->stack.length);
	pthread_attr_destroy(&attributes);
	worker->stack.start = (uintptr_t)stack;
	worker_heap(worker, malloc(16)); /* kept: pthread_getattr_np() has made the arena anyway */
	worker->tid = syscall(SYS_gettid);
	if (pool->named) {
		char name[32];

		snprintf(name, sizeof(name), "%.8s-%u", pool->name, (unsigned)(worker - workers));
		prctl(PR_SET_NAME, name);
	}
	touch_stack(pool->stack);
	worker->asked_stack = pool->stack;
	for (uint64_t step = 0; step < steps; step++) {
		size_t arena = step + 1 == steps ? arena_left : pool->arena / steps / CHUNK * CHUNK;
		size_t more = step + 1 == steps ? mmap_left : pool->mmap / steps / PAGE * PAGE;

		worker_malloc(worker, arena);
		worker_mmap(worker, more);
		arena_left -= arena;
		mmap_left -= more;
		if (step + 1 < steps) {
			worker_pause();
			age += STEP_MS;
		}
	}
	pthread_mutex_lock(&lock);
	worker->state = FULL;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	for (; !pool->churn_ms || age < pool->churn_ms; age += STEP_MS) {
		worker_pause();
		worker_malloc(worker, pool->leak);
	}
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < worker->n_mmaps; i++) {
		if (!pool->hold || pool->n_kept == RANGES_MAX * 4)
			munmap((void *)worker->mmaps[i].start, worker->mmaps[i].length);
		else
			pool->kept[pool->n_kept++] = worker->mmaps[i];
	}
	worker->state = ENDED;
	pool->ended++;
	pthread_mutex_unlock(&lock);
}

/* One symbol a role: poolscope tells nameless threads apart by their start routines. */
#define ROUTINE(name) \
	static __attribute__((noinline)) void *name(void *worker) \
	{ \
		worker_run(worker); \
		return #name; \
	}
ROUTINE(resize_main)
ROUTINE(decode_main)
ROUTINE(upload_main)
ROUTINE(worker_main)

static const struct {
	const char *name;
	void *(*routine)(void *);
} routines[] = { { "resize_main", resize_main }, { "decode_main", decode_main },
		 { "upload_main", upload_main }, { "worker_main", worker_main } };

static void pool_parse(char *text)
{
	struct pool *pool = &pools[n_pools];
	char *keys = strchr(text, ':'), *saved = NULL;

	if (n_pools == POOLS_MAX || !keys)
		usage();
	*keys++ = '\0';
	snprintf(pool->name, sizeof(pool->name), "%s", text);
	pool->threads = 1;
	pool->routine = worker_main;
	for (char *key = strtok_r(keys, ",", &saved); key; key = strtok_r(NULL, ",", &saved)) {
		char *value = strchr(key, '=');
		struct {
			const char *name;
			uint64_t *field, (*parse)(const char *);
		} numbers[] = {
			{ "stack", &pool->stack, parse_size }, { "mmap", &pool->mmap, parse_size },
			{ "arena", &pool->arena, parse_size }, { "leak", &pool->leak, parse_size },
			{ "stack_size", &pool->stack_size, parse_size },
			{ "start_every", &pool->start_every_ms, parse_ms },
			{ "ramp", &pool->ramp_ms, parse_ms }, { "churn", &pool->churn_ms, parse_ms },
		};
		bool known = strcmp(key, "named") == 0 || strcmp(key, "hold") == 0 || strcmp(key, "unguarded") == 0;

		pool->unguarded |= strcmp(key, "unguarded") == 0;
		pool->named |= strcmp(key, "named") == 0;
		pool->hold |= strcmp(key, "hold") == 0;
		if (value)
			*value++ = '\0';
		for (size_t i = 0; value && i < sizeof(numbers) / sizeof(*numbers); i++) {
			if (strcmp(numbers[i].name, key) == 0) {
				*numbers[i].field = numbers[i].parse(value);
				known = true;
			}
		}
		for (size_t i = 0; value && i < sizeof(routines) / sizeof(*routines); i++) {
			if (strcmp(key, "routine") == 0 && strcmp(routines[i].name, value) == 0) {
				pool->routine = routines[i].routine;
				known = true;
			}
		}
		if (value && strcmp(key, "threads") == 0) {
			pool->threads = strtoul(value, NULL, 10);
			known = true;
		}
		if (!known)
			usage();
	}
	n_pools++;
}

static void worker_start(struct pool *pool)
{
	struct worker *worker = NULL;
	pthread_attr_t attributes;

	for (unsigned i = 0; i < n_workers && !worker; i++) {
		if (workers[i].state == ENDED && workers[i].pool == pool) {
			worker = &workers[i];
			pthread_join(worker->thread, NULL);
		}
	}
	if (!worker && n_workers == WORKERS_MAX)
		return;
	worker = worker ? worker : &workers[n_workers++];
	memset(worker, 0, sizeof(*worker));
	worker->pool = pool;
	worker->state = FILLING;
	pthread_attr_init(&attributes);
	if (pool->stack_size)
		pthread_attr_setstacksize(&attributes, pool->stack_size);
	if (pool->unguarded)
		pthread_attr_setguardsize(&attributes, 0);
	if (pthread_create(&worker->thread, &attributes, pool->routine, worker))
		DIE("pthread_create: no more threads");
	pthread_attr_destroy(&attributes);
	pool->started++;
}

/* Starts what is due; returns the milliseconds until something may be due again. */
static int pools_run(void)
{
	uint64_t now = now_ms();

	for (struct pool *pool = pools; pool < pools + n_pools; pool++) {
		while (!standing_still && pool->started - pool->ended < pool->threads && now >= pool->next_start_ms) {
			worker_start(pool);
			pool->next_start_ms = now + pool->start_every_ms;
		}
	}
	return STEP_MS / 4;
}

static bool all_full(void)
{
	for (struct pool *pool = pools; pool < pools + n_pools; pool++)
		if (pool->started - pool->ended < pool->threads)
			return false;
	for (unsigned i = 0; i < n_workers; i++)
		if (workers[i].state == FILLING)
			return false;
	return true;
}

static void stand_still(void)
{
	unsigned alive;

	pthread_mutex_lock(&lock);
	standing_still = true;
	pthread_cond_broadcast(&changed);
	do {
		alive = 0;
		for (unsigned i = 0; i < n_workers; i++)
			alive += workers[i].state != ENDED;
		if (n_parked < alive)
			pthread_cond_wait(&changed, &lock);
	} while (n_parked < alive);
	pthread_mutex_unlock(&lock);
}

static void truth(void)
{
	uint64_t kept = 0;

	say("{\"pid\":%d,\"rss_anon\":%" PRIu64 ",\"main\":{\"stack\":%" PRIu64 ",\"heap\":%" PRIu64 "},\"threads\":[",
	    getpid(), rss_anon(), named_resident("[stack]"), named_resident("[heap]"));
	for (unsigned i = 0, n = 0; i < n_workers; i++) {
		struct worker *worker = &workers[i];
		uint64_t mmaps = 0, arena = 0;

		if (worker->state == ENDED)
			continue;
		for (unsigned k = 0; k < worker->n_mmaps; k++)
			mmaps += bytes_resident(worker->mmaps[k].start, worker->mmaps[k].length);
		for (unsigned k = 0; k < worker->n_heaps; k++)
			arena += bytes_resident(worker->heaps[k], HEAP_MAX);
		say("%s{\"tid\":%d,\"pool\":\"%s\",\"asked\":{\"stack\":%" PRIu64 ",\"arena\":%" PRIu64 ",\"mmap\":%" PRIu64
		    "},\"resident\":{\"stack\":%" PRIu64 ",\"arena\":%" PRIu64 ",\"heap\":0,\"mmap\":%" PRIu64 "}}",
		    n++ ? "," : "", worker->tid, worker->pool->name, worker->asked_stack, worker->asked_arena,
		    worker->asked_mmap, bytes_resident(worker->stack.start, worker->stack.length), arena, mmaps);
	}
	say("],\"pools\":[");
	for (struct pool *pool = pools; pool < pools + n_pools; pool++) {
		kept = 0;
		for (unsigned k = 0; k < pool->n_kept; k++)
			kept += bytes_resident(pool->kept[k].start, pool->kept[k].length);
		say("%s{\"name\":\"%s\",\"threads\":%u,\"started\":%u,\"ended\":%u,\"orphaned\":%" PRIu64 "}",
		    pool == pools ? "" : ",", pool->name, pool->started - pool->ended, pool->started, pool->ended, kept);
	}
	say("]}");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "pool", required_argument, NULL, 'p' }, { "heap", required_argument, NULL, 'h' },
		{ "duration", required_argument, NULL, 'd' }, { "arenas", required_argument, NULL, 'a' },
		{ "control", no_argument, NULL, 'c' }, { "wait", no_argument, NULL, 'w' }, { 0 },
	};
	uint64_t heap = 0, end = now_ms() + 60000;
	bool control = false, running = true, want_full = false;
	int arenas = WORKERS_MAX, option;
	char line[256];
	size_t length = 0;

	truth_init();
	workers = calloc(WORKERS_MAX, sizeof(*workers));
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'p': pool_parse(optarg); break;
		case 'h': heap = parse_size(optarg); break;
		case 'd': end = now_ms() + parse_ms(optarg); break;
		case 'a': arenas = atoi(optarg); break;
		case 'c': control = true; break;
		case 'w': running = false; break;
		default: usage();
		}
	}
	/* One arena a thread, as on a host with many CPUs, unless the caller wants them shared. */
	mallopt(M_ARENA_MAX, arenas);
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	if (control) {
		say("{\"ready\":%d}", getpid());
		say_done();
	}
	while (now_ms() < end) {
		struct pollfd input = { .fd = control ? STDIN_FILENO : -1, .events = POLLIN };
		int wait = STEP_MS;

		for (; running && heap; heap -= heap < CHUNK ? heap : CHUNK)
			touch(malloc(CHUNK), CHUNK);
		if (running)
			wait = pools_run();
		if (want_full && all_full()) {
			want_full = false;
			say("{\"full\":true}");
			say_done();
		}
		if (poll(&input, 1, wait) <= 0)
			continue;
		if (read(STDIN_FILENO, line + length, 1) != 1)
			return 0;
		if (line[length] != '\n' && length + 2 < sizeof(line)) {
			length++;
			continue;
		}
		line[length] = '\0';
		length = 0;
		if (strcmp(line, "start") == 0) {
			running = true;
			say("{\"started\":true}");
		} else if (strcmp(line, "full") == 0) {
			want_full = true;
			continue;
		} else if (strcmp(line, "still") == 0) {
			stand_still();
			say("{\"still\":true}");
		} else if (strcmp(line, "go") == 0) {
			pthread_mutex_lock(&lock);
			standing_still = false;
			pthread_cond_broadcast(&changed);
			pthread_mutex_unlock(&lock);
			say("{\"go\":true}");
		} else if (strcmp(line, "truth") == 0) {
			truth();
		} else if (strncmp(line, "quit ", 5) == 0) {
			_exit(atoi(line + 5));
		} else if (strcmp(line, "leader-exit") == 0) {
			pthread_exit(NULL);
		} else {
			say("{\"error\":\"unknown command\"}");
		}
		say_done();
	}
	return 0;
}
