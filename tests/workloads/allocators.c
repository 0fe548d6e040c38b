/* SPDX-License-Identifier: GPL-2.0-only */
/* A process whose threads malloc, free and hand over by role, with whatever malloc it is run with, and that keeps whose
 * each page is by the rule: who made it usable. It must not know poolscope, nor any allocator. See usage(). */
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "truth.h"

#define THREADS_MAX 256
#define PIECES_MAX 8192
#define BEFORE (-1) /* in place of an owner: there when main() began */
#define STORM_BLOCKS 64

static void usage(void)
{
	fputs("usage: allocators ROLE:THREADS...\n"
	      "  keep (small blocks, kept), big (large blocks, one in three freed), churn (small blocks, few kept),\n"
	      "  give (blocks of all sizes, handed to take), take (frees half of them, keeps half, and allocates),\n"
	      "  leave (small blocks; ends after each third step, and is replaced)\n"
	      "commands on stdin, one JSON line back each; end of file ends it, or 120 s:\n"
	      "  start, go STEPS (of each thread, one thread at a time), mark (what is made\n"
	      "  usable from now on is fresh), truth, storm CALLS (all at once: whose what is, is not known any more)\n",
	      stderr);
	exit(2);
}

enum role { KEEP, BIG, CHURN, GIVE, TAKE, LEAVE, ROLES };

static const char *const role_names[ROLES] = { "keep", "big", "churn", "give", "take", "leave" };

struct block { /* its own first bytes: the book-keeping must allocate nothing */
	struct block *next;
	size_t size;
};

struct worker {
	enum role role;
	pthread_t thread;
	pid_t tid;
	bool alive, leaving;
	unsigned steps, storm;
	uint64_t random;
	uintptr_t stack;
	size_t stack_length;
	struct block *held;
	uint64_t mmap, heap, fresh; /* filled in by the truth */
};

struct piece { /* of private anonymous memory */
	uintptr_t start, end;
	int owner;
	bool is_heap, is_fresh; /* made usable after `mark` */
};

static struct worker workers[THREADS_MAX];
static unsigned n_workers;
static struct worker *turn; /* who may move; NULL: the main thread */
static unsigned n_storming;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct block *handed;
static struct piece pieces[2][PIECES_MAX];
static unsigned n_pieces, side;
static char maps_text[1 << 20];

/* ---- the book: what is usable now and was not before, is whose turn it was ------------------------------ */

static void piece_add(struct piece *list, unsigned *count, struct piece piece)
{
	struct piece *last = *count ? &list[*count - 1] : NULL;

	if (piece.start >= piece.end)
		return;
	if (last && last->end == piece.start && last->owner == piece.owner && last->is_heap == piece.is_heap &&
	    last->is_fresh == piece.is_fresh) {
		last->end = piece.end;
		return;
	}
	if (*count == PIECES_MAX)
		DIE("the book is full");
	list[(*count)++] = piece;
}

/* One mapping. What had an owner keeps him, also while it is not usable. `at` moves on through the old book. */
static void mapping_enter(struct piece mapping, bool usable, unsigned *at, struct piece *list, unsigned *count)
{
	const struct piece *old = pieces[side];
	struct piece piece = mapping;

	while (*at < n_pieces && old[*at].end <= mapping.start)
		(*at)++;
	for (unsigned i = *at; i < n_pieces && old[i].start < mapping.end; i++) {
		struct piece known = old[i];

		known.start = known.start > piece.start ? known.start : piece.start;
		known.end = known.end < mapping.end ? known.end : mapping.end;
		known.is_heap = mapping.is_heap;
		piece.end = known.start;
		if (usable)
			piece_add(list, count, piece);
		piece_add(list, count, known);
		piece.start = known.end;
	}
	piece.end = mapping.end;
	if (usable)
		piece_add(list, count, piece);
}

static void look(int owner)
{
	char *line = proc_text("/proc/self/maps", maps_text, sizeof(maps_text));
	struct piece *list = pieces[!side];
	unsigned count = 0, at = 0;

	while (line && *line) {
		char *end = strchr(line, '\n'), *path, *rest;
		struct piece mapping = { .owner = owner, .is_fresh = true };
		const char *access;

		if (!end)
			break;
		*end = '\0';
		mapping.start = strtoull(line, &rest, 16);
		mapping.end = strtoull(rest + 1, &rest, 16);
		access = rest + 1;
		path = strpbrk(access, "/[");
		mapping.is_heap = path && strcmp(path, "[heap]") == 0;
		if (access[3] == 'p' && (!path || mapping.is_heap || strncmp(path, "[anon", 5) == 0))
			mapping_enter(mapping, access[0] == 'r' || access[1] == 'w', &at, list, &count);
		line = end + 1;
	}
	side = !side;
	n_pieces = count;
}

/* ---- what threads do -------------------------------------------------------------------------------------- */

static uint64_t draw(struct worker *self, uint64_t limit)
{
	self->random = self->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (self->random >> 33) % limit;
}

static void allocate(struct worker *self, size_t total, size_t least, size_t most, struct block **list)
{
	for (size_t done = 0; done < total;) {
		size_t size = least + draw(self, most - least);
		struct block *block = malloc(size);

		if (!block)
			DIE("malloc: %s", strerror(errno));
		memset(block, 1, size);
		*block = (struct block){ *list, size };
		*list = block;
		done += size;
	}
}

/* Frees `percent` of the blocks, any of them. */
static void release(struct worker *self, struct block **list, unsigned percent)
{
	struct block *left = *list;

	*list = NULL;
	while (left) {
		struct block *block = left;

		left = block->next;
		if (draw(self, 100) < percent) {
			free(block);
		} else {
			block->next = *list;
			*list = block;
		}
	}
}

static void take_over(struct worker *self)
{
	struct block *last;

	release(self, &handed, 50);
	for (last = handed; last && last->next; last = last->next)
		;
	if (last) {
		last->next = self->held;
		self->held = handed;
		handed = NULL;
	}
}

static void step(struct worker *self)
{
	int number = (int)(self - workers);

	if (self->role == BIG)
		release(self, &self->held, 33);
	if (self->role == TAKE)
		take_over(self);
	/* Freed and mapped anew at one place would look as if nothing had happened. */
	look(number);
	switch (self->role) {
	case KEEP:
		allocate(self, 512 << 10, 48, 2000, &self->held);
		break;
	case BIG:
		allocate(self, 3 << 20, 600 << 10, 2 << 20, &self->held);
		break;
	case CHURN:
		allocate(self, 256 << 10, 48, 2000, &self->held);
		look(number);
		release(self, &self->held, 90);
		break;
	case GIVE:
		allocate(self, 768 << 10, 48, draw(self, 2) ? 2000 : 40000, &handed);
		break;
	case TAKE:
		allocate(self, 256 << 10, 48, 40000, &self->held);
		break;
	default:
		allocate(self, 512 << 10, 48, 2000, &self->held);
	}
	look(number);
	self->steps++;
}

/* All at once, and each frees what another has left in its place. */
static void storm(struct worker *self)
{
	static struct block *places[STORM_BLOCKS];

	for (unsigned i = 0; i < self->storm; i++) {
		size_t size = 16 + draw(self, draw(self, 20) ? 4000 : 400000);
		struct block *block = malloc(size);

		if (!block)
			DIE("malloc: %s", strerror(errno));
		memset(block, 1, size);
		free(__atomic_exchange_n(&places[draw(self, STORM_BLOCKS)], block, __ATOMIC_ACQ_REL));
	}
	self->storm = 0;
}

static void *worker_main(void *argument)
{
	struct worker *self = argument;
	pthread_attr_t attributes;
	char name[16];
	void *stack;

	snprintf(name, sizeof(name), "%.8s-%u", role_names[self->role], (unsigned)(self - workers) % 1000);
	prctl(PR_SET_NAME, name);
	pthread_mutex_lock(&lock);
	pthread_getattr_np(pthread_self(), &attributes);
	pthread_attr_getstack(&attributes, &stack, &self->stack_length);
	pthread_attr_destroy(&attributes);
	self->stack = (uintptr_t)stack;
	self->tid = (pid_t)syscall(SYS_gettid);
	self->alive = true;
	look((int)(self - workers));
	while (!self->leaving) {
		turn = NULL;
		pthread_cond_broadcast(&changed);
		while (turn != self && !self->storm)
			pthread_cond_wait(&changed, &lock);
		if (self->storm) {
			pthread_mutex_unlock(&lock);
			storm(self);
			pthread_mutex_lock(&lock);
			n_storming--;
		} else if (!self->leaving) {
			step(self);
		}
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* ---- the main thread, which holds the lock but while it waits ----------------------------------------- */

static void give_turn(struct worker *worker)
{
	turn = worker;
	pthread_cond_broadcast(&changed);
	while (turn)
		pthread_cond_wait(&changed, &lock);
}

/* The stack is the new thread's, all else that is mapped here the main thread's. */
static struct worker *start(enum role role)
{
	struct worker *worker = &workers[n_workers];

	if (n_workers == THREADS_MAX)
		DIE("too many threads");
	n_workers++;
	*worker = (struct worker){ .role = role, .random = 88172645463325252ULL * n_workers };
	turn = worker;
	if (pthread_create(&worker->thread, NULL, worker_main, worker))
		DIE("pthread_create failed");
	look(0);
	while (turn)
		pthread_cond_wait(&changed, &lock);
	return worker;
}

/* What it leaves behind in its allocator's hands is orphaned. */
static void end(struct worker *worker)
{
	worker->leaving = true;
	turn = worker;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	pthread_join(worker->thread, NULL);
	pthread_mutex_lock(&lock);
	turn = NULL;
	worker->alive = false;
	look((int)(worker - workers));
}

static void go(unsigned steps)
{
	for (unsigned n = 0; n < steps; n++) {
		unsigned count = n_workers;

		for (unsigned i = 1; i < count; i++) {
			struct worker *worker = &workers[i];

			if (!worker->alive)
				continue;
			give_turn(worker);
			if (worker->role == LEAVE && worker->steps == 3) {
				struct block *left = worker->held;

				end(worker);
				start(LEAVE)->held = left;
			}
		}
	}
}

static void storm_all(unsigned calls)
{
	for (unsigned i = 1; i < n_workers; i++) {
		workers[i].storm = workers[i].alive ? calls : 0;
		n_storming += workers[i].alive;
	}
	pthread_cond_broadcast(&changed);
	while (n_storming)
		pthread_cond_wait(&changed, &lock);
}

static uint64_t overlap_resident(const struct piece *piece, uintptr_t start, uintptr_t end)
{
	uintptr_t from = piece->start > start ? piece->start : start, to = piece->end < end ? piece->end : end;

	return from < to ? bytes_resident(from, to - from) : 0;
}

/* Bytes of living blocks, and of those what lies in pages that another has made usable. */
static void count_held(const struct worker *worker, uint64_t *ret_held, uint64_t *ret_others)
{
	*ret_held = *ret_others = 0;
	for (const struct block *block = worker->held; block; block = block->next) {
		uintptr_t start = (uintptr_t)block, end = start + block->size;
		unsigned low = 0, high = n_pieces;

		*ret_held += block->size;
		while (low < high) {
			unsigned middle = low + (high - low) / 2;

			if (pieces[side][middle].end <= start)
				low = middle + 1;
			else
				high = middle;
		}
		for (; low < n_pieces && pieces[side][low].start < end; low++) {
			const struct piece *piece = &pieces[side][low];
			uintptr_t from = piece->start > start ? piece->start : start;
			uintptr_t to = piece->end < end ? piece->end : end;

			if (piece->owner != (int)(worker - workers))
				*ret_others += to - from;
		}
	}
}

static void truth(void)
{
	uint64_t before = 0;

	look(0);
	for (unsigned i = 0; i < n_workers; i++)
		workers[i].mmap = workers[i].heap = workers[i].fresh = 0;
	for (const struct piece *piece = pieces[side]; piece < pieces[side] + n_pieces; piece++) {
		uint64_t bytes = bytes_resident(piece->start, piece->end - piece->start);

		for (unsigned i = 0; i < n_workers; i++)
			if (workers[i].alive && workers[i].stack_length)
				bytes -= overlap_resident(piece, workers[i].stack, workers[i].stack + workers[i].stack_length);
		if (piece->owner == BEFORE)
			before += bytes;
		else if (piece->is_heap)
			workers[piece->owner].heap += bytes;
		else
			workers[piece->owner].mmap += bytes;
		if (piece->owner != BEFORE && piece->is_fresh)
			workers[piece->owner].fresh += bytes;
	}
	say("{\"pid\":%d,\"rss_anon\":%" PRIu64 ",\"before\":%" PRIu64 ",\"threads\":[", getpid(), rss_anon(),
	    before);
	for (unsigned i = 0; i < n_workers; i++) {
		const struct worker *worker = &workers[i];
		uint64_t held, others;

		count_held(worker, &held, &others);
		say("%s{\"tid\":%d,\"role\":\"%s\",\"alive\":%s,\"stack\":%" PRIu64 ",\"heap\":%" PRIu64 ",\"mmap\":%" PRIu64
		    ",\"fresh\":%" PRIu64 ",\"held\":%" PRIu64 ",\"of_others\":%" PRIu64 "}",
		    i ? "," : "", worker->tid, i ? role_names[worker->role] : "main", worker->alive ? "true" : "false",
		    worker->stack_length ? bytes_resident(worker->stack, worker->stack_length) : named_resident("[stack]"),
		    worker->heap, worker->mmap, worker->fresh, worker->alive ? held : 0, worker->alive ? others : 0);
	}
	say("]}");
	say_done();
}

static void mark(void)
{
	look(0);
	for (unsigned i = 0; i < n_pieces; i++)
		pieces[side][i].is_fresh = false;
}

static void start_all(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char *count = strchr(argv[i], ':');
		int role = 0;

		while (count && role < ROLES && strncmp(role_names[role], argv[i], count - argv[i]) != 0)
			role++;
		if (!count || role == ROLES)
			usage();
		for (unsigned long n = strtoul(count + 1, NULL, 10); n; n--)
			start(role);
	}
}

int main(int argc, char **argv)
{
	static char line[64];

	if (argc < 2)
		usage();
	truth_init();
	memset(maps_text, 1, sizeof(maps_text));
	memset(pieces, 0, sizeof(pieces));
	setvbuf(stdin, NULL, _IONBF, 0);
	alarm(120);
	workers[n_workers++] = (struct worker){ .tid = getpid(), .alive = true };
	look(BEFORE);
	pthread_mutex_lock(&lock);
	say("{\"ready\":%d}", getpid());
	say_done();
	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "truth\n") == 0) {
			truth();
			continue;
		}
		if (strcmp(line, "start\n") == 0)
			start_all(argc, argv);
		else if (strncmp(line, "go ", 3) == 0)
			go((unsigned)atoi(line + 3));
		else if (strcmp(line, "mark\n") == 0)
			mark();
		else if (strncmp(line, "storm ", 6) == 0)
			storm_all((unsigned)atoi(line + 6));
		else
			say("{\"error\":\"wrong command\"}");
		if (!truth_length)
			say("{\"ok\":true}");
		say_done();
	}
	_exit(0);
}
