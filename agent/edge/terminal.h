/* SPDX-License-Identifier: GPL-2.0-only */
/* The user's terminal, by ncursesw: cells to screen, keys to the dashboard's own, and the terminal as it was
 * on every way out. It must not know what the cells say. One terminal a process. */
#ifndef POOLSCOPE_EDGE_TERMINAL_H
#define POOLSCOPE_EDGE_TERMINAL_H

#include <stdio.h>

#include <signal.h>

#include "../base.h"
#include "../view/cells.h"

struct terminal;

/* Can a dashboard be drawn on these descriptors (keys from `input`, screen on `output`)? 0; -ENOTTY: they are no
 * terminal, or one that takes plain text only (TERM=dumb, none), then *explain says why; -EOPNOTSUPP: of a type that
 * ncurses does not know, with *explain filled. */
int terminal_check(int input, int output, struct explain *explain);

/* How wide what is written there may be: as the terminal is, or wide where it is none. */
unsigned int terminal_columns(FILE *out);

/* Takes over the terminal on two descriptors that terminal_check() has found good. From now until terminal_free()
 * SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT and SIGQUIT, and an exit() on the way, restore it first. Colours as the
 * terminal has them, none with NO_COLOR. */
int terminal_open(int input, int output, struct terminal **ret_terminal, struct explain *explain);
/* Restores the terminal. */
void terminal_free(struct terminal *terminal);
DEFINE_CLEANUP(struct terminal *, terminal_free)

bool terminal_is_utf8(const struct terminal *terminal);
int terminal_fd(const struct terminal *terminal); /* poll for reading, then read all keys */
/* The size as it is now; call it before each frame, a change is taken over here. */
void terminal_size(struct terminal *terminal, unsigned int *ret_rows, unsigned int *ret_columns);
/* Shows a frame; only what differs from the last one is sent. */
void terminal_draw(struct terminal *terminal, const struct cells *cells);
/* The next key (enum dashboard_key or a character), KEY_NONE when none waits; -EIO: the terminal is gone. */
int terminal_read_key(struct terminal *terminal);

/* Signals that the caller must block and hand over: SIGWINCH, SIGTSTP, SIGCONT. */
void terminal_signals(sigset_t *set);
/* SIGTSTP stops the process with the terminal restored and returns once it goes on. After any of them: draw. */
void terminal_signal(struct terminal *terminal, int signal_number);

#endif
