/* SPDX-License-Identifier: GPL-2.0-only */
/* The pool that torch brings along: four threads, of which the main thread is one. */
#include <pthreadpool.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	if (!pthreadpool_create(4))
		return 1;
	printf("{\"ready\": %d}\n", getpid());
	fflush(stdout);
	while (getchar() != EOF)
		;
	_exit(0);
}
