/* SPDX-License-Identifier: GPL-2.0-only */
/* A loop of libuv with UV_THREADPOOL_SIZE workers, which start with the first job. */
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

static void work(uv_work_t *job)
{
}

static void after(uv_work_t *job, int status)
{
	printf("{\"ready\": %d}\n", getpid());
	fflush(stdout);
}

int main(void)
{
	uv_work_t job;
	char byte;

	if (uv_queue_work(uv_default_loop(), &job, work, after) || uv_run(uv_default_loop(), UV_RUN_DEFAULT))
		return 1;
	while (read(0, &byte, 1) > 0)
		;
	_exit(0);
}
