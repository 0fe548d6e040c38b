/* SPDX-License-Identifier: GPL-2.0-only */
/* The terminal's type, and how to give it back when the process dies: what term.h alone can say (its macros
 * take common words, so it stays in this file). It must not know what is drawn. */
/* Before term.h, whose macros would change it. */
#include "terminal.h"

#include <curses.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>

#include "../view/escape.h"
#include "terminal_rescue.h"

/* All but these end a process unless it says otherwise; those that the loop takes are blocked meanwhile. A pipe behind
 * standard error that nobody reads any more (SIGPIPE) is no reason to end. */
static const int harmless[] = { SIGKILL, SIGSTOP, SIGCHLD, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH, SIGPIPE };

/* What a signal handler needs. A handler gets no argument of ours, hence the one static object. */
static struct {
	volatile sig_atomic_t active;
	bool registered; /* with atexit() */
	int output;
	struct termios modes;
	char sequence[256]; /* leaves the alternate screen, shows the cursor, ends attributes */
	size_t length;
	struct sigaction former[NSIG];
	bool taken[NSIG];
} rescue;

/* Async-signal-safe: write() and tcsetattr() alone. */
static void rescue_terminal(void)
{
	const char *at = rescue.sequence;
	size_t left = rescue.length;

	if (!rescue.active)
		return;
	rescue.active = 0;
	while (left) {
		ssize_t written = write(rescue.output, at, left);

		if (written <= 0)
			break;
		at += written;
		left -= (size_t)written;
	}
	tcsetattr(rescue.output, TCSANOW, &rescue.modes);
}

static void give_signals_back(void)
{
	for (int number = 1; number < NSIG; number++)
		if (rescue.taken[number])
			sigaction(number, &rescue.former[number], NULL);
	memset(rescue.taken, 0, sizeof(rescue.taken));
}

static bool is_harmless(int number)
{
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		if (harmless[i] == number)
			return true;
	return false;
}

/* What is ignored stays so: whoever started us wants it. Those that glibc keeps for itself refuse. */
static void take_signals(const struct sigaction *action)
{
	for (int number = 1; number < NSIG; number++) {
		if (is_harmless(number) || sigaction(number, NULL, &rescue.former[number]) ||
		    rescue.former[number].sa_handler == SIG_IGN)
			continue;
		rescue.taken[number] = !sigaction(number, action, NULL);
	}
	rescue.taken[SIGPIPE] = !sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, &rescue.former[SIGPIPE]);
}

static void crash_handler(int signal_number)
{
	int saved = errno;

	rescue_terminal();
	give_signals_back();
	/* Delivered when this handler returns, to whoever would have had it without us. */
	raise(signal_number);
	errno = saved;
}

/* Strings of terminfo without their padding ($<5>), which only tputs() understands. */
static void rescue_append(const char *capability)
{
	const char *text = tigetstr(capability);

	if (!text || text == (char *)-1)
		return;
	while (*text && rescue.length < sizeof(rescue.sequence)) {
		const char *end = text[0] == '$' && text[1] == '<' ? strchr(text, '>') : NULL;

		if (end)
			text = end + 1;
		else
			rescue.sequence[rescue.length++] = *text++;
	}
}

void terminal_rescue_begin(int output, const struct termios *modes)
{
	/* A crash by a stack that is too deep has no stack left for its handler. */
	static char stack[16384];
	struct sigaction action = { .sa_handler = crash_handler, .sa_flags = SA_ONSTACK | SA_RESETHAND };

	rescue.output = output;
	rescue.modes = *modes;
	rescue.length = 0;
	rescue_append("sgr0");
	rescue_append("op");
	rescue_append("rmkx");
	rescue_append("cnorm");
	rescue_append("rmcup");
	if (!tigetstr("rmcup") && rescue.length < sizeof(rescue.sequence))
		rescue.sequence[rescue.length++] = '\n';
	sigaltstack(&(stack_t){ .ss_sp = stack, .ss_size = sizeof(stack) }, NULL);
	sigemptyset(&action.sa_mask);
	take_signals(&action);
	if (!rescue.registered)
		rescue.registered = !atexit(rescue_terminal);
	rescue.active = 1;
}

void terminal_rescue_end(void)
{
	if (!rescue.active)
		return;
	give_signals_back();
	rescue.active = 0;
	tcsetattr(rescue.output, TCSANOW, &rescue.modes);
}

int terminal_check(int input, int output, struct explain *explain)
{
	const char *type = getenv("TERM");
	int known = 0;

	if (!isatty(input) || !isatty(output))
		return -ENOTTY;
	snprintf(explain->what, sizeof(explain->what), "cannot draw on this terminal");
	snprintf(explain->remedy, sizeof(explain->remedy),
		 "set TERM to its type (TERM=xterm-256color, TERM=linux), or send the output elsewhere for plain "
		 "text: poolscope top ... | cat");
	if (!type || !type[0]) {
		snprintf(explain->why, sizeof(explain->why), "TERM is not set");
		return -ENOTTY;
	}
	if (setupterm(type, output, &known) != OK) {
		char name[64];

		snprintf(explain->why, sizeof(explain->why), "the terminal type TERM=%s is not known here",
			 escape_text(type, 32, false, name, sizeof(name)));
		return -EOPNOTSUPP;
	}
	if (!tigetstr("cup") || tigetstr("cup") == (char *)-1) {
		snprintf(explain->why, sizeof(explain->why), "a terminal of type %.32s cannot move its cursor", type);
		del_curterm(cur_term);
		return -ENOTTY;
	}
	del_curterm(cur_term);
	return 0;
}
