/* SPDX-License-Identifier: GPL-2.0-only */
/* The user's terminal, by ncursesw: cells to screen, keys to the dashboard's own, and the terminal as it was
 * on every way out. It must not know what the cells say. */
#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "../view/dashboard.h"
#include "../view/escape.h"
#include "terminal.h"
#include "terminal_rescue.h"

/* A lone ESC is a key after this long; more than a serial line or a slow ssh needs between two bytes. */
#define ESCAPE_DELAY_MS 50
#define NO_TERMINAL_COLUMNS 200 /* room for all columns and names */

struct terminal {
	SCREEN *screen;
	FILE *out, *in;
	int input;
	bool utf8, colours;
	struct cells *shown; /* what is on the screen; NULL: nobody knows */
};

struct look {
	short foreground, background; /* -1: the terminal's own */
	attr_t colour, plain;         /* with colours, without */
};

/* As htop: black on green titles, black on cyan selection and keys. */
static const struct look looks[] = {
	[ATTR_NORMAL] = { -1, -1, A_NORMAL, A_NORMAL },
	[ATTR_BOLD] = { -1, -1, A_BOLD, A_BOLD },
	[ATTR_DIM] = { -1, -1, A_DIM, A_NORMAL },
	[ATTR_LABEL] = { COLOR_CYAN, -1, A_NORMAL, A_NORMAL },
	[ATTR_TITLE] = { COLOR_BLACK, COLOR_BLUE, A_NORMAL, A_REVERSE },
	[ATTR_HEADER] = { COLOR_BLACK, COLOR_GREEN, A_NORMAL, A_REVERSE },
	[ATTR_SORTED] = { COLOR_BLACK, COLOR_CYAN, A_NORMAL, A_REVERSE | A_BOLD },
	[ATTR_SELECTED] = { COLOR_BLACK, COLOR_CYAN, A_NORMAL, A_REVERSE },
	[ATTR_SELECTED_IDLE] = { COLOR_BLACK, COLOR_WHITE, A_NORMAL, A_BOLD },
	[ATTR_OK] = { COLOR_GREEN, -1, A_NORMAL, A_NORMAL },
	[ATTR_WARN] = { COLOR_YELLOW, -1, A_BOLD, A_BOLD },
	[ATTR_OVER] = { COLOR_RED, -1, A_BOLD, A_BOLD | A_REVERSE },
	[ATTR_BANNER] = { COLOR_WHITE, COLOR_RED, A_BOLD, A_BOLD | A_REVERSE },
	[ATTR_KEY] = { -1, -1, A_NORMAL, A_BOLD },
	[ATTR_KEY_LABEL] = { COLOR_BLACK, COLOR_CYAN, A_NORMAL, A_REVERSE },
	[ATTR_BAR_FIRST] = { COLOR_GREEN, -1, A_NORMAL, A_NORMAL },
	[ATTR_BAR_SECOND] = { COLOR_BLUE, -1, A_BOLD, A_NORMAL },
	[ATTR_BAR_THIRD] = { COLOR_YELLOW, -1, A_NORMAL, A_NORMAL },
	[ATTR_BAR_FOURTH] = { COLOR_MAGENTA, -1, A_NORMAL, A_NORMAL },
};
_Static_assert(ARRAY_SIZE(looks) == ATTR_COUNT, "a look for each attribute");

static void start_colours(struct terminal *terminal)
{
	const char *no_color = getenv("NO_COLOR");

	if ((no_color && no_color[0]) || !has_colors() || start_color() == ERR)
		return;
	use_default_colors();
	for (short i = 1; i < ATTR_COUNT; i++)
		if (init_pair(i, looks[i].foreground, looks[i].background) == ERR)
			return;
	terminal->colours = true;
}

static void close_streams(struct terminal *terminal)
{
	if (terminal->in)
		fclose(terminal->in);
	if (terminal->out)
		fclose(terminal->out);
}

static FILE *open_stream(int fd, const char *mode)
{
	int own = dup(fd);
	FILE *stream = own >= 0 ? fdopen(own, mode) : NULL;

	if (!stream && own >= 0)
		close(own);
	return stream;
}

int terminal_open(int input, int output, struct terminal **ret_terminal, struct explain *explain)
{
	_cleanup_(freep) struct terminal *terminal = NULL;
	struct termios modes;

	if (tcgetattr(output, &modes))
		return -ENOTTY;
	terminal = calloc(1, sizeof(*terminal));
	if (!terminal)
		return -ENOMEM;
	terminal->input = input;
	terminal->in = open_stream(input, "r");
	terminal->out = open_stream(output, "w");
	if (terminal->in && terminal->out)
		terminal->screen = newterm(NULL, terminal->out, terminal->in);
	if (!terminal->screen) {
		close_streams(terminal);
		snprintf(explain->what, sizeof(explain->what), "cannot draw on this terminal");
		snprintf(explain->why, sizeof(explain->why), "ncurses refuses it");
		return -EOPNOTSUPP;
	}
	set_term(terminal->screen);
	terminal_rescue_begin(output, &modes);
	terminal->utf8 = locale_is_utf8();
	start_colours(terminal);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(ESCAPE_DELAY_MS);
	curs_set(0);
	clear();
	*ret_terminal = TAKE_PTR(terminal);
	return 0;
}

static bool takes_output(const struct terminal *terminal)
{
	struct pollfd out = {.fd = fileno(terminal->out), .events = POLLOUT};

	return poll(&out, 1, 0) != 0;
}

/* Stopped by Ctrl-S, which a terminal without IXON cannot be, or full and read by nobody: what waits there is given up, to
 * give the terminal back at all. Its modes are restored with it. */
static void make_room(const struct terminal *terminal)
{
	int fd = fileno(terminal->out);
	struct termios modes;

	if (takes_output(terminal))
		return;
	tcflow(fd, TCOON);
	if (!tcgetattr(fd, &modes)) {
		modes.c_iflag &= ~(tcflag_t)IXON;
		tcsetattr(fd, TCSANOW, &modes);
	}
	if (!takes_output(terminal))
		tcflush(fd, TCOFLUSH);
}

void terminal_free(struct terminal *terminal)
{
	if (!terminal)
		return;
	make_room(terminal);
	endwin();
	terminal_rescue_end();
	delscreen(terminal->screen);
	close_streams(terminal);
	cells_free(terminal->shown);
	free(terminal);
}

bool terminal_is_utf8(const struct terminal *terminal)
{
	return terminal->utf8;
}

unsigned int terminal_columns(FILE *out)
{
	struct winsize size = { 0 };

	if (isatty(fileno(out)) && !ioctl(fileno(out), TIOCGWINSZ, &size) && size.ws_col)
		return size.ws_col;
	return NO_TERMINAL_COLUMNS;
}

int terminal_fd(const struct terminal *terminal)
{
	return terminal->input;
}

void terminal_size(struct terminal *terminal, unsigned int *ret_rows, unsigned int *ret_columns)
{
	struct winsize size;

	/* SIGWINCH is the caller's, so ncurses does not learn of it by itself. */
	if (!ioctl(fileno(terminal->out), TIOCGWINSZ, &size) && size.ws_row && size.ws_col &&
	    (size.ws_row != LINES || size.ws_col != COLS))
		resizeterm(size.ws_row, size.ws_col);
	*ret_rows = (unsigned int)LINES;
	*ret_columns = (unsigned int)COLS;
}

static void draw_cell(struct terminal *terminal, unsigned int row, unsigned int column, const struct cell *cell)
{
	const struct look *look = &looks[cell->attribute];
	wchar_t text[2] = { (wchar_t)cell->character };
	cchar_t character;

	if (!terminal->utf8 && cell->character > 0x7e)
		text[0] = L'?';
	setcchar(&character, text, terminal->colours ? look->colour : look->plain,
		 terminal->colours ? (short)cell->attribute : 0, NULL);
	mvadd_wch((int)row, (int)column, &character);
}

static bool same(const struct cell *a, const struct cell *b)
{
	return a->character == b->character && a->attribute == b->attribute;
}

void terminal_draw(struct terminal *terminal, const struct cells *cells)
{
	const struct cells *shown = terminal->shown;
	bool known = shown && shown->rows == cells->rows && shown->columns == cells->columns;

	/* A stopped terminal would keep the agent waiting: what has changed is drawn when it goes on. */
	if (!takes_output(terminal))
		return;
	if (!known) {
		struct cells *fresh = NULL;

		erase();
		cells_free(terminal->shown);
		terminal->shown = NULL;
		if (!cells_new(cells->rows, cells->columns, terminal->utf8, &fresh))
			terminal->shown = fresh;
	}
	for (unsigned int row = 0; row < cells->rows; row++)
		for (unsigned int column = 0; column < cells->columns; column++) {
			const struct cell *cell = cells_at(cells, row, column);
			/* A wide character is drawn anew when either half changed. */
			bool wide = column + 1 < cells->columns && !cell[1].character;

			if (!cell->character)
				continue;
			if (known && same(cell, cells_at(shown, row, column)) &&
			    (!wide || same(&cell[1], cells_at(shown, row, column + 1))))
				continue;
			draw_cell(terminal, row, column, cell);
		}
	if (terminal->shown)
		memcpy(terminal->shown->grid, cells->grid,
		       (size_t)cells->rows * cells->columns * sizeof(*cells->grid));
	refresh();
}

static const struct {
	int curses, key;
} key_map[] = {
	{ KEY_UP, KEY_CURSOR_UP },       { KEY_DOWN, KEY_CURSOR_DOWN }, { KEY_LEFT, KEY_CURSOR_LEFT },
	{ KEY_RIGHT, KEY_CURSOR_RIGHT }, { KEY_PPAGE, KEY_PAGE_UP },    { KEY_NPAGE, KEY_PAGE_DOWN },
	{ KEY_HOME, KEY_TOP },           { KEY_END, KEY_BOTTOM },       { KEY_FIND, KEY_TOP },
	{ KEY_SELECT, KEY_BOTTOM },      { KEY_BACKSPACE, KEY_ERASE },  { KEY_DC, KEY_ERASE },
	{ KEY_BTAB, KEY_TAB_BACK },      { KEY_ENTER, KEY_RETURN },     { KEY_RESIZE, KEY_CHANGED_SIZE },
};

int terminal_read_key(struct terminal *terminal)
{
	struct winsize size;
	wint_t key = 0;
	int kind = get_wch(&key);

	if (kind == ERR) /* a terminal that is gone reads as end of file for ever */
		return ioctl(terminal->input, TIOCGWINSZ, &size) ? -EIO : KEY_NONE;
	if (kind == KEY_CODE_YES) {
		if (key >= KEY_F(1) && key <= KEY_F(12))
			return KEY_FUNCTION + (int)(key - KEY_F0);
		for (size_t i = 0; i < ARRAY_SIZE(key_map); i++)
			if (key_map[i].curses == (int)key)
				return key_map[i].key;
		return KEY_CHANGED_SIZE; /* a key that does nothing; but keys wait behind it */
	}
	return key == 0x7f || key == '\b' ? KEY_ERASE : key == '\r' ? KEY_RETURN : (int)key;
}

void terminal_signals(sigset_t *set)
{
	sigaddset(set, SIGWINCH);
	sigaddset(set, SIGTSTP);
	sigaddset(set, SIGCONT);
}

void terminal_signal(struct terminal *terminal, int signal_number)
{
	if (signal_number == SIGTSTP) {
		endwin();
		/* SIGTSTP itself is blocked; this one cannot be. */
		kill(getpid(), SIGSTOP);
	}
	if (signal_number == SIGTSTP || signal_number == SIGCONT) {
		/* The shell has used the terminal meanwhile: take nothing for granted. */
		reset_prog_mode();
		clearok(curscr, TRUE);
		refresh();
	}
	cells_free(terminal->shown);
	terminal->shown = NULL;
}
