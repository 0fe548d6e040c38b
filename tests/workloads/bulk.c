/* SPDX-License-Identifier: GPL-2.0-only */
/* Much memory that stands still: `bulk MIB MAPPINGS STRIDE` maps MIB in MAPPINGS pieces that cannot merge and touches
 * every STRIDE-th page. Says "ready PID"; lives until its standard input closes. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096UL

static long number(int argc, char **argv, int at, long otherwise)
{
	return argc > at ? strtol(argv[at], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	unsigned long bytes = (unsigned long)number(argc, argv, 1, 64) << 20;
	unsigned long pieces = (unsigned long)number(argc, argv, 2, 1);
	unsigned long stride = (unsigned long)number(argc, argv, 3, 1) * PAGE;
	unsigned long piece = bytes / pieces / PAGE * PAGE;
	char byte;

	for (unsigned long i = 0; i < pieces; i++) {
		/* One page more stays without access and keeps neighbours apart. */
		char *memory = mmap(NULL, piece + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (memory == MAP_FAILED || mprotect(memory, piece, PROT_READ | PROT_WRITE) ||
		    madvise(memory, piece, MADV_NOHUGEPAGE)) {
			perror("bulk");
			return 1;
		}
		for (unsigned long at = 0; at < piece; at += stride)
			memory[at] = 1;
	}
	printf("ready %d\n", getpid());
	fflush(stdout);
	return read(STDIN_FILENO, &byte, 1) < 0;
}
