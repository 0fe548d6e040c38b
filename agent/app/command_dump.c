/* SPDX-License-Identifier: GPL-2.0-only */
/* `poolscope dump`: one snapshot as a table or as JSON, then the end. It must not know how either is
 * written. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../boottime.h"
#include "../edge/terminal.h"
#include "../view/json.h"
#include "../view/text.h"
#include "output.h"
#include "session.h"

static int on_time(void *context)
{
	struct session *session = context;

	loop_quit(session->loop);
	return 0;
}

/* Nothing more will happen to targets that have ended and do not come back. */
static int on_snapshot(void *context)
{
	struct session *session = context;

	if (session_is_over(session))
		loop_quit(session->loop);
	return 0;
}

/* Ctrl-C: what is known by now, not nothing. */
static int on_signal(void *context, int signal)
{
	return on_time(context);
}

/* Watches for the time given, so that there is growth to show. */
static int watch_for(struct session *session, uint64_t time_ns)
{
	struct loop_timer *timer;
	int error = loop_add_timer(session->loop, on_time, session, &timer);

	if (error)
		return error;
	loop_timer_at(timer, boottime() + time_ns);
	session->on_snapshot = on_snapshot;
	session->context = session;
	/* Growth is measured from here on, not from the first refresh. */
	error = session_refresh(session, false);
	return error ? error : session_run(session);
}

static int signals_open(struct session *session)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	return loop_signals(session->loop, &signals, on_signal, session);
}

static int render_text(const struct snapshot *snapshot, FILE *out)
{
	return text_render(snapshot, terminal_columns(out), out);
}

int command_dump(const struct options *options)
{
	_cleanup_(session_close) struct session session = {0};
	int error, code = session_open(options, false, &session);

	if (code == EXIT_DONE && options->after_ns && signals_open(&session))
		code = EXIT_FAILED;
	if (code == EXIT_DONE)
		code = session_attach(&session, true);
	if (code != EXIT_DONE)
		return code;
	error = options->after_ns ? watch_for(&session, options->after_ns) : 0;
	if (!error)
		error = session_refresh(&session, true);
	if (error) {
		fprintf(stderr, "poolscope: cannot read the target: %s\n", strerror(-error));
		return EXIT_FAILED;
	}
	if (!session.snapshot) {
		fputs("poolscope: interrupted before anything was read\n", stderr);
		return EXIT_FAILED;
	}
	code = output_write(options->output, session.snapshot, options->json ? json_render : render_text);
	if (code == EXIT_DONE && options->fail_on_over && snapshot_is_over(session.snapshot))
		code = EXIT_OVER_LIMIT;
	return code;
}
