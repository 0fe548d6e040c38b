/* SPDX-License-Identifier: GPL-2.0-only */
/* The event loop: file descriptors, boottime timers and signals, in one thread. It must not know
 * what it waits for. */
#ifndef POOLSCOPE_EDGE_LOOP_H
#define POOLSCOPE_EDGE_LOOP_H

#include "../base.h"

#include <signal.h>

struct loop;
struct loop_timer;

int loop_new(struct loop **ret_loop);
/* Closes the signal descriptor and gives the signal mask back; not the caller's fds. */
void loop_free(struct loop *loop);
DEFINE_CLEANUP(struct loop *, loop_free)

/* Callbacks return 0, or what loop_run() then ends with: -errno or a positive word of the caller's.
 * Within one round every ready source is called once, timers and signals before descriptors, so
 * that none starves beside a flood on another. A callback may add and remove sources, itself too. */

/* Called while fd is ready for reading (or hung up). The fd stays the caller's. -EEXIST: is in. */
int loop_add_fd(struct loop *loop, int fd, int (*callback)(void *context, int fd), void *context);
/* Before closing the fd. Unknown fds are ignored. */
void loop_remove_fd(struct loop *loop, int fd);

/* A timer, disarmed. It lives as long as the loop. */
int loop_add_timer(struct loop *loop, int (*callback)(void *context), void *context, struct loop_timer **ret_timer);
/* Once, at a boottime or within a millisecond after it; in the past: at once. UINT64_MAX: never (disarms). */
void loop_timer_at(struct loop_timer *timer, uint64_t boottime_ns);
/* Every interval from now on; rounds that were missed are not made up for. 0 disarms. */
void loop_timer_every(struct loop_timer *timer, uint64_t interval_ns);

/* These signals are blocked and arrive here instead; once per loop, before any thread is made. A
 * child inherits the mask: sigprocmask() it before exec. */
int loop_signals(struct loop *loop, const sigset_t *signals, int (*callback)(void *context, int signal),
		 void *context);

/* SIGINT, SIGTERM or SIGHUP waits for the loop: whatever takes long must give way to it. */
bool loop_end_is_asked(void);

/* Until loop_quit() or a callback that returns other than 0: returns that. */
int loop_run(struct loop *loop);
void loop_quit(struct loop *loop);

#endif
