/* SPDX-License-Identifier: GPL-2.0-only */
/* A process whose threads follow plans made of a seed: each maps, touches, grows, frees its own memory and others',
 * ends and is replaced, and the true owner of each page is kept. It must not know poolscope. See usage(). */
#include "seeded_truth.h"

static void usage(void)
{
	fputs("usage: seeded SEED PRIMITIVE[,PRIMITIVE...] [THREADS [ARENAS]]\n"
	      "  primitives: map noreserve fixed partial grow shrink move dontunmap reserve lock brk discard free guard\n"
	      "              huge shared image stack birth slab malloc realloc fork vfork guest\n"
	      "  ARENAS: M_ARENA_MAX; 0: malloc is not glibc's (LD_PRELOAD), and what it maps is not told\n"
	      "commands on stdin, one JSON line back each; end of file ends it; at most 120 s:\n"
	      "  go OPS (a round: everybody does that much, then stands still), truth\n", stderr);
	exit(2);
}

static void op_slab(struct person *self)
{
	op_birth(self);
}

struct operation {
	const char *name;
	void (*act)(struct person *self);
	bool libc; /* not for guests, which have no thread control block of their own */
};

#define PLAIN(name) { #name, op_##name, false }
#define LIBC(name) { #name, op_##name, true }

static const struct operation operations[] = {
	PLAIN(map), PLAIN(noreserve), PLAIN(fixed), PLAIN(partial), PLAIN(grow), PLAIN(shrink), PLAIN(move),
	PLAIN(dontunmap), PLAIN(reserve), PLAIN(lock), PLAIN(brk), PLAIN(discard), PLAIN(free), PLAIN(guard), PLAIN(huge),
	PLAIN(shared), PLAIN(image), LIBC(stack), LIBC(birth), LIBC(slab), LIBC(malloc), LIBC(realloc), LIBC(fork),
	LIBC(vfork), LIBC(guest),
	/* come along with others */
	PLAIN(touch), PLAIN(read), PLAIN(unmap), PLAIN(protect), LIBC(malloc_free),
};
#define OPERATIONS (sizeof(operations) / sizeof(*operations))

static const struct operation *chosen[2 * OPERATIONS];
static unsigned n_chosen;

static bool choose(const char *name)
{
	for (size_t i = 0; i < OPERATIONS; i++)
		if (strcmp(operations[i].name, name) == 0)
			chosen[n_chosen++] = &operations[i];
	return n_chosen && strcmp(chosen[n_chosen - 1]->name, name) == 0;
}

static bool is_chosen(const char *name)
{
	for (unsigned i = 0; i < n_chosen; i++)
		if (strcmp(chosen[i]->name, name) == 0)
			return true;
	return false;
}

static void person_work(struct person *self)
{
	for (;;) {
		while (self->ops_left && !self->leaving) {
			const struct operation *operation = chosen[pick(self, n_chosen)];

			self->ops_left--;
			if (book->n_areas > AREAS_MAX - 64)
				op_unmap(self);
			else if (!self->guest || !operation->libc)
				operation->act(self);
		}
		if (self->leaving || (self->guest && chance(self, 30)))
			return;
		park(self);
		self->ops_left = self->guest ? book->ops / 4 : book->ops;
	}
}

/* Nobody moves, and who has ended has left the kernel. */
static bool all_done(void)
{
	static char path[64], text[64 << 10];
	unsigned threads = 0;
	char *line;

	for (unsigned i = 1; i < book->n_people; i++) {
		struct person *person = &book->people[i];

		if (person->alive && __atomic_load_n(&person->done, __ATOMIC_ACQUIRE) != book->round)
			return false;
		threads += person->alive && !person->guest;
		if (person->guest && !person->alive && !person->reaped)
			person->reaped = waitpid(person->tid, NULL, __WALL) == person->tid;
	}
	snprintf(path, sizeof(path), "/proc/self/status");
	line = strstr(proc_text(path, text, sizeof(text)), "Threads:");
	return line && strtoul(line + 8, NULL, 10) == threads + 1;
}

static void go(unsigned ops, unsigned threads)
{
	struct person *self = book->people;
	bool first = !book->round;

	book->ops = ops;
	self->ops_left = ops / 4;
	atomic_fetch_add(&book->round, 1);
	syscall(SYS_futex, &book->round, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	for (unsigned i = 0; i < threads && first; i++)
		spawn(self, (int)(i % POOLS), ops);
	while (self->ops_left) {
		const struct operation *operation = chosen[pick(self, n_chosen)];

		self->ops_left--;
		operation->act(self);
	}
	while (!all_done())
		usleep(500);
}

static void files_open(void)
{
	char name[] = "/tmp/seeded-XXXXXX";

	shared_file = memfd_create("seeded", MFD_CLOEXEC);
	disk_file = mkostemp(name, O_CLOEXEC);
	unlink(name);
	if (shared_file < 0 || disk_file < 0 || ftruncate(shared_file, 64 << 20) || ftruncate(disk_file, 64 << 20))
		DIE("no files: %s", strerror(errno));
}

static void set_up(uint64_t seed, int arenas)
{
	static const size_t stack_sizes[] = { 64 << 10, 256 << 10, 1 << 20, 8 << 20 };
	void *volatile first; /* or the compiler makes nothing of it */
	struct person *self;

	truth_init();
	book = mmap(NULL, sizeof(*book), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (book == MAP_FAILED)
		DIE("mmap: %s", strerror(errno));
	book->pid = getpid();
	self = person_add(0, seed, 0);
	self->tid = book->pid;
	is_foreign = !arenas;
	if (!is_foreign)
		mallopt(M_ARENA_MAX, arenas);
	mallopt(M_MMAP_THRESHOLD, LARGE);
	/* The main heap is brk's too: it has all it needs from the start, and never gives anything back. */
	if (is_chosen("brk")) {
		mallopt(M_TRIM_THRESHOLD, INT32_MAX);
		mallopt(M_TOP_PAD, 4 << 20);
	}
	first = malloc(1 << 10);
	free(first);
	mallopt(M_TOP_PAD, LARGE);
	stack_size = stack_sizes[pick(self, 4)];
	uses_slab = is_chosen("slab");
	book->brk_low = (brk_now() + PAGE - 1) & ~(PAGE - 1);
	book->main_end = brk_now();
	if (!is_chosen("huge"))
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	files_open();
	alarm(120);
}

int main(int argc, char **argv)
{
	static char line[64];
	char *saved = NULL;

	if (argc < 3)
		usage();
	for (char *name = strtok_r(argv[2], ",", &saved); name; name = strtok_r(NULL, ",", &saved))
		if (!choose(name))
			usage();
	choose("touch");
	choose("unmap");
	choose("read");
	if (is_chosen("reserve") || is_chosen("lock") || is_chosen("fixed"))
		choose("protect");
	if (is_chosen("malloc"))
		choose("malloc_free");
	setvbuf(stdin, NULL, _IONBF, 0);
	set_up(strtoull(argv[1], NULL, 0), argc > 4 ? atoi(argv[4]) : 512);
	say("{\"ready\":%d}", book->pid);
	say_done();
	while (fgets(line, sizeof(line), stdin)) {
		if (strncmp(line, "go ", 3) == 0) {
			go((unsigned)atoi(line + 3), argc > 3 ? (unsigned)atoi(argv[3]) : 6);
			say("{\"ok\":true}");
			say_done();
		} else if (strcmp(line, "truth\n") == 0) {
			truth();
		} else {
			say("{\"error\":\"wrong command\"}");
			say_done();
		}
	}
	_exit(0);
}
