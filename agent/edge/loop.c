/* SPDX-License-Identifier: GPL-2.0-only */
/* The event loop: file descriptors, boottime timers and signals, in one thread. It must not know
 * what it waits for. */
#include "loop.h"
#include "../boottime.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Ready sources taken in one round. epoll hands out the rest first in the next one. */
#define ROUND_MAX 64

enum source_kind { SOURCE_SIGNAL, SOURCE_FD };

struct loop_source {
	struct loop_source *next; /* of all sources of the loop */
	struct loop *loop;
	enum source_kind kind;
	int fd;
	bool removed; /* freed after the round: an event of it may be waiting there */
	void *context;
	int (*on_signal)(void *context, int signal);
	int (*on_fd)(void *context, int fd);
};

/* The kernel knows of none: the wait is as long as the next lets it. */
struct loop_timer {
	struct loop_timer *next; /* of all timers of the loop */
	uint64_t due_ns;         /* UINT64_MAX: disarmed */
	uint64_t interval_ns;    /* 0: once */
	void *context;
	int (*callback)(void *context);
};

struct loop {
	int epoll_fd;
	bool quit;
	bool signals_blocked;
	sigset_t mask_before;
	struct loop_source *sources;
	struct loop_timer *timers;
};

int loop_new(struct loop **ret_loop)
{
	_cleanup_(loop_freep) struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return -ENOMEM;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return -errno;
	*ret_loop = TAKE_PTR(loop);
	return 0;
}

static void source_free(struct loop_source *source)
{
	if (source->kind != SOURCE_FD && source->fd >= 0)
		close(source->fd);
	free(source);
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	while (loop->sources) {
		struct loop_source *source = loop->sources;

		loop->sources = source->next;
		source_free(source);
	}
	while (loop->timers) {
		struct loop_timer *timer = loop->timers;

		loop->timers = timer->next;
		free(timer);
	}
	if (loop->signals_blocked)
		sigprocmask(SIG_SETMASK, &loop->mask_before, NULL);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	free(loop);
}

/* Takes the fd of signals over, also when it fails. */
static int source_add(struct loop *loop, enum source_kind kind, int fd, void *context, struct loop_source **ret_source)
{
	struct loop_source *source = calloc(1, sizeof(*source));
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = source };
	int r;

	if (!source) {
		if (kind != SOURCE_FD)
			close(fd);
		return -ENOMEM;
	}
	source->loop = loop;
	source->kind = kind;
	source->fd = fd;
	source->context = context;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		r = -errno;
		source_free(source);
		return r;
	}
	source->next = loop->sources;
	loop->sources = source;
	*ret_source = source;
	return 0;
}

int loop_add_fd(struct loop *loop, int fd, int (*callback)(void *context, int fd), void *context)
{
	struct loop_source *source;
	int r = source_add(loop, SOURCE_FD, fd, context, &source);

	if (r < 0)
		return r;
	source->on_fd = callback;
	return 0;
}

void loop_remove_fd(struct loop *loop, int fd)
{
	for (struct loop_source *source = loop->sources; source; source = source->next) {
		if (source->kind != SOURCE_FD || source->fd != fd || source->removed)
			continue;
		epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		source->removed = true;
		return;
	}
}

int loop_add_timer(struct loop *loop, int (*callback)(void *context), void *context, struct loop_timer **ret_timer)
{
	struct loop_timer *timer = malloc(sizeof(*timer));

	if (!timer)
		return -ENOMEM;
	*timer = (struct loop_timer){loop->timers, UINT64_MAX, 0, context, callback};
	loop->timers = timer;
	*ret_timer = timer;
	return 0;
}

void loop_timer_at(struct loop_timer *timer, uint64_t boottime_ns)
{
	timer->due_ns = boottime_ns;
	timer->interval_ns = 0;
}

void loop_timer_every(struct loop_timer *timer, uint64_t interval_ns)
{
	timer->due_ns = interval_ns ? boottime() + interval_ns : UINT64_MAX;
	timer->interval_ns = interval_ns;
}

int loop_signals(struct loop *loop, const sigset_t *signals, int (*callback)(void *context, int signal),
		 void *context)
{
	struct loop_source *source;
	int fd, r;

	if (loop->signals_blocked)
		return -EALREADY;
	fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = source_add(loop, SOURCE_SIGNAL, fd, context, &source);
	if (r < 0)
		return r;
	source->on_signal = callback;
	if (sigprocmask(SIG_BLOCK, signals, &loop->mask_before) < 0)
		return -errno;
	loop->signals_blocked = true;
	return 0;
}

bool loop_end_is_asked(void)
{
	sigset_t waiting;

	return !sigpending(&waiting) && (sigismember(&waiting, SIGINT) || sigismember(&waiting, SIGTERM) ||
					 sigismember(&waiting, SIGHUP));
}

/* Milliseconds, as epoll_wait() has them; whole, so that nothing is due before its time. */
static int time_to_wait(const struct loop *loop)
{
	uint64_t due_ns = UINT64_MAX, now_ns, wait_ms;

	for (const struct loop_timer *timer = loop->timers; timer; timer = timer->next)
		due_ns = timer->due_ns < due_ns ? timer->due_ns : due_ns;
	if (due_ns == UINT64_MAX)
		return -1;
	now_ns = boottime();
	wait_ms = due_ns > now_ns ? (due_ns - now_ns + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC : 0;
	return wait_ms < INT_MAX ? (int)wait_ms : INT_MAX;
}

/* Each that is due by now, once; what they set anew waits for the next round. */
static int call_timers(struct loop *loop)
{
	uint64_t now_ns = boottime();
	int r = 0;

	for (struct loop_timer *timer = loop->timers; timer && r == 0 && !loop->quit; timer = timer->next) {
		if (timer->due_ns > now_ns)
			continue;
		if (!timer->interval_ns)
			timer->due_ns = UINT64_MAX;
		else
			timer->due_ns += ((now_ns - timer->due_ns) / timer->interval_ns + 1) * timer->interval_ns;
		r = timer->callback(timer->context);
	}
	return r;
}

static int dispatch_signal(struct loop_source *source)
{
	struct signalfd_siginfo info;

	if (read(source->fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	return source->on_signal(source->context, (int)info.ssi_signo);
}

static int dispatch_fd(struct loop_source *source)
{
	return source->on_fd(source->context, source->fd);
}

static int (*const dispatch[])(struct loop_source *source) = {
	[SOURCE_SIGNAL] = dispatch_signal,
	[SOURCE_FD] = dispatch_fd,
};

static void sweep(struct loop *loop)
{
	struct loop_source **slot = &loop->sources;

	while (*slot) {
		struct loop_source *source = *slot;

		if (source->removed) {
			*slot = source->next;
			source_free(source);
		} else {
			slot = &source->next;
		}
	}
}

int loop_run(struct loop *loop)
{
	struct epoll_event events[ROUND_MAX];
	int r = 0;

	loop->quit = false;
	while (!loop->quit && r == 0) {
		int n = epoll_wait(loop->epoll_fd, events, ROUND_MAX, time_to_wait(loop));

		r = n < 0 && errno != EINTR ? -errno : call_timers(loop);
		for (int urgent = 1; urgent >= 0; urgent--) {
			for (int i = 0; i < n && r == 0 && !loop->quit; i++) {
				struct loop_source *source = events[i].data.ptr;

				if (!source->removed && (source->kind != SOURCE_FD) == urgent)
					r = dispatch[source->kind](source);
			}
		}
		sweep(loop);
	}
	return r;
}

void loop_quit(struct loop *loop)
{
	loop->quit = true;
}
