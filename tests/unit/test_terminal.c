/* SPDX-License-Identifier: GPL-2.0-only */
/* The edge to the terminal, on a pseudo-terminal: it is taken over, drawn on, and given back on each way out.
 * `test_terminal demo` shows the dashboard over a fixture in the terminal at hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include "edge/terminal.h"
#include "fixture_snapshot.h"
#include "view/dashboard.h"

/* Draws until q; 0, or 1 with words on stderr. */
static int show(bool grows)
{
	struct fixture *fixture = fixture_snapshot();
	struct terminal *terminal = NULL;
	struct dashboard_state ui;
	struct explain explain = { 0 };
	int error = terminal_check(STDIN_FILENO, STDOUT_FILENO, &explain);

	if (!error)
		error = terminal_open(STDIN_FILENO, STDOUT_FILENO, &terminal, &explain);
	if (error) {
		fprintf(stderr, "%s: %s\n%s (%d)\n", explain.what, explain.why, explain.remedy, error);
		return -error;
	}
	dashboard_init(&ui, terminal_is_utf8(terminal), 1000);
	for (enum dashboard_action action = DASHBOARD_REDRAW; action != DASHBOARD_QUIT;) {
		struct pollfd wait = { terminal_fd(terminal), POLLIN, 0 };
		struct cells *cells = NULL;
		unsigned int rows, columns;

		terminal_size(terminal, &rows, &columns);
		dashboard_resize(&ui, rows, columns);
		if (cells_new(rows, columns, ui.utf8, &cells) || dashboard_render(&fixture->snapshot, &ui, cells))
			abort();
		terminal_draw(terminal, cells);
		cells_free(cells);
		poll(&wait, 1, (int)ui.refresh_ms);
		for (int key; action != DASHBOARD_QUIT && (key = terminal_read_key(terminal)) != KEY_NONE;) {
			if (key < 0 || key == 'A')
				raise(SIGABRT);
			action = dashboard_key(&ui, &fixture->snapshot, key);
			if (action == DASHBOARD_WRITE_SNAPSHOT)
				dashboard_say(&ui, "written to nowhere, this is a demo");
		}
		if (grows) {
			fixture->snapshot.realtime_ns += ui.refresh_ms * NSEC_PER_MSEC;
			fixture->pools[FIXTURE_EXECUTOR].memory.net_grown_bytes += 100 << 20;
		}
	}
	terminal_free(terminal);
	return 0;
}

struct session {
	pid_t pid;
	int master;
	struct termios before;
	char text[262144];
	size_t length;
};

static void start(struct session *session, const char *type, const char *no_color)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	int slave;

	memset(session, 0, sizeof(*session));
	assert_int_equal(openpty(&session->master, &slave, NULL, NULL, &size), 0);
	assert_int_equal(tcgetattr(slave, &session->before), 0);
	session->pid = fork();
	if (!session->pid) {
		/* Nothing but death may follow a crash signal here. */
		for (int i = 1; i < 32; i++)
			signal(i, SIG_DFL);
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
		login_tty(slave);
		if (type)
			setenv("TERM", type, 1);
		else
			unsetenv("TERM");
		setenv("NO_COLOR", no_color, 1);
		_exit(show(false));
	}
	close(slave);
}

/* Reads until `text` was drawn, or the end when text is NULL. */
static bool read_until(struct session *session, const char *text)
{
	for (;;) {
		struct pollfd wait = { session->master, POLLIN, 0 };
		ssize_t got;

		if (text && strstr(session->text, text))
			return true;
		if (session->length + 4096 > sizeof(session->text) || poll(&wait, 1, 20000) <= 0)
			return false;
		got = read(session->master, session->text + session->length, 4096);
		if (got <= 0)
			return !text;
		session->length += (size_t)got;
	}
}

static void resize(struct session *session, unsigned short rows, unsigned short columns)
{
	struct winsize size = { .ws_row = rows, .ws_col = columns };

	session->length = 0;
	memset(session->text, 0, sizeof(session->text));
	assert_int_equal(ioctl(session->master, TIOCSWINSZ, &size), 0);
}

/* The child has ended: how, and is the terminal as it was? */
static int finish(struct session *session)
{
	struct termios after;
	int status;

	assert_int_equal(waitpid(session->pid, &status, 0), session->pid);
	read_until(session, NULL);
	assert_int_equal(tcgetattr(session->master, &after), 0);
	assert_int_equal(after.c_lflag, session->before.c_lflag);
	assert_int_equal(after.c_iflag, session->before.c_iflag);
	assert_int_equal(after.c_oflag, session->before.c_oflag);
	close(session->master);
	return status;
}

static void assert_given_back(const struct session *session)
{
	const char *left = strstr(session->text, "\033[?1049l"); /* the alternate screen */
	const char *cursor = strstr(session->text, "\033[?25h");

	assert_non_null(left);
	assert_non_null(cursor);
	assert_null(strstr(left, "\033[?1049h"));
	assert_null(strstr(cursor, "\033[?25l"));
}

static struct session session;

static void test_leaves_by_key(void **state)
{
	start(&session, "xterm-256color", "");
	assert_true(read_until(&session, "anyio-worker-*"));
	assert_non_null(strstr(session.text, "\033[?1049h"));
	assert_int_equal(write(session.master, "q", 1), 1);
	assert_int_equal(finish(&session), 0);
	assert_given_back(&session);
}

static void test_crash_gives_the_terminal_back(void **state)
{
	static const int signals[] = { SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL };

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		int status;

		start(&session, "xterm-256color", "");
		assert_true(read_until(&session, "anyio-worker-*"));
		kill(session.pid, signals[i]);
		status = finish(&session);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), signals[i]);
		assert_given_back(&session);
	}
}

static void test_keys_arrive(void **state)
{
	start(&session, "xterm-256color", "");
	assert_true(read_until(&session, "anyio-worker-*"));
	assert_int_equal(write(session.master, "\033OP", 3), 3); /* F1 */
	assert_true(read_until(&session, "this help"));
	assert_int_equal(write(session.master, "\033", 1), 1); /* a lone ESC */
	assert_true(read_until(&session, "F2"));
	assert_int_equal(write(session.master, "\033[21~", 5), 5); /* F10 */
	assert_int_equal(finish(&session), 0);
}

static void test_resize(void **state)
{
	start(&session, "xterm-256color", "");
	assert_true(read_until(&session, "anyio-worker-*"));
	resize(&session, 50, 200);
	kill(session.pid, SIGWINCH);
	assert_true(read_until(&session, "threads OVER")); /* a column that only wide screens have */
	resize(&session, 5, 20);
	kill(session.pid, SIGWINCH);
	assert_true(read_until(&session, "recsys-api"));
	assert_int_equal(write(session.master, "q", 1), 1);
	assert_int_equal(finish(&session), 0);
}

static void test_no_colour(void **state)
{
	start(&session, "xterm-256color", "1");
	assert_true(read_until(&session, "anyio-worker-*"));
	assert_null(strstr(session.text, "\033[31"));
	assert_null(strstr(session.text, "\033[46m"));
	assert_int_equal(write(session.master, "q", 1), 1);
	assert_int_equal(finish(&session), 0);
}

static void test_old_terminal(void **state)
{
	start(&session, "vt100", "");
	assert_true(read_until(&session, "anyio-worker-*"));
	assert_int_equal(write(session.master, "q", 1), 1);
	assert_int_equal(finish(&session), 0);
}

static void test_unusable_types_are_refused_in_words(void **state)
{
	static const struct {
		const char *type, *words;
		int error;
	} cases[] = {
		{ NULL, "TERM is not set", ENOTTY },
		{ "dumb", "cannot move its cursor", ENOTTY },
		{ "no-such-type", "is not known", EOPNOTSUPP },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		start(&session, cases[i].type, "");
		assert_true(read_until(&session, cases[i].words));
		assert_true(read_until(&session, "set TERM"));
		assert_int_equal(WEXITSTATUS(finish(&session)), cases[i].error);
	}
}

static void test_pipe_is_no_terminal(void **state)
{
	struct explain explain = { 0 };
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(terminal_check(pipes[0], pipes[1], &explain), -ENOTTY);
	assert_string_equal(explain.why, ""); /* nothing to tell: it is what was asked for */
	close(pipes[0]);
	close(pipes[1]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaves_by_key),
		cmocka_unit_test(test_crash_gives_the_terminal_back),
		cmocka_unit_test(test_keys_arrive),
		cmocka_unit_test(test_resize),
		cmocka_unit_test(test_no_colour),
		cmocka_unit_test(test_old_terminal),
		cmocka_unit_test(test_unusable_types_are_refused_in_words),
		cmocka_unit_test(test_pipe_is_no_terminal),
	};

	if (argc > 1) {
		setlocale(LC_ALL, "");
		return show(true);
	}
	if (!setlocale(LC_ALL, "C.UTF-8"))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
