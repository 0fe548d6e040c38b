/* SPDX-License-Identifier: GPL-2.0-only */
/* A process whose threads malloc large blocks and keep their addresses in various places, and that knows who made
 * what. It must not know poolscope. usage: blocks HOW:THREADS... */
#include <malloc.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include "truth.h"

#define MAKERS_MAX 256
#define BLOCKS 3

enum how {
	STACK,  /* in locals of the thread that made them */
	NODE,   /* in a small chunk of its arena */
	LOCAL,  /* in thread-local storage */
	TABLE,  /* in a global table: whose is that? */
	CHAIN,  /* in one large block, whose address is on the stack */
	DEEP,   /* likewise, far behind the beginning of that block */
	BESIDE, /* on the stack, and in memory of another allocator that lies right behind the block */
	BEGIN,  /* on the stack of a thread that was started with it: its creator made it */
	MOVED,  /* likewise, moved there from an object that it was started with; it took page faults for work of its own */
	INSIDE, /* as on the stack, which lies in the heap of the first thread */
	SERVED, /* in an object of the first thread's heap, who took page faults for work of its own */
	GIVEN,  /* on the stack of another thread, which only uses them */
	STORED, /* in the arena of another thread, which only uses them */
	QUEUED, /* as stored, and the maker keeps no trace of them: it went on with others */
	HIRED,  /* as queued, to takers who took page faults for work of their own */
	POOLED, /* likewise; makers and takers begin in one routine, as two pools of one class, and only their names tell them apart */
	REUSED, /* as in DEEP, where another thread had blocks before, whose addresses it still has in its arena */
	SHOWN,  /* in the arena of the maker and on the stack of another thread */
	/* as stored, by takers who took page faults for work of their own; and the maker has the addresses, too: */
	FIRST,  /* it is the first thread, which is far down its stack by now */
	AWAY,   /* on its stack, while it runs on another */
	SEALED, /* in memory that can only be read by now */
	HOW_COUNT,
};

static const char *const names[HOW_COUNT] = { "stack", "node", "local", "table", "chain", "deep", "beside", "begin", "moved", "inside", "served", "given", "stored", "queued",
					       "hired", "pooled", "reused", "shown", "first", "away", "sealed" };

struct maker {
	enum how how;
	bool is_begun;
	pid_t tid;
	struct {
		uintptr_t start_hidden; /* inverted: the truth must not be evidence */
		size_t length;
	} made[BLOCKS];
	pthread_barrier_t handed;
	void **crossing; /* where the taker finds them, for the moment of handing over */
};

static struct maker makers[MAKERS_MAX];
static unsigned n_makers;
static void *volatile table[MAKERS_MAX][BLOCKS];
static __thread void *volatile local[BLOCKS];
static pthread_barrier_t settled;

static size_t block_length(const struct maker *maker, unsigned i)
{
	/* more than a program takes page faults for when it starts */
	return ((size_t)3 << 20) + (maker - makers) * 8192 + i * 300000;
}

static void *block_new(struct maker *maker, unsigned i)
{
	size_t length = block_length(maker, i);
	char *block = malloc(length);

	touch(block, length);
	maker->made[i].start_hidden = ~(uintptr_t)block;
	maker->made[i].length = length;
	return block;
}

/* As any code that ran on before it waits: what was in dead frames is gone. */
__attribute__((noinline)) static void run_on(void)
{
	volatile char frames[64 << 10];

	memset((void *)frames, 0, sizeof(frames));
}

__attribute__((noinline)) static void wait_for_ever(void)
{
	for (;;)
		pause();
}

__attribute__((noinline)) static void settle(void *const *blocks)
{
	__asm__ volatile("" : : "r"(blocks) : "memory");
	run_on();
	pthread_barrier_wait(&settled);
	wait_for_ever();
}

/* The holes are the maker's at once: one at a time, for who comes next has the same hole. */
__attribute__((noinline)) static void leave_addresses(struct maker *maker)
{
	static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
	char *volatile *stored = malloc(sizeof(*stored) * BLOCKS);

	for (unsigned i = 1; i < BLOCKS; i++) {
		pthread_mutex_lock(&one_at_a_time);
		stored[i] = malloc(block_length(maker, i));
		touch(stored[i], block_length(maker, i));
		free(stored[i]);
		pthread_barrier_wait(&maker->handed);
		pthread_barrier_wait(&maker->handed);
		pthread_mutex_unlock(&one_at_a_time);
	}
	settle((void *const *)stored);
}

__attribute__((noinline)) static void make_deep(struct maker *maker)
{
	void *volatile *deep = block_new(maker, 0);
	void *held[BLOCKS] = { (void *)deep };

	for (unsigned i = 1; i < BLOCKS; i++) {
		if (maker->how == REUSED)
			pthread_barrier_wait(&maker->handed);
		deep[(512 << 10) / sizeof(*deep) + i] = block_new(maker, i);
		if (maker->how == REUSED)
			pthread_barrier_wait(&maker->handed);
	}
	settle(held);
}

static void work(void)
{
	size_t length = (size_t)16 << 20; /* more than all its blocks */
	char *scratch = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	madvise(scratch, length, MADV_NOHUGEPAGE);
	touch(scratch, length);
	munmap(scratch, length);
}

static bool is_hired(const struct maker *maker)
{
	return maker->how == HIRED || maker->how == POOLED;
}

static void *taker_main(void *argument)
{
	struct maker *maker = argument;
	void *held[BLOCKS], **stored;

	free(malloc(100)); /* an arena of its own */
	if (maker->how == REUSED)
		leave_addresses(maker);
	pthread_barrier_wait(&maker->handed);
	if (maker->how == STORED || maker->how == QUEUED || is_hired(maker) || maker->how >= FIRST) {
		if (is_hired(maker) || maker->how >= FIRST)
			work();
		stored = malloc(sizeof(held));
		memcpy(stored, maker->crossing, sizeof(held));
		memset(held, 0, sizeof(held));
		run_on();
		pthread_barrier_wait(&maker->handed);
		settle(stored);
	}
	memcpy(held, maker->crossing, sizeof(held));
	pthread_barrier_wait(&maker->handed);
	settle(held);
	return NULL;
}

__attribute__((noinline)) static void make_and_hand_over(struct maker *maker)
{
	void **crossing = malloc(sizeof(*crossing) * BLOCKS);

	for (unsigned i = 0; i < BLOCKS; i++)
		crossing[i] = block_new(maker, i);
	maker->crossing = crossing;
	pthread_barrier_wait(&maker->handed);
	pthread_barrier_wait(&maker->handed);
	if (maker->how != SHOWN)
		memset(crossing, 0, sizeof(*crossing) * BLOCKS);
}

__attribute__((noinline)) static void **make_node(struct maker *maker)
{
	void **node = malloc(sizeof(*node) * BLOCKS);

	for (unsigned i = 0; i < BLOCKS; i++)
		node[i] = block_new(maker, i);
	return node;
}

/* The kernel gives out addresses from high to low: what is mapped next lies right below, once the holes are filled. */
__attribute__((noinline)) static void *make_beside(struct maker *maker, unsigned i)
{
	static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
	void *fillers[64], *block = NULL;
	unsigned n = 0;

	pthread_mutex_lock(&one_at_a_time);
	for (; n < 64 && !block; n++) {
		void **beside = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		fillers[n] = block_new(maker, i);
		if ((((uintptr_t)fillers[n] + maker->made[i].length + 4095) & ~4095UL) == (uintptr_t)beside)
			block = beside[100] = fillers[n--];
	}
	while (n--)
		free(fillers[n]);
	pthread_mutex_unlock(&one_at_a_time);
	if (!block)
		DIE("no block came to lie right below another mapping");
	return block;
}

/* What calls of malloc left in dead frames is of blocks that are gone. */
__attribute__((noinline)) static void go_on(void)
{
	for (unsigned i = 0; i < 8; i++) {
		char *block = malloc((size_t)1 << 20);

		touch(block, (size_t)1 << 20);
		free(block);
	}
}

static void leave_stack(void)
{
	ucontext_t here, there;
	size_t length = 256 << 10;

	getcontext(&there);
	there.uc_stack.ss_sp = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	there.uc_stack.ss_size = length;
	makecontext(&there, (void (*)(void))settle, 1, NULL);
	swapcontext(&here, &there);
}

/* Keeps what it made at `kept`, and hands it over as well. */
__attribute__((noinline)) static void make_and_share(struct maker *maker, void *volatile *kept)
{
	for (unsigned i = 0; i < BLOCKS; i++)
		kept[i] = block_new(maker, i);
	maker->crossing = (void **)kept;
	pthread_barrier_wait(&maker->handed);
	pthread_barrier_wait(&maker->handed);
}

static void *maker_main(void *argument)
{
	struct maker *maker = argument;
	void *volatile *sealed;
	void *held[BLOCKS] = { NULL }, **node;

	maker->tid = syscall(SYS_gettid);
	free(malloc(100));
	switch (maker->how) {
	case STACK:
	case INSIDE:
		for (unsigned i = 0; i < BLOCKS; i++)
			held[i] = block_new(maker, i);
		settle(held);
		break;
	case NODE:
		node = make_node(maker);
		settle(node);
		break;
	case LOCAL:
		for (unsigned i = 0; i < BLOCKS; i++)
			local[i] = block_new(maker, i);
		break;
	case TABLE:
		for (unsigned i = 0; i < BLOCKS; i++)
			table[maker - makers][i] = block_new(maker, i);
		break;
	case BESIDE:
		for (unsigned i = 0; i < BLOCKS; i++)
			held[i] = make_beside(maker, i);
		settle(held);
		break;
	case SERVED:
		for (unsigned i = 0; i < BLOCKS; i++)
			maker->crossing[i] = block_new(maker, i);
		break;
	case CHAIN:
		held[0] = block_new(maker, 0);
		for (unsigned i = 1; i < BLOCKS; i++)
			((void **)held[0])[i] = block_new(maker, i);
		settle(held);
		break;
	case DEEP:
	case REUSED:
		make_deep(maker);
		break;
	case AWAY:
		make_and_share(maker, held);
		leave_stack();
		break;
	case SEALED:
		sealed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		make_and_share(maker, sealed);
		mprotect((void *)sealed, 4096, PROT_READ);
		break;
	default:
		make_and_hand_over(maker);
	}
	if (maker->how == QUEUED || is_hired(maker) || maker->how == SERVED)
		go_on();
	settle(NULL);
	return NULL;
}

/* The first makes, the other takes. */
static void *pooled_main(void *argument)
{
	struct maker *maker = argument;
	bool makes = !__atomic_exchange_n(&maker->is_begun, true, __ATOMIC_SEQ_CST);
	char name[16];

	snprintf(name, sizeof(name), "%s-%u", makes ? "decode" : "render", (unsigned)(maker - makers));
	pthread_setname_np(pthread_self(), name);
	return makes ? maker_main(maker) : taker_main(maker);
}

static void *begin_main(void *block)
{
	void *held[BLOCKS] = { block };

	free(malloc(100));
	settle(held);
	return NULL;
}

/* As what std::thread, or a closure of Rust's, is given. */
static void *moved_main(void *object)
{
	void *held[BLOCKS];

	memcpy(held, object, sizeof(held));
	memset(object, 0, sizeof(held));
	free(object);
	work();
	settle(held);
	return NULL;
}

__attribute__((noinline)) static int begin(struct maker *maker, pthread_t *thread)
{
	void **object;

	maker->tid = getpid();
	if (maker->how == BEGIN)
		return pthread_create(thread, NULL, begin_main, block_new(maker, 0));
	object = malloc(sizeof(*object) * BLOCKS);
	for (unsigned i = 0; i < BLOCKS; i++)
		object[i] = block_new(maker, i);
	return pthread_create(thread, NULL, moved_main, object);
}

static void say_truth(void)
{
	say("{\"pid\":%d,\"rss_anon\":%" PRIu64 ",\"threads\":[", getpid(), rss_anon());
	for (unsigned i = 0; i < n_makers; i++) {
		uint64_t bytes = 0;

		for (unsigned k = 0; k < BLOCKS; k++)
			bytes += bytes_resident(~makers[i].made[k].start_hidden, makers[i].made[k].length);
		say("%s{\"tid\":%d,\"how\":\"%s\",\"made\":%" PRIu64 "}", i ? "," : "", makers[i].tid,
		    names[makers[i].how], bytes);
	}
	say("]}");
	say_done();
}

static const pthread_attr_t *stack_for(const struct maker *maker)
{
	static pthread_attr_t attributes;
	size_t length = 192 << 10;

	if (maker->how != INSIDE)
		return NULL;
	pthread_attr_init(&attributes);
	pthread_attr_setstack(&attributes, aligned_alloc(4096, length), length);
	return &attributes;
}

__attribute__((noinline, noreturn)) static void serve_far_down(void)
{
	volatile char frames[1 << 20];
	char line[64];

	__asm__ volatile("" : : "r"(frames) : "memory");
	run_on();
	pthread_barrier_wait(&settled);
	say("{\"ready\":%d}", getpid());
	say_done();
	while (fgets(line, sizeof(line), stdin))
		say_truth();
	_exit(0);
}

int main(int argc, char **argv)
{
	void *volatile kept[MAKERS_MAX][BLOCKS];
	unsigned threads = 0;

	truth_init();
	mallopt(M_ARENA_MAX, 2 * MAKERS_MAX);
	mallopt(M_MMAP_THRESHOLD, 512 << 10);
	for (int i = 1; i < argc; i++) {
		char *count = strchr(argv[i], ':');
		int how = 0;

		while (count && how < HOW_COUNT && strncmp(names[how], argv[i], count - argv[i]) != 0)
			how++;
		if (!count || how == HOW_COUNT)
			DIE("usage: blocks stack|node|local|table|chain|deep|beside|begin|moved|inside|served|given|stored|queued|hired|pooled|reused|shown|first|away|sealed:THREADS...");
		for (unsigned n = strtoul(count + 1, NULL, 10); n && n_makers < MAKERS_MAX; n--, n_makers++) {
			makers[n_makers].how = how;
			threads += how >= GIVEN && how != FIRST ? 2 : 1;
			pthread_barrier_init(&makers[n_makers].handed, NULL, 2);
		}
	}
	pthread_barrier_init(&settled, NULL, threads + 1);
	for (unsigned i = 0; i < n_makers; i++) {
		pthread_t thread;

		if (makers[i].how == SERVED) {
			makers[i].crossing = calloc(BLOCKS, sizeof(void *));
			work();
		}
		if (makers[i].how != FIRST &&
		    (makers[i].how == BEGIN || makers[i].how == MOVED
			     ? begin(&makers[i], &thread)
			     : pthread_create(&thread, stack_for(&makers[i]), makers[i].how == POOLED ? pooled_main : maker_main,
					      &makers[i])))
			DIE("pthread_create failed");
		if (makers[i].how >= GIVEN &&
		    pthread_create(&thread, NULL, makers[i].how == POOLED ? pooled_main : taker_main, &makers[i]))
			DIE("pthread_create failed");
		if (makers[i].how == FIRST) {
			makers[i].tid = getpid();
			make_and_share(&makers[i], kept[i]);
		}
		if (makers[i].how == MOVED) {
			go_on();
			run_on();
		}
	}
	serve_far_down();
}
