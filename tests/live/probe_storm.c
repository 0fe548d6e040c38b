/* SPDX-License-Identifier: GPL-2.0-only */
/* Makes an exactly known number of events of one sort, for the tests of the kernel probes. Prints nothing but what the
 * test could not know. usage: probe_storm threads N | maps THREADS N | fork N | vfork N | vfork-threads N | guest N | exec | calls | breaks N | growers N M */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static long count;

static void *nothing(void *unused)
{
	return unused;
}

static void *map_and_unmap(void *unused)
{
	for (long i = 0; i < count; i++)
		munmap(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
	return unused;
}

static void *exec_self(void *unused)
{
	execl("/bin/true", "true", (char *)NULL);
	return unused;
}

static int guest(void *unused)
{
	munmap(mmap(NULL, 40960, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 40960);
	return 0;
}

static volatile int ran;

static int ran_guest(void *unused)
{
	guest(NULL);
	return ran++;
}

/* A child in its creator's memory, which waits, makes a thread; and what it does itself after that one has ended. */
static void vfork_threads(char *stack)
{
	int before = ran;

	if (vfork() == 0) {
		clone(ran_guest, stack, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_FS | CLONE_FILES, NULL);
		while (ran == before)
			usleep(1000);
		usleep(10000);
		munmap(mmap(NULL, 45056, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 45056);
		_exit(0);
	}
}

static void run_threads(long n_threads, void *(*routine)(void *))
{
	pthread_t threads[64];

	for (long done = 0; done < n_threads;) {
		long batch = n_threads - done < 64 ? n_threads - done : 64;

		for (long i = 0; i < batch; i++)
			if (pthread_create(&threads[i], NULL, routine, NULL))
				abort();
		for (long i = 0; i < batch; i++)
			pthread_join(threads[i], NULL);
		done += batch;
	}
}

/* One of each call, on addresses that the test recognises by their lengths. */
static void calls(void)
{
	char *map = mmap(NULL, 17 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *moved, *heap = sbrk(0);

	mprotect(map, 5 * 4096, PROT_READ | PROT_WRITE);
	munmap(map + 16 * 4096, 4096);
	syscall(SYS_munmap, map + 1, 4096);        /* refused before anything is freed */
	syscall(SYS_munmap, (void *)-8192L, 4096); /* refused later */
	mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	moved = mmap(NULL, 64 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	syscall(SYS_mremap, map, 5 * 4096, 6 * 4096, MREMAP_MAYMOVE | MREMAP_FIXED, moved);
	syscall(SYS_mremap, moved, 6 * 4096, 3 * 4096, 0);
	syscall(SYS_mremap, 8192, 4096, 2 * 4096, MREMAP_MAYMOVE); /* nothing is there */
	syscall(SYS_pkey_mprotect, moved, 3 * 4096, PROT_READ, -1);
	syscall(SYS_brk, heap + 7 * 4096);
	syscall(SYS_brk, heap);
	printf("%lu %lu %lu\n", (unsigned long)map, (unsigned long)moved, (unsigned long)heap);
}

/* The heap grows by a MiB, by another, and gives both back; once there was time to say what is wanted of it. */
static void breaks(long rounds)
{
	char *heap = sbrk(0);

	usleep(500000);
	for (long i = 0; i < rounds; i++)
		for (int step = 1; step <= 3; step++)
			syscall(SYS_brk, heap + (step << 20) % (3 << 20));
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	long n = argc > 2 ? atol(argv[2]) : 1;
	char *true_argv[] = {"true", NULL};
	int status;
	pid_t pid;

	if (strcmp(what, "threads") == 0) {
		run_threads(n, nothing);
	} else if (strcmp(what, "maps") == 0) {
		count = atol(argv[3]);
		run_threads(n, map_and_unmap);
	} else if (strcmp(what, "fork") == 0) {
		for (long i = 0; i < n; i++) {
			pid = fork();
			if (pid == 0) {
				guest(NULL);
				_exit((int)i);
			}
			waitpid(pid, &status, 0);
		}
	} else if (strcmp(what, "vfork") == 0) {
		for (long i = 0; i < n; i++)
			if (posix_spawn(&pid, "/bin/true", NULL, NULL, true_argv, environ) == 0)
				waitpid(pid, &status, 0);
	} else if (strcmp(what, "vfork-threads") == 0) {
		static char stack[65536];

		for (long i = 0; i < n; i++)
			vfork_threads(stack + sizeof(stack));
	} else if (strcmp(what, "guest") == 0) {
		static char stack[65536];

		for (long i = 0; i < n; i++) {
			pid = clone(guest, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
			waitpid(pid, &status, 0);
		}
	} else if (strcmp(what, "exec") == 0) {
		run_threads(1, exec_self);
	} else if (strcmp(what, "calls") == 0) {
		calls();
	} else if (strcmp(what, "breaks") == 0) {
		breaks(n);
	} else if (strcmp(what, "growers") == 0) {
		/* N children that map a MiB every 20 ms, M times, once there was time to hear of them. */
		for (long i = 0; i < n; i++)
			if (fork() == 0) {
				usleep(300000);
				for (long m = atol(argv[3]); m > 0 && !usleep(20000); m--)
					mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
				_exit(0);
			}
		while (wait(&status) > 0)
			continue;
	} else if (strcmp(what, "kill") == 0) {
		raise(SIGKILL);
	} else {
		return 2;
	}
	return 0;
}
