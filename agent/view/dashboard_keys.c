/* SPDX-License-Identifier: GPL-2.0-only */
/* What each key does to the state of the dashboard; one table serves the keys, the bottom line and the help.
 * It must not know what terminals send for a key. */
#include <stdio.h>
#include <string.h>

#include "dashboard_parts.h"
#include "escape.h"

#define KEY_F(n) (KEY_FUNCTION + (n))

static const unsigned int intervals_ms[] = { 100, 250, 500, 1000, 2000, 5000, 10000, 30000, 60000 };

/* Makes a row the selected one and scrolls no further than it must. */
static void select_row(struct dashboard_state *ui, const struct snapshot *snapshot, const struct table_rows *rows,
		       size_t index)
{
	struct dashboard_table *view = &ui->tables[ui->focus];
	struct dashboard_layout layout;
	unsigned int height;

	view->chosen = true;
	view->at = index;
	if (ui->focus == TABLE_POOLS) {
		memcpy(view->pool, ((const struct snapshot_pool *)rows->rows[index])->name, sizeof(view->pool));
		ui->tables[TABLE_THREADS].chosen = false;
		ui->tables[TABLE_THREADS].top = 0;
	} else {
		view->thread = ((const struct snapshot_thread *)rows->rows[index])->id;
	}
	/* By the pool that is selected now: the tables share the lines by its threads. */
	dashboard_arrange(ui, snapshot, ui->rows, ui->columns, &layout);
	height = layout.tables[ui->focus].rows;
	height = height > 1 ? height - 1 : 1;
	if (view->top + height > rows->count)
		view->top = rows->count > height ? rows->count - height : 0;
	if (index < view->top)
		view->top = index;
	if (index >= view->top + height)
		view->top = index - height + 1;
}

static enum dashboard_action run_move(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	const struct snapshot_target *target = dashboard_target(ui, snapshot);
	_cleanup_(table_rows_free) struct table_rows rows = { 0 };
	struct dashboard_layout layout;
	size_t page, at, last;

	if (!target || dashboard_rows(ui, target, ui->focus, &rows) || !rows.count)
		return DASHBOARD_NONE;
	dashboard_arrange(ui, snapshot, ui->rows, ui->columns, &layout);
	page = layout.tables[ui->focus].rows > 2 ? layout.tables[ui->focus].rows - 2 : 1;
	at = rows.selected;
	last = rows.count - 1;
	switch (key) {
	case KEY_CURSOR_UP:
		at -= at > 0;
		break;
	case KEY_CURSOR_DOWN:
		at += at < last;
		break;
	case KEY_PAGE_UP:
		at -= at < page ? at : page;
		break;
	case KEY_PAGE_DOWN:
		at += last - at < page ? last - at : page;
		break;
	case KEY_TOP:
		at = 0;
		break;
	case KEY_BOTTOM:
		at = last;
		break;
	}
	select_row(ui, snapshot, &rows, at);
	return DASHBOARD_REDRAW;
}

static enum dashboard_action run_help(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	ui->mode = MODE_HELP;
	ui->cursor = 0;
	return DASHBOARD_REDRAW;
}

static enum dashboard_action run_blame(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	if (!dashboard_target(ui, snapshot))
		return DASHBOARD_NONE;
	ui->mode = MODE_BLAME;
	ui->cursor = 0;
	return DASHBOARD_REDRAW;
}

static enum dashboard_action run_search(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	ui->mode = MODE_SEARCH;
	ui->input[0] = '\0';
	return DASHBOARD_REDRAW;
}

static enum dashboard_action run_filter(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	struct dashboard_table *view = &ui->tables[ui->focus];

	ui->mode = MODE_FILTER;
	memcpy(ui->input, view->filter, sizeof(ui->input));
	return DASHBOARD_REDRAW;
}

/* The threads' table can have the keys only while it is on the screen. */
static bool threads_are_shown(const struct dashboard_state *ui, const struct snapshot *snapshot)
{
	struct dashboard_layout layout;

	dashboard_arrange(ui, snapshot, ui->rows, ui->columns, &layout);
	return layout.tables[TABLE_THREADS].rows > 1;
}

static enum dashboard_action run_threads(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	ui->threads_hidden = !ui->threads_hidden;
	ui->focus = TABLE_POOLS;
	return DASHBOARD_REDRAW;
}

static enum dashboard_action run_enter(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	ui->threads_hidden = false;
	ui->focus = ui->focus == TABLE_POOLS && threads_are_shown(ui, snapshot) ? TABLE_THREADS : TABLE_POOLS;
	return DASHBOARD_REDRAW;
}

static enum dashboard_action run_back(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	struct dashboard_table *view = &ui->tables[ui->focus];

	if (key == KEY_ESCAPE && view->filter[0])
		view->filter[0] = '\0';
	else
		ui->focus = TABLE_POOLS;
	return DASHBOARD_REDRAW;
}

static enum dashboard_action run_sort(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	ui->mode = MODE_SORT;
	ui->cursor = ui->tables[ui->focus].sort;
	return DASHBOARD_REDRAW;
}

static enum dashboard_action run_invert(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	ui->tables[ui->focus].inverted = !ui->tables[ui->focus].inverted;
	return DASHBOARD_REDRAW;
}

/* M, P, T: memory, processor, time, as in htop. */
static enum dashboard_action run_sort_letter(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	static const struct {
		int key;
		const char *titles[TABLE_COUNT];
	} letters[] = {
		{ 'M', { "RES", "RES" } },
		{ 'P', { "RUN", "CPU%" } },
		{ 'T', { "START", "AGE" } },
		{ 'N', { "POOL", "TID" } },
		{ 'G', { "GROWN", "GROWN" } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
		if (letters[i].key == key)
			ui->tables[ui->focus].sort = columns_find(ui->focus, letters[i].titles[ui->focus]);
	ui->tables[ui->focus].inverted = false;
	return DASHBOARD_REDRAW;
}

static enum dashboard_action run_pause(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	ui->paused = !ui->paused;
	return DASHBOARD_PAUSE;
}

static enum dashboard_action run_write(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	return snapshot ? DASHBOARD_WRITE_SNAPSHOT : DASHBOARD_NONE;
}

static enum dashboard_action run_interval(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	unsigned int next = ui->refresh_ms;

	for (size_t i = 0; i < ARRAY_SIZE(intervals_ms); i++) {
		if (key == '-' && intervals_ms[i] < ui->refresh_ms)
			next = intervals_ms[i];
		if (key != '-' && next == ui->refresh_ms && intervals_ms[i] > ui->refresh_ms)
			next = intervals_ms[i];
	}
	ui->refresh_ms = next;
	dashboard_say(ui, "a refresh every %g s", next / 1000.0);
	return DASHBOARD_INTERVAL;
}

static enum dashboard_action run_target(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	const struct snapshot_target *target = dashboard_target(ui, snapshot);
	size_t index;

	if (!target || snapshot->n_targets < 2)
		return DASHBOARD_NONE;
	index = (size_t)(target - snapshot->targets) + (key == KEY_TAB ? 1 : snapshot->n_targets - 1);
	ui->target = snapshot->targets[index % snapshot->n_targets].id;
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		ui->tables[i].chosen = false;
		ui->tables[i].top = 0;
	}
	return DASHBOARD_REDRAW;
}

/* Above the tables as far as they have the half of the room; beyond that on a screen of their own. */
static enum dashboard_action run_words(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	bool was_all = ui->all_words;
	struct dashboard_layout before, after;

	dashboard_arrange(ui, snapshot, ui->rows, ui->columns, &before);
	ui->all_words = true;
	dashboard_arrange(ui, snapshot, ui->rows, ui->columns, &after);
	if (dashboard_target(ui, snapshot) && !after.words_whole) {
		ui->mode = MODE_WORDS;
		ui->cursor = 0;
	} else if (!was_all && !before.words_whole) {
		dashboard_say(ui, "F2 again: the worst of it alone");
		return DASHBOARD_REDRAW;
	} else if (!was_all) {
		dashboard_say(ui, after.words.rows ? "all that is to be said stands there already" : "nothing is to be said");
	}
	ui->all_words = false;
	return DASHBOARD_REDRAW;
}

static enum dashboard_action run_children(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	ui->counts_children = !ui->counts_children;
	dashboard_say(ui, ui->counts_children ? "memory of the pools below counts to a pool that has a +, too"
					      : "each pool's own memory");
	return DASHBOARD_REDRAW;
}

static enum dashboard_action run_quit(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	return DASHBOARD_QUIT;
}

/* clang-format off: one row a command */
static const struct binding bindings[] = {
	{ { KEY_F(1), 'h', '?' }, "F1", "Help", "F1 h ?      this help", run_help },
	{ { KEY_F(2), 'l' }, "F2", "Words", "F2 l        all that is to be said in words, or the worst of it", run_words },
	{ { KEY_F(3), '/' }, "F3", "Search", "F3 /        find a row by name; F3 again: the next", run_search },
	{ { KEY_F(4), '\\' }, "F4", "Filter", "F4 \\        show only rows whose name contains a text", run_filter },
	{ { KEY_F(5), 't' }, "F5", "Threads", "F5 t        threads of the selected pool, shown or not", run_threads },
	{ { KEY_F(6), '>', '<', '.' }, "F6", "SortBy", "F6 > <      choose the column to sort by", run_sort },
	{ { 'I' }, "I", NULL, "I           turn the order round", run_invert },
	{ { ' ', 'Z', 'z' }, "Z", "Pause", "Space Z     hold the picture; the observation goes on", run_pause },
	{ { 'w' }, "w", "Write", "w           write the snapshot as JSON into a file (mode 0600)", run_write },
	{ { 'b' }, "b", NULL, "b           under which functions the pools grew", run_blame },
	{ { 'c' }, "c", NULL, "c           count the memory of a pool to the pool that made it, or not", run_children },
	{ { KEY_TAB, KEY_TAB_BACK }, "Tab", NULL, "Tab         the next target, when there are several", run_target },
	{ { KEY_F(10), 'q', 'Q', 3 }, "F10", "Quit", "F10 q       leave", run_quit },
	{ { KEY_RETURN, KEY_CURSOR_RIGHT }, "Enter", NULL, "Enter       go to the threads of the pool, and back", run_enter },
	{ { KEY_ESCAPE, KEY_CURSOR_LEFT }, "Esc", NULL, "Esc Left    back to the pools; Esc with a filter: show all rows again", run_back },
	{ { KEY_CURSOR_UP, KEY_CURSOR_DOWN }, "Up", NULL, "Up Down     select a row (PgUp PgDn Home End)", run_move },
	{ { KEY_PAGE_UP, KEY_PAGE_DOWN, KEY_TOP, KEY_BOTTOM }, "PgUp", NULL, NULL, run_move },
	{ { 'M', 'P', 'T', 'G' }, "M", NULL, "M P T G N   sort by memory, CPU, time or starts, growth, name", run_sort_letter },
	{ { 'N' }, "N", NULL, NULL, run_sort_letter },
	{ { '+', '-', '=' }, "+", NULL, "+ -         refresh less or more often", run_interval },
};
/* clang-format on */

const struct binding *dashboard_bindings(size_t *ret_count)
{
	*ret_count = ARRAY_SIZE(bindings);
	return bindings;
}

/* Appends or removes one character; false when the key is no text. */
static bool edit(struct dashboard_state *ui, int key)
{
	char *text = ui->input;
	size_t length = strlen(text);

	if (key == KEY_ERASE) {
		while (length && ((unsigned char)text[length - 1] & 0xc0) == 0x80)
			length--;
		text[length ? length - 1 : 0] = '\0';
		return true;
	}
	if (key < ' ' || key > (ui->utf8 ? 0x10ffff : 0x7e) || !character_width((char32_t)key) ||
	    length + 5 > sizeof(ui->input))
		return false;
	text[length + (size_t)utf8_put((char32_t)key, text + length)] = '\0';
	return true;
}

/* Selects the first row that matches, beginning `skip` rows below the selected one. */
static void find(struct dashboard_state *ui, const struct snapshot *snapshot, size_t skip)
{
	const struct snapshot_target *target = dashboard_target(ui, snapshot);
	_cleanup_(table_rows_free) struct table_rows rows = { 0 };

	if (!target || !ui->input[0] || dashboard_rows(ui, target, ui->focus, &rows))
		return;
	for (size_t i = 0; i < rows.count; i++) {
		size_t at = (rows.selected + skip + i) % rows.count;

		if (!dashboard_row_matches(ui->focus, rows.rows[at], ui->input))
			continue;
		select_row(ui, snapshot, &rows, at);
		return;
	}
	dashboard_say(ui, "nothing found");
}

static enum dashboard_action key_search(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	if (key == KEY_RETURN || key == KEY_ESCAPE || key == KEY_F(10))
		ui->mode = MODE_TABLES;
	else if (key == KEY_F(3) || key == KEY_CURSOR_DOWN)
		find(ui, snapshot, 1);
	else if (edit(ui, key))
		find(ui, snapshot, 0);
	return DASHBOARD_REDRAW;
}

static enum dashboard_action key_filter(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	struct dashboard_table *view = &ui->tables[ui->focus];

	if (key == KEY_RETURN || key == KEY_F(4)) {
		ui->mode = MODE_TABLES;
	} else if (key == KEY_ESCAPE) {
		ui->mode = MODE_TABLES;
		view->filter[0] = '\0';
	} else if (edit(ui, key)) {
		memcpy(view->filter, ui->input, sizeof(view->filter));
		view->top = 0;
	}
	return DASHBOARD_REDRAW;
}

static enum dashboard_action key_sort(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	struct dashboard_table *view = &ui->tables[ui->focus];
	size_t count;

	columns_of(ui->focus, &count);
	switch (key) {
	case KEY_CURSOR_UP:
		ui->cursor -= ui->cursor > 0;
		break;
	case KEY_CURSOR_DOWN:
		ui->cursor += ui->cursor + 1 < count;
		break;
	case KEY_TOP:
	case KEY_PAGE_UP:
		ui->cursor = 0;
		break;
	case KEY_BOTTOM:
	case KEY_PAGE_DOWN:
		ui->cursor = count - 1;
		break;
	case KEY_RETURN:
		view->sort = ui->cursor;
		view->inverted = false;
		ui->mode = MODE_TABLES;
		break;
	default:
		ui->mode = MODE_TABLES;
	}
	return DASHBOARD_REDRAW;
}

static const struct binding *binding_of(int key)
{
	for (size_t i = 0; i < ARRAY_SIZE(bindings); i++)
		for (size_t j = 0; j < ARRAY_SIZE(bindings[i].keys); j++)
			if (bindings[i].keys[j] == key)
				return &bindings[i];
	return NULL;
}

/* Another mode is a key away from each that fills the screen. */
static bool opens_mode(const struct binding *binding, enum dashboard_mode but)
{
	static const struct {
		enum dashboard_mode mode;
		enum dashboard_action (*run)(struct dashboard_state *, const struct snapshot *, int);
	} opens[] = {
		{ MODE_HELP, run_help },     { MODE_BLAME, run_blame },   { MODE_WORDS, run_words },
		{ MODE_SEARCH, run_search }, { MODE_FILTER, run_filter }, { MODE_SORT, run_sort },
	};

	for (size_t i = 0; i < ARRAY_SIZE(opens); i++)
		if (binding && binding->run == opens[i].run)
			return opens[i].mode != but;
	return false;
}

/* A text that fills the screen: moves in it, and any other key leaves it. */
static enum dashboard_action key_text(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	struct rectangle place = dashboard_text_place(ui->rows, ui->columns);
	size_t height = place.rows ? place.rows : 1, lines = dashboard_draw_text(ui, snapshot, place, NULL);
	size_t last = lines > height ? lines - height : 0;
	const struct binding *binding = binding_of(key);
	enum dashboard_mode mode = ui->mode;

	if (key == KEY_CURSOR_DOWN || key == KEY_PAGE_DOWN || key == ' ')
		ui->cursor += key == KEY_CURSOR_DOWN ? 1 : height;
	else if (key == KEY_CURSOR_UP || key == KEY_PAGE_UP)
		ui->cursor -= key == KEY_CURSOR_UP ? ui->cursor > 0 : ui->cursor < height ? ui->cursor : height;
	else if (key == KEY_TOP || key == KEY_BOTTOM)
		ui->cursor = key == KEY_TOP ? 0 : last;
	else
		ui->mode = MODE_TABLES;
	if (ui->cursor > last)
		ui->cursor = last;
	return ui->mode == MODE_TABLES && opens_mode(binding, mode) ? binding->run(ui, snapshot, key) : DASHBOARD_REDRAW;
}

enum dashboard_action dashboard_key(struct dashboard_state *ui, const struct snapshot *snapshot, int key)
{
	static enum dashboard_action (*const modes[])(struct dashboard_state *, const struct snapshot *, int) = {
		[MODE_SEARCH] = key_search,
		[MODE_FILTER] = key_filter,
		[MODE_SORT] = key_sort,
		[MODE_HELP] = key_text,
		[MODE_BLAME] = key_text,
		[MODE_WORDS] = key_text,
	};

	const struct binding *binding;

	if (key == KEY_NONE)
		return DASHBOARD_NONE;
	if (key == KEY_CHANGED_SIZE)
		return DASHBOARD_REDRAW;
	ui->message[0] = '\0';
	if (ui->mode != MODE_TABLES)
		return modes[ui->mode](ui, snapshot, key);
	binding = binding_of(key);
	return binding ? binding->run(ui, snapshot, key) : DASHBOARD_REDRAW; /* the message is gone */
}
