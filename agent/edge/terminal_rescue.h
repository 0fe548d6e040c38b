/* SPDX-License-Identifier: GPL-2.0-only */
/* The terminal's type, and how to give it back when the process dies: what term.h alone can say (its macros
 * take common words, so it stays in this file). It must not know what is drawn. */
#ifndef POOLSCOPE_EDGE_TERMINAL_RESCUE_H
#define POOLSCOPE_EDGE_TERMINAL_RESCUE_H

#include <termios.h>

/* From now on a signal that kills or exit() gives the terminal back with these modes first; after newterm(). */
void terminal_rescue_begin(int output, const struct termios *modes);
/* After endwin(): its modes as they were, and the signals to who had them before. */
void terminal_rescue_end(void);

#endif
