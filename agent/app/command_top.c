/* SPDX-License-Identifier: GPL-2.0-only */
/* `poolscope top`: the live dashboard, or text frames where there is no terminal. It must not know what a
 * frame looks like. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../edge/command.h"
#include "../edge/log.h"
#include "../edge/terminal.h"
#include "../view/dashboard.h"
#include "../view/json.h"
#include "../view/text.h"
#include "output.h"
#include "session.h"

/* Ends the loop without being an error. */
#define TOP_QUIT 1

struct top {
	struct session session;
	bool wants_terminal;
	struct terminal *terminal; /* NULL: text frames */
	FILE *text;                /* where those go */
	struct dashboard_state ui;
	struct snapshot *frozen; /* while paused: what is shown; else NULL */
	struct command *command; /* NULL: none was started */
	char output[64];         /* file with the command's output; "": it went to ours */
	struct log_ring *log;    /* what would tear the dashboard waits here */
	uint64_t refreshes;
	bool is_left; /* by the user, who may do so long after the last refresh */
};

static const struct snapshot *shown(const struct top *top)
{
	return top->frozen ? top->frozen : top->session.snapshot;
}

static int draw(struct top *top)
{
	_cleanup_(cells_freep) struct cells *cells = NULL;
	unsigned int rows, columns;
	int error;

	terminal_size(top->terminal, &rows, &columns);
	dashboard_resize(&top->ui, rows, columns);
	error = cells_new(rows, columns, top->ui.utf8, &cells);
	if (!error)
		error = dashboard_render(shown(top), &top->ui, cells);
	if (!error)
		terminal_draw(top->terminal, cells);
	return error;
}

/* `w`: beside the user, under a name that does not exist yet. */
static void write_snapshot(struct top *top)
{
	const struct snapshot *snapshot = shown(top);
	char path[128];
	int error = -EEXIST;

	if (!snapshot)
		return;
	/* What stands under that name already may be somebody else's, or the same second's. */
	for (unsigned int i = 1; error == -EEXIST && i < 100; i++) {
		snprintf(path, sizeof(path), i == 1 ? "poolscope-%llu.json" : "poolscope-%llu-%u.json",
			 (unsigned long long)(snapshot->realtime_ns / NSEC_PER_SEC), i);
		error = output_file_new(path, snapshot, json_render);
	}
	if (error)
		dashboard_say(&top->ui, "cannot write %s: %s", path, strerror(-error));
	else
		dashboard_say(&top->ui, "written to %s (readable by you alone)", path);
}

/* Pause holds the picture, not the watch: events and limits go on. */
static void pause_toggle(struct top *top)
{
	if (top->ui.paused) {
		top->frozen = TAKE_PTR(top->session.snapshot);
		return;
	}
	if (!top->session.snapshot) /* no refresh since: the picture stays until there is one */
		top->session.snapshot = TAKE_PTR(top->frozen);
	snapshot_free(top->frozen);
	top->frozen = NULL;
}

static int act(struct top *top, enum dashboard_action action)
{
	switch (action) {
	case DASHBOARD_QUIT:
		top->is_left = true;
		return TOP_QUIT;
	case DASHBOARD_WRITE_SNAPSHOT:
		write_snapshot(top);
		break;
	case DASHBOARD_PAUSE:
		pause_toggle(top);
		break;
	case DASHBOARD_INTERVAL:
		session_set_interval(&top->session, (uint64_t)top->ui.refresh_ms * NSEC_PER_MSEC);
		break;
	default:
		break;
	}
	return 0;
}

static int on_key(void *context, int fd)
{
	struct top *top = context;
	int key, result = 0;

	while (!result && (key = terminal_read_key(top->terminal)) != KEY_NONE) {
		if (key < 0)
			return TOP_QUIT; /* the terminal is gone */
		result = act(top, dashboard_key(&top->ui, shown(top), key));
	}
	return result ? result : draw(top);
}

static int on_frame(void *context)
{
	struct top *top = context;
	const struct options *options = top->session.options;
	int error;

	top->refreshes++;
	if (top->terminal) {
		error = draw(top);
	} else if (!top->session.snapshot->n_targets) {
		error = 0; /* who waits was told so */
	} else {
		error = text_render(top->session.snapshot, terminal_columns(stdout), top->text);
		if (!error && (putc('\n', top->text) == EOF || fflush(top->text)))
			error = -errno;
		if (error == -EINTR || (!error && session_is_over(&top->session)))
			return TOP_QUIT;
	}
	if (!error && options->count && top->refreshes >= options->count)
		return TOP_QUIT;
	return error;
}

static int on_signal(void *context, int signal)
{
	struct top *top = context;

	if (signal == SIGINT || signal == SIGTERM || signal == SIGHUP) {
		top->is_left = true;
		return TOP_QUIT;
	}
	terminal_signal(top->terminal, signal);
	return draw(top);
}

static int signals_open(struct top *top)
{
	sigset_t signals;

	sigemptyset(&signals);
	if (top->terminal)
		terminal_signals(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	return loop_signals(top->session.loop, &signals, on_signal, top);
}

/* The command is attached to before its first instruction; its output would tear the dashboard. */
static int command_begin(struct top *top)
{
	const struct options *options = top->session.options;
	struct command_user user;
	struct explain explain = {0};
	int output = -1, error;

	error = command_user_find(options->user, &user, &explain);
	if (!error && top->wants_terminal) {
		snprintf(top->output, sizeof(top->output), "/tmp/poolscope-output.XXXXXX");
		output = mkostemp(top->output, O_CLOEXEC);
		if (output < 0) {
			snprintf(explain.what, sizeof(explain.what), "cannot keep the command's output in /tmp");
			snprintf(explain.why, sizeof(explain.why), "%s", strerror(errno));
			error = -errno;
		}
	}
	if (!error)
		error = command_new(options->command, &user, output, &top->command, &explain);
	if (output >= 0)
		close(output);
	if (!error)
		error = engine_attach(top->session.engine, (uint32_t)command_pid(top->command), false, &explain);
	if (!error) {
		top->session.attached++;
		error = command_go(top->command, &explain);
	}
	if (!error)
		return EXIT_DONE;
	explain_print(&explain, stderr);
	return EXIT_FAILED;
}

static int terminal_begin(struct top *top)
{
	struct explain explain = {0};

	if (top->session.options->no_color)
		setenv("NO_COLOR", "1", 1);
	if (terminal_open(STDIN_FILENO, STDOUT_FILENO, &top->terminal, &explain)) {
		explain_print(&explain, stderr);
		return EXIT_FAILED;
	}
	if (isatty(STDERR_FILENO))
		log_set_sink(log_ring_write, top->log);
	dashboard_init(&top->ui, terminal_is_utf8(top->terminal), (unsigned int)(top->session.interval_ns / NSEC_PER_MSEC));
	top->ui.follows_forks = top->session.options->follow_forks;
	if (selection_waits(top->session.selection))
		snprintf(top->ui.waits_for, sizeof(top->ui.waits_for), "%s", selection_words(top->session.selection));
	return loop_add_fd(top->session.loop, terminal_fd(top->terminal), on_key, top) ? EXIT_FAILED : EXIT_DONE;
}

static void terminal_end(struct top *top)
{
	struct stat written;
	int status;

	if (!top->terminal)
		return;
	terminal_free(top->terminal);
	top->terminal = NULL;
	log_set_sink(NULL, NULL);
	log_ring_flush(top->log, stderr);
	if (shown(top))
		text_render_summary(shown(top), stdout);
	if (!top->output[0])
		return;
	if (top->command && command_reap(top->command, &status) == -EAGAIN)
		printf("The command runs on, as PID %d. Its output: %s\n", (int)command_pid(top->command), top->output);
	else if (stat(top->output, &written) == 0 && !written.st_size)
		(void)unlink(top->output);
	else
		printf("The command's output: %s\n", top->output);
}

/* What is said on leaving is of that moment. Who asks a second time does not wait for it. */
static int refresh_last(struct top *top)
{
	snapshot_free(top->frozen);
	top->frozen = NULL;
	top->session.on_snapshot = NULL;
	return session_refresh(&top->session, false);
}

static int top_run(struct top *top)
{
	const struct options *options = top->session.options;
	int error, code = EXIT_DONE;

	if (options->command)
		code = command_begin(top);
	if (code == EXIT_DONE && (!options->command || options->n_pids || selection_waits(top->session.selection)))
		code = session_attach(&top->session, !selection_waits(top->session.selection));
	if (code == EXIT_DONE && top->wants_terminal)
		code = terminal_begin(top);
	if (code != EXIT_DONE)
		return code;
	if (!top->wants_terminal && !top->session.attached && !options->command)
		fprintf(stderr, "poolscope: no %s yet: waiting for it to start\n  %s\n", selection_words(top->session.selection),
			selection_hint(top->session.selection));
	top->session.on_snapshot = on_frame;
	top->session.context = top;
	error = signals_open(top);
	if (!error)
		error = session_refresh(&top->session, false);
	if (!error)
		error = session_run(&top->session);
	/* What a command was told to end by the same key is half gone already. */
	if (error >= 0 && top->is_left && !options->command) {
		int last = refresh_last(top);

		error = last < 0 ? last : error;
	}
	if (!top->wants_terminal && error >= 0 && shown(top))
		text_render_summary(shown(top), top->text);
	terminal_end(top);
	if (error == -ENOSPC || error == -EIO || error == -EBADF)
		return output_failed(NULL, error);
	if (error < 0 && error != -EPIPE) {
		fprintf(stderr, "poolscope: cannot go on: %s\n", strerror(-error));
		return EXIT_FAILED;
	}
	return options->fail_on_over && top->session.was_over ? EXIT_OVER_LIMIT : EXIT_DONE;
}

/* Asked before anything is attached. */
static int terminal_choose(struct top *top)
{
	struct explain explain = {0};
	int error = terminal_check(STDIN_FILENO, STDOUT_FILENO, &explain);

	if (error && error != -ENOTTY) {
		explain_print(&explain, stderr);
		return EXIT_FAILED;
	}
	if (error && explain.why[0])
		fprintf(stderr, "poolscope: plain text follows: %s\n", explain.why);
	top->wants_terminal = !error;
	return EXIT_DONE;
}

int command_top(const struct options *options)
{
	struct top top = {0};
	int code = terminal_choose(&top);

	if (code != EXIT_DONE)
		return code;
	code = session_open(options, false, &top.session);
	top.text = code == EXIT_DONE ? output_patient() : NULL;
	if (code == EXIT_DONE && (!top.text || log_ring_new(200, &top.log)))
		code = EXIT_FAILED;
	if (code == EXIT_DONE)
		code = top_run(&top);
	terminal_end(&top);
	if (top.text)
		fclose(top.text);
	command_free(top.command);
	log_ring_free(top.log);
	snapshot_free(top.frozen);
	session_close(&top.session);
	return code;
}
