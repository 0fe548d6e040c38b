/* SPDX-License-Identifier: GPL-2.0-only */
/* A process whose threads do what stdin says, one memory call at a time, so that a test states a case as
 * a script and compares owners. It must not know poolscope or the rule of ownership. See usage(). */
#include <ctype.h>
#include <pthread.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "kvm.h"
#include "puppet_ranges.h"
#include "uring.h"

static void usage(void)
{
	fputs("usage: puppet [SECONDS]   (commands on stdin, one JSON line back each; end of file ends it, or the time: 60)\n"
	      "  truth | ACTOR VERB ARGS...   ACTOR: main, or what `spawn` made\n"
	      "  spawn NAME [STACK_SIZE]; exit; name HEX; stack SIZE; malloc SIZE (heap of the thread);\n"
	      "  mmap RANGE SIZE [none|r|rw [OVER OFFSET]]; munmap|touch|read RANGE [OFFSET SIZE];\n"
	      "  mprotect RANGE none|r|rw [OFFSET SIZE]; shmat RANGE [OFFSET SIZE]; madvise RANGE ADVICE [OFFSET SIZE]; sbrk DELTA;\n"
	      "  mremap RANGE SIZE [move]; huge RANGE SIZE (hugetlb); uring N (io_uring workers, blocked for ever);\n"
	      "  storm CALLS [names]; fork; vm-clone [thread]; kvm (a machine of one instruction); exec [PATH]; quit CODE; kill SIGNAL\n", stderr);
	exit(2);
}

static void *actor_run(void *argument);

static int do_spawn(struct actor *self, int n, char **words)
{
	struct actor *actor = &actors[n_actors];
	pthread_attr_t attributes;
	int failed;

	if (n < 1 || n_actors == ACTORS_MAX)
		return -1;
	memset(actor, 0, sizeof(*actor));
	snprintf(actor->name, sizeof(actor->name), "%s", words[0]);
	pthread_attr_init(&attributes);
	if (n > 1)
		pthread_attr_setstacksize(&attributes, parse_size(words[1]));
	failed = pthread_create(&actor->thread, &attributes, actor_run, actor);
	pthread_attr_destroy(&attributes);
	if (failed)
		return answer(errno = failed);
	pthread_mutex_lock(&lock);
	while (!actor->alive)
		pthread_cond_wait(&changed, &lock);
	n_actors++;
	pthread_mutex_unlock(&lock);
	say("{\"tid\":%d}", actor->tid);
	return 0;
}

static int do_exit(struct actor *self, int n, char **words)
{
	self->leaving = true;
	return answer(0);
}

static int do_name(struct actor *self, int n, char **words)
{
	char name[16] = "";

	for (size_t i = 0; n && i < 15 && isxdigit(words[0][2 * i]); i++)
		sscanf(words[0] + 2 * i, "%2hhx", (unsigned char *)&name[i]);
	return answer(prctl(PR_SET_NAME, name));
}

static int do_stack(struct actor *self, int n, char **words)
{
	touch_stack(n ? parse_size(words[0]) : 0);
	return answer(0);
}

static int do_malloc(struct actor *self, int n, char **words)
{
	for (size_t left = n ? parse_size(words[0]) : 0, size = 32 << 10; left >= size; left -= size) {
		char *chunk = malloc(size);

		if (!chunk)
			return answer(-1);
		touch(chunk, size);
		if (chunk > (char *)sbrk(0))
			self->heap = (uintptr_t)chunk & ~(HEAP_MAX - 1);
	}
	return answer(0);
}

/* The child holds what it inherited until its parent ends. */
static int do_fork(struct actor *self, int n, char **words)
{
	pid_t child = fork();

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (n)
			touch(mmap(NULL, parse_size(words[0]), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			      parse_size(words[0]));
		say("{\"child\":%d}", getpid());
		say_done();
		for (int i = 0; i < 60; i++)
			sleep(1);
		_exit(0);
	}
	if (child < 0)
		return answer(-1);
	return 1;
}

static int hold_memory(void *argument)
{
	touch(argument, 1 << 20);
	for (int i = 0; i < 60; i++)
		sleep(1);
	return 0;
}

#define STORM_THREADS 4

static void *storm_names(void *argument)
{
	char name[16];

	for (size_t left = (size_t)argument; left; left--) {
		snprintf(name, sizeof(name), "storm-%zu", left % 4);
		prctl(PR_SET_NAME, name);
	}
	return NULL;
}

static void *storm_run(void *argument)
{
	for (size_t left = (size_t)argument; left; left--) {
		char *start = mmap(NULL, 64 << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (start == MAP_FAILED)
			DIE("mmap: %s", strerror(errno));
		if (left == 1)
			touch(start, 64 << 10); /* stays */
		else
			munmap(start, 64 << 10);
	}
	return NULL;
}

/* Threads that do nothing but map and unmap, and end. Each leaves 64 KiB; or that name themselves anew. */
static int do_storm(struct actor *self, int n, char **words)
{
	void *(*const run)(void *) = n > 1 && strcmp(words[1], "names") == 0 ? storm_names : storm_run;
	pthread_t threads[STORM_THREADS];
	int failed = 0;

	for (unsigned i = 0; i < STORM_THREADS && !failed; i++)
		failed = pthread_create(&threads[i], NULL, run, (void *)(n ? parse_size(words[0]) : 1));
	for (unsigned i = 0; i < STORM_THREADS && !failed; i++)
		failed = pthread_join(threads[i], NULL);
	return answer(errno = failed);
}

static int do_uring(struct actor *self, int n, char **words)
{
	return answer(!uring_start_workers(n ? (unsigned)parse_size(words[0]) : 1));
}

/* Another process in the same memory; or a thread without thread-local variables of its own. */
static int do_vm_clone(struct actor *self, int n, char **words)
{
	int flags = n ? CLONE_THREAD | CLONE_SIGHAND | CLONE_FS | CLONE_FILES : SIGCHLD;
	char *stack = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t child = clone(hold_memory, stack + (1 << 20), CLONE_VM | flags, stack);

	if (child < 0)
		return answer(-1);
	say("{\"child\":%d}", child);
	return 0;
}

static int do_kvm(struct actor *self, int n, char **words)
{
	return answer(!kvm_start_worker());
}

static int do_exec(struct actor *self, int n, char **words)
{
	execv(n ? words[0] : "/proc/self/exe", arguments);
	return answer(-1);
}

static int do_quit(struct actor *self, int n, char **words)
{
	_exit(n ? atoi(words[0]) : 0);
}

static int do_kill(struct actor *self, int n, char **words)
{
	return answer(kill(getpid(), n ? atoi(words[0]) : SIGKILL));
}

/* Each replies with say(): 0; 1: somebody else replies; -1: wrong arguments. */
static const struct {
	const char *name;
	int (*act)(struct actor *self, int n, char **words);
} verbs[] = {
	{ "spawn", do_spawn }, { "exit", do_exit }, { "name", do_name }, { "stack", do_stack },
	{ "malloc", do_malloc }, { "mmap", do_mmap }, { "munmap", do_munmap }, { "touch", do_touch },
	{ "read", do_read }, { "mprotect", do_mprotect }, { "madvise", do_madvise }, { "mremap", do_mremap },
	{ "sbrk", do_sbrk }, { "storm", do_storm }, { "uring", do_uring }, { "shmat", do_shmat },
	{ "fork", do_fork }, { "vm-clone", do_vm_clone }, { "exec", do_exec },
	{ "quit", do_quit }, { "kill", do_kill }, { "huge", do_huge },
	{ "kvm", do_kvm },
};

static void actor_act(struct actor *actor)
{
	int done = -1;

	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (strcmp(verbs[i].name, actor->words[0]) == 0)
			done = verbs[i].act(actor, actor->n_words - 1, actor->words + 1);
	if (done < 0)
		say("{\"error\":\"wrong command\"}");
	if (done <= 0)
		say_done();
}

static void *actor_run(void *argument)
{
	struct actor *self = argument;
	pthread_attr_t attributes;
	void *stack;

	pthread_getattr_np(pthread_self(), &attributes);
	pthread_attr_getstack(&attributes, &stack, &self->stack.length);
	pthread_attr_destroy(&attributes);
	pthread_mutex_lock(&lock);
	self->stack.start = (uintptr_t)stack;
	self->tid = syscall(SYS_gettid);
	self->alive = true;
	pthread_cond_broadcast(&changed);
	while (!self->leaving) {
		while (!self->words)
			pthread_cond_wait(&changed, &lock);
		pthread_mutex_unlock(&lock);
		actor_act(self);
		pthread_mutex_lock(&lock);
		self->words = NULL;
		self->alive = !self->leaving;
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void truth(void)
{
	say("{\"pid\":%d,\"rss_anon\":%" PRIu64 ",\"heap\":%" PRIu64 ",\"ranges\":{", getpid(), rss_anon(),
	    named_resident("[heap]"));
	for (unsigned i = 0; i < n_ranges; i++)
		say("%s\"%s\":%" PRIu64, i ? "," : "", ranges[i].name, bytes_resident(ranges[i].start, ranges[i].length));
	say("},\"threads\":{");
	for (unsigned i = 0, n = 0; i < n_actors; i++) {
		if (!actors[i].alive)
			continue;
		say("%s\"%s\":{\"tid\":%d,\"stack\":%" PRIu64 ",\"arena\":%" PRIu64 "}", n++ ? "," : "", actors[i].name,
		    actors[i].tid, bytes_resident(actors[i].stack.start, actors[i].stack.length),
		    actors[i].heap ? bytes_resident(actors[i].heap, HEAP_MAX) : 0);
	}
	say("}}");
	say_done();
}

static void *control_main(void *unused)
{
	static char line[512];

	setvbuf(stdin, NULL, _IONBF, 0);
	pthread_mutex_lock(&lock);
	while (!actors[0].alive)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	say("{\"ready\":%d}", getpid());
	say_done();
	while (fgets(line, sizeof(line), stdin)) {
		char *words[WORDS_MAX], *saved = NULL;
		struct actor *actor;
		int n = 0;

		for (char *word = strtok_r(line, " \n", &saved); word && n < WORDS_MAX; word = strtok_r(NULL, " \n", &saved))
			words[n++] = word;
		if (n == 1 && strcmp(words[0], "truth") == 0) {
			truth();
			continue;
		}
		actor = n > 1 ? actor_find(words[0]) : NULL;
		if (!actor) {
			say("{\"error\":\"no such actor\"}");
			say_done();
			continue;
		}
		pthread_mutex_lock(&lock);
		actor->n_words = n - 1;
		actor->words = words + 1;
		pthread_cond_broadcast(&changed);
		while (actor->words)
			pthread_cond_wait(&changed, &lock);
		pthread_mutex_unlock(&lock);
		if (!actor->alive && actor != actors)
			pthread_join(actor->thread, NULL);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	pthread_t control;

	if (argc > 2)
		usage();
	arguments = argv;
	truth_init();
	mallopt(M_ARENA_MAX, ACTORS_MAX * 2);
	alarm(argc > 1 ? atoi(argv[1]) : 60);
	snprintf(actors[0].name, sizeof(actors[0].name), "main");
	n_actors = 1;
	if (pthread_create(&control, NULL, control_main, NULL))
		DIE("pthread_create failed");
	actor_run(&actors[0]);
	pthread_exit(NULL);
}
