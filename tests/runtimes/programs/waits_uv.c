/* SPDX-License-Identifier: GPL-2.0-only */
/* The workers of libuv in and out of tasks, which wait by libuv's own call. With argv[1], a FIFO that nobody writes to, the
 * tasks are libuv's own, too: they open it. */
#include <uv.h>

#define WAIT(condition, mutex) uv_cond_wait(condition, mutex)
#include "waits.h"

#include <fcntl.h>

static uv_work_t jobs[64];
static uv_fs_t opens[64];
static const char *fifo;

static void work(uv_work_t *job)
{
	task();
	__asm__ volatile("" : : : "memory");
}

static void opened(uv_fs_t *request)
{
	close((int)request->result);
	uv_fs_req_cleanup(request);
}

static void tasks_run(unsigned count)
{
	for (unsigned i = 0; i < count && !fifo; i++)
		if (uv_queue_work(uv_default_loop(), &jobs[i], work, NULL))
			exit(1);
	for (unsigned i = 0; i < count && fifo; i++)
		if (uv_fs_open(uv_default_loop(), &opens[i], fifo, O_RDONLY, 0, opened))
			exit(1);
	if (fifo) /* nobody says when they are in it */
		tickets = blocked = 0;
}

static void tasks_end(void)
{
	int fd = fifo ? open(fifo, O_RDWR) : -1;

	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	blocked = 1;
	command_in(); /* makes them */
	command_out();
	fifo = argv[1];
	return serve();
}
