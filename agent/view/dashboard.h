/* SPDX-License-Identifier: GPL-2.0-only */
/* The dashboard of `poolscope top`: snapshot + size + what the user did -> cells. Pure: it reads no clock, no
 * terminal and no target; the time of day comes with the snapshot. */
#ifndef POOLSCOPE_VIEW_DASHBOARD_H
#define POOLSCOPE_VIEW_DASHBOARD_H

#include "../model/snapshot.h"
#include "cells.h"
#include "columns.h"

/* A key is a Unicode character, or one of these. */
enum dashboard_key {
	KEY_NONE = 0,
	KEY_TAB = 9,
	KEY_RETURN = 10,
	KEY_ESCAPE = 27,
	KEY_CURSOR_UP = 0x110000, /* beyond Unicode */
	KEY_CURSOR_DOWN,
	KEY_CURSOR_LEFT,
	KEY_CURSOR_RIGHT,
	KEY_PAGE_UP,
	KEY_PAGE_DOWN,
	KEY_TOP,
	KEY_BOTTOM,
	KEY_ERASE,
	KEY_TAB_BACK,
	KEY_CHANGED_SIZE, /* no key: the terminal has another size now */
	KEY_FUNCTION,     /* KEY_FUNCTION + n is Fn */
	KEY_FUNCTION_LAST = KEY_FUNCTION + 12,
};

enum dashboard_action {
	DASHBOARD_NONE,
	DASHBOARD_REDRAW,
	DASHBOARD_QUIT,
	DASHBOARD_WRITE_SNAPSHOT, /* write it, then dashboard_say() where */
	DASHBOARD_PAUSE,          /* `paused` has changed */
	DASHBOARD_INTERVAL,       /* `refresh_ms` has changed */
};

enum dashboard_mode { MODE_TABLES, MODE_SEARCH, MODE_FILTER, MODE_SORT, MODE_HELP, MODE_BLAME, MODE_WORDS };

struct dashboard_table {
	size_t sort; /* index of a column */
	bool inverted;
	bool chosen; /* the user has moved; before that the first row is the selected one */
	char pool[64];           /* the selected row by what it is, so that it stays when rows change places */
	struct thread_id thread;
	size_t at, top;          /* where it was, and the first row shown */
	char filter[48];
};

struct dashboard_state {
	/* set by the wiring */
	bool utf8;
	bool follows_forks; /* -f was given */
	char waits_for[64]; /* what -n or --unit selects; "": nothing will come back */
	unsigned int rows, columns; /* of the screen: dashboard_resize() */

	bool paused;
	unsigned int refresh_ms;
	enum dashboard_mode mode;
	bool threads_hidden;
	bool all_words; /* up to the half of what the header leaves; more are MODE_WORDS */
	bool counts_children; /* the memory of a pool that another made counts to that one, too */
	enum table focus;
	struct dashboard_table tables[TABLE_COUNT];
	uint32_t target; /* id; 0: the first */
	char input[48]; /* text of MODE_SEARCH and MODE_FILTER */
	size_t cursor;   /* MODE_SORT: the column; a text that fills the screen: the first line shown */
	char message[160];
};

void dashboard_init(struct dashboard_state *ui, bool utf8, unsigned int refresh_ms);
void dashboard_resize(struct dashboard_state *ui, unsigned int rows, unsigned int columns);
/* One line for the user, until the next key. */
void dashboard_say(struct dashboard_state *ui, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fills the cells, whose size is the screen's. A snapshot of NULL or without targets says that nothing is
 * there yet. -ENOMEM. */
int dashboard_render(const struct snapshot *snapshot, const struct dashboard_state *ui, struct cells *cells);
enum dashboard_action dashboard_key(struct dashboard_state *ui, const struct snapshot *snapshot, int key);

#endif
