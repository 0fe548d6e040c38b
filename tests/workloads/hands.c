/* SPDX-License-Identifier: GPL-2.0-only */
/* A process in which large blocks of malloc go through several hands before one thread keeps them, and that knows who
 * brought which pages into being. It must not know poolscope. usage: hands [numbered] HOW:GROUPS... */
#include <malloc.h>
#include <pthread.h>
#include <sys/syscall.h>
#include "truth.h"

#define GROUPS_MAX 64
#define MEMBERS_MAX 4
#define STEPS 3
#define BLOCK ((size_t)6 << 20)
#define OF_ITS_OWN(who) (BLOCK + (who) * 300000) /* so that none is taken for another's */
#define GROWTH ((size_t)256 << 10)

struct group {
	const struct how *how;
	pthread_barrier_t step;
	unsigned n_begun;
	char *crossing[MEMBERS_MAX]; /* empty again at the end: what stands here would be evidence */
	struct member {
		pid_t tid;
		uintptr_t start_hidden; /* inverted: the truth must not be evidence */
		size_t length;
		uintptr_t later_hidden; /* likewise, what it added */
		size_t later_length;
	} member[MEMBERS_MAX];
};

static struct group *groups[GROUPS_MAX];
static unsigned n_groups;
static bool is_numbered; /* names tell members apart by numbers alone: poolscope takes them for one pool */
static pthread_barrier_t settled;

static void fill(struct member *member, char *start, size_t length)
{
	touch(start, length);
	member->start_hidden = ~(uintptr_t)start;
	member->length = length;
}

static void work(void)
{
	size_t length = 3 * BLOCK;
	char *scratch = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	madvise(scratch, length, MADV_NOHUGEPAGE);
	touch(scratch, length);
	munmap(scratch, length);
}

/* What a thread keeps is in its arena. */
__attribute__((noinline)) static void keep(char *block)
{
	char *volatile *kept = malloc(4 * sizeof(*kept));

	kept[1] = block;
}

/* A team fills one block together; who keeps it only works with it. */
static void team(struct group *group, unsigned who, int step)
{
	size_t third = BLOCK / 3;

	if (step == 0 && who == 0)
		group->crossing[0] = malloc(BLOCK);
	if (step == 1 && who < 3)
		fill(&group->member[who], group->crossing[0] + who * third, third);
	if (step == 2 && who == 3) {
		work();
		keep(group->crossing[0]);
	}
}

/* A pipeline: each stage fills its half, the last keeps. */
static void stages(struct group *group, unsigned who, int step)
{
	if (step == 0 && who == 0) {
		group->crossing[0] = malloc(BLOCK);
		fill(&group->member[0], group->crossing[0], BLOCK / 2);
	}
	if (step == 1 && who == 1)
		fill(&group->member[1], group->crossing[0] + BLOCK / 2, BLOCK / 2);
	if (step == 2 && who == 2) {
		work();
		keep(group->crossing[0]);
	}
}

/* Who takes it makes it a little larger. */
static void grown(struct group *group, unsigned who, int step)
{
	if (step == 0 && who == 0) {
		group->crossing[0] = malloc(BLOCK);
		fill(&group->member[0], group->crossing[0], BLOCK);
	}
	if (step == 1 && who == 1) {
		char *block = realloc(group->crossing[0], BLOCK + GROWTH);

		touch(block + BLOCK, GROWTH);
		group->member[0].start_hidden = ~(uintptr_t)block;
		group->member[1].later_hidden = ~(uintptr_t)(block + BLOCK);
		group->member[1].later_length = GROWTH;
		keep(block);
	}
}

/* Who made it filled a third; who took it, the rest. */
static void begun(struct group *group, unsigned who, int step)
{
	if (step == 0 && who == 0) {
		group->crossing[0] = malloc(BLOCK);
		fill(&group->member[0], group->crossing[0], BLOCK / 3);
	}
	if (step == 1 && who == 1) {
		fill(&group->member[1], group->crossing[0] + BLOCK / 3, BLOCK - BLOCK / 3);
		keep(group->crossing[0]);
	}
}

/* Each keeps what its neighbour made. */
static void ring(struct group *group, unsigned who, int step)
{
	unsigned members = 3;

	if (step == 0) {
		group->crossing[who] = malloc(OF_ITS_OWN(who));
		fill(&group->member[who], group->crossing[who], OF_ITS_OWN(who));
	}
	if (step == 1)
		keep(group->crossing[(who + 1) % members]);
}

/* For comparison: each keeps its own. */
static void own(struct group *group, unsigned who, int step)
{
	char *block;

	if (step != 0)
		return;
	block = malloc(OF_ITS_OWN(who));
	fill(&group->member[who], block, OF_ITS_OWN(who));
	keep(block);
}

static const struct how {
	const char *name;
	unsigned members;
	void (*act)(struct group *group, unsigned who, int step);
} hows[] = {{"team", 4, team}, {"stages", 3, stages}, {"grown", 2, grown}, {"begun", 2, begun}, {"ring", 3, ring}, {"own", 1, own}};

/* What dead frames still say is of blocks that are gone. */
__attribute__((noinline)) static void go_on(void)
{
	volatile char frames[64 << 10];

	memset((void *)frames, 0, sizeof(frames));
	for (unsigned i = 0; i < 8; i++) {
		char *block = malloc((size_t)1 << 20);

		touch(block, (size_t)1 << 20);
		free(block);
	}
}

static void *member_main(void *argument)
{
	struct group *group = argument;
	unsigned who = __atomic_fetch_add(&group->n_begun, 1, __ATOMIC_SEQ_CST);
	char name[16];

	group->member[who].tid = syscall(SYS_gettid);
	snprintf(name, sizeof(name), is_numbered ? "%s-%u" : "%s%u-w0", group->how->name, who);
	pthread_setname_np(pthread_self(), name); /* those of one place are a pool, in all groups together */
	free(malloc(100));
	for (int step = 0; step < STEPS; step++) {
		pthread_barrier_wait(&group->step);
		group->how->act(group, who, step);
	}
	if (pthread_barrier_wait(&group->step) == PTHREAD_BARRIER_SERIAL_THREAD)
		memset(group->crossing, 0, sizeof(group->crossing));
	go_on();
	pthread_barrier_wait(&settled);
	for (;;)
		pause();
	return NULL;
}

static void say_truth(void)
{
	bool more = false;

	say("{\"pid\":%d,\"rss_anon\":%" PRIu64 ",\"threads\":[", getpid(), rss_anon());
	for (unsigned i = 0; i < n_groups; i++)
		for (unsigned k = 0; k < groups[i]->how->members; k++, more = true) {
			const struct member *member = &groups[i]->member[k];
			uint64_t bytes = bytes_resident(~member->start_hidden, member->length) +
					 bytes_resident(~member->later_hidden, member->later_length);

			say("%s{\"tid\":%d,\"how\":\"%s\",\"made\":%" PRIu64 "}", more ? "," : "", member->tid,
			    groups[i]->how->name, bytes);
		}
	say("]}");
	say_done();
}

static void add_groups(const char *specification)
{
	const char *count = strchr(specification, ':');
	size_t how = 0, hows_count = sizeof(hows) / sizeof(*hows);

	while (count && how < hows_count && strncmp(hows[how].name, specification, count - specification) != 0)
		how++;
	if (!count || how == hows_count)
		DIE("usage: hands [numbered] team|stages|grown|begun|ring|own:GROUPS...");
	for (unsigned n = strtoul(count + 1, NULL, 10); n && n_groups < GROUPS_MAX; n--) {
		struct group *group = calloc(1, sizeof(*group));

		group->how = &hows[how];
		pthread_barrier_init(&group->step, NULL, group->how->members);
		groups[n_groups++] = group;
	}
}

int main(int argc, char **argv)
{
	unsigned threads = 0;
	char line[64];

	truth_init();
	mallopt(M_ARENA_MAX, GROUPS_MAX * MEMBERS_MAX + 1);
	mallopt(M_MMAP_THRESHOLD, 512 << 10);
	is_numbered = argc > 1 && !strcmp(argv[1], "numbered");
	for (int i = 1 + is_numbered; i < argc; i++)
		add_groups(argv[i]);
	for (unsigned i = 0; i < n_groups; i++)
		threads += groups[i]->how->members;
	pthread_barrier_init(&settled, NULL, threads + 1);
	for (unsigned i = 0; i < n_groups; i++)
		for (unsigned k = 0; k < groups[i]->how->members; k++) {
			pthread_t thread;

			if (pthread_create(&thread, NULL, member_main, groups[i]))
				DIE("pthread_create failed");
		}
	pthread_barrier_wait(&settled);
	say("{\"ready\":%d}", getpid());
	say_done();
	while (fgets(line, sizeof(line), stdin))
		say_truth();
	return 0;
}
