/* SPDX-License-Identifier: GPL-2.0-only */
/* `poolscope serve`: the exporter daemon. A scrape reads the last snapshot. It must not know what a metric is
 * called. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../edge/http.h"
#include "../edge/log.h"
#include "session.h"
#include "version.h"

struct serve {
	struct session session;
	struct http *http;
	struct loop_timer *http_timer;
};

static int on_http(void *context, int fd)
{
	struct serve *serve = context;
	int error = http_run(serve->http);

	loop_timer_at(serve->http_timer, http_deadline(serve->http));
	return error;
}

static int on_http_time(void *context)
{
	return on_http(context, -1);
}

static int on_snapshot(void *context)
{
	struct serve *serve = context;

	http_publish(serve->http, serve->session.snapshot);
	return 0;
}

static int on_signal(void *context, int signal)
{
	struct serve *serve = context;

	log_event(LOG_LEVEL_INFO, "stopping", "signal", strsignal(signal), NULL);
	loop_quit(serve->session.loop);
	return 0;
}

static int http_start(struct serve *serve)
{
	const struct options *options = serve->session.options;
	struct http_options http_options = {
		.listen = options->listen ? options->listen : serve->session.config->listen,
		.version = POOLSCOPE_VERSION,
		.refresh_ns = options->interval_ns,
		.mapped = options->mapped,
		.faults = options->faults,
	};
	struct explain explain = {0};

	if (http_open(&http_options, &serve->http, &explain)) {
		explain_print(&explain, stderr);
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}

/* Before the attach, which is logged: whoever reads that may end the program. */
static int signals_open(struct serve *serve)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	return loop_signals(serve->session.loop, &signals, on_signal, serve) ? EXIT_FAILED : EXIT_DONE;
}

static int serve_run(struct serve *serve)
{
	struct session *session = &serve->session;
	int error = loop_add_timer(session->loop, on_http_time, serve, &serve->http_timer);

	if (!error)
		error = loop_add_fd(session->loop, http_fd(serve->http), on_http, serve);
	if (!error)
		error = session_refresh(session, false);
	if (error)
		return error;
	log_event(LOG_LEVEL_INFO, "listening", "address", http_name(serve->http), "targets",
		  LOG_NUMBER(engine_living(session->engine)), NULL);
	return session_run(session);
}

int command_serve(const struct options *options)
{
	struct serve serve = {0};
	int error, code;

	signal(SIGPIPE, SIG_IGN); /* who reads the log may go before us */
	code = session_open(options, true, &serve.session);
	serve.session.on_snapshot = on_snapshot;
	serve.session.context = &serve;
	if (code == EXIT_DONE)
		code = http_start(&serve);
	if (code == EXIT_DONE)
		code = signals_open(&serve);
	if (code == EXIT_DONE)
		code = session_attach(&serve.session, options->n_pids != 0);
	if (code == EXIT_DONE) {
		error = serve_run(&serve);
		if (error < 0) {
			fprintf(stderr, "poolscope: cannot go on: %s\n", strerror(-error));
			code = EXIT_FAILED;
		}
	}
	http_close(serve.http);
	session_close(&serve.session);
	return code;
}
