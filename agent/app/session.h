/* SPDX-License-Identifier: GPL-2.0-only */
/* What every command that watches shares: config, selection, engine and loop, opened together, and the
 * rhythm of refreshes. It must not know how a snapshot is shown. */
#ifndef POOLSCOPE_APP_SESSION_H
#define POOLSCOPE_APP_SESSION_H

#include "../edge/loop.h"
#include "engine.h"
#include "notices.h"
#include "selection.h"

struct session {
	const struct options *options; /* borrowed */
	struct config *config;
	struct selection *selection;
	struct engine *engine;
	struct loop *loop;
	struct loop_timer *refresh, *deadline, *discovery, *sample;
	struct snapshot *snapshot; /* the newest; owned, but a command may take it away */
	struct notices *notices;   /* NULL: none are logged (they stand on the screen) */
	bool was_over;                   /* a limit was over at some time */
	uint64_t interval_ns, sample_ns; /* of refreshes; when the next sample of who runs is due */
	uint64_t refreshed_ns, refresh_ns; /* when the last refresh began, when the next one is due */
	bool is_refreshing;
	uint64_t attached; /* targets so far */
	uint64_t spare_ns; /* from then on what targets that have ended took is given back; 0: none has ended since it was */
	uint64_t missed_known, missed_next_ns; /* children that found the kernel's map full: how many were seen to */

	/* Set by the command before session_run(). May be NULL. Other than 0 ends the run. */
	int (*on_snapshot)(void *context); /* session.snapshot is new; the former one goes after the call */
	void *context;
};

/* Config (0: builtin), limits, probes. A daemon logs targets that come and go; its snapshots have neither ended
 * targets nor single threads. Prints what went wrong; returns an exit code. */
int session_open(const struct options *options, bool is_daemon, struct session *session);
void session_close(struct session *session);

/* Attaches to what is selected now. Prints and returns EXIT_NO_TARGET if a named PID cannot be had, or if
 * nothing matches and `must` is set. */
int session_attach(struct session *session, bool must);
/* Refreshes, drains and attaches to newcomers until the loop is quit. 0 or -errno. */
int session_run(struct session *session);
/* Every target has ended, and none is waited for: a PID or a command does not come back. */
bool session_is_over(const struct session *session);
void session_set_interval(struct session *session, uint64_t interval_ns);
/* A refresh now. None is made, and `snapshot` stays, when a signal asks for the end meanwhile. */
int session_refresh(struct session *session, bool whole);

bool snapshot_is_over(const struct snapshot *snapshot); /* any limit's state is over now */

/* The commands; each returns an exit code. */
int command_top(const struct options *options);
int command_dump(const struct options *options);
int command_serve(const struct options *options);
int command_check(const struct options *options);
int command_doctor(const struct options *options);

#endif
