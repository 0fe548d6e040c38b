/* SPDX-License-Identifier: GPL-2.0-only */
/* Texts on the screen: wrapped between words and scrolled by lines; the sentences of a frame, as many as have room whole.
 * It must not know what they say. */
#include <stdio.h>
#include <string.h>

#include "dashboard_parts.h"
#include "escape.h"

#define LINE_SIZE 1024
#define SENTENCE_INDENT 2

/* Bytes of the longest beginning of text that fits and ends between words, if it can be, outside of brackets
 * ("(4 min)" stays together); between_parts: if it can be, after a comma. */
static size_t line_length(const char *text, unsigned int width, bool between_parts)
{
	size_t length = strlen(text), best = 0, outside = 0;
	int depth = 0;

	if (text_width(text) <= width)
		return length;
	for (size_t i = 0; i < length && i <= width; i++) {
		depth += (text[i] == '(') - (text[i] == ')');
		if (text[i] != ' ')
			continue;
		best = i;
		if (depth <= 0 && (!between_parts || (i && strchr(",;:", text[i - 1]))))
			outside = i;
	}
	return outside > width / 2 ? outside : best ? best : length;
}

static void put_line(struct panel *panel, enum attribute attribute, unsigned int indent, const char *text, size_t length)
{
	unsigned int at = panel->line++, row = panel->place.row + at - panel->first;
	unsigned int room = panel->place.columns > indent ? panel->place.columns - indent : 0;
	char line[LINE_SIZE];

	snprintf(line, sizeof(line), "%.*s", (int)length, text);
	panel->used = indent + (unsigned int)text_width(line);
	if (!panel->cells || at < panel->first || at - panel->first >= panel->place.rows)
		return;
	cells_write(panel->cells, row, panel->place.column + indent, room, attribute, line);
	if (attribute == ATTR_BANNER)
		cells_paint(panel->cells, row, panel->place.column, panel->place.columns, ATTR_BANNER);
}

/* Wraps at most `lines` lines; the last of them has `less` columns less. Returns what is left of the text. */
static const char *put_lines(struct panel *panel, enum attribute attribute, unsigned int indent, const char *text,
			     unsigned int lines, unsigned int less)
{
	unsigned int skip = 0;

	do {
		unsigned int room = panel->place.columns > skip ? panel->place.columns - skip : 1;
		bool is_cut = lines == 1 && less && room > 2 * less;
		size_t length = line_length(text, is_cut ? room - less : room, is_cut);

		put_line(panel, attribute, skip, text, length);
		text += length;
		text += strspn(text, " ");
		skip = panel->place.columns > 4 * indent ? indent : 0;
	} while (*text && --lines);
	return text;
}

void panel_put(struct panel *panel, enum attribute attribute, unsigned int indent, const char *text)
{
	put_lines(panel, attribute, indent, text, UINT32_MAX, 0);
}

/* How many of them have room, and beside or below the last one what tells that there are others. */
static size_t whole_words(const struct word *words, size_t count, struct rectangle place, unsigned int more_width)
{
	struct panel panel = { .place = place };
	size_t whole = 0;

	for (size_t i = 0; i < count && panel.line <= place.rows; i++) {
		panel_put(&panel, ATTR_NORMAL, SENTENCE_INDENT, words[i].text);
		if (panel.line < place.rows ||
		    (panel.line == place.rows && (i + 1 == count || panel.used + more_width <= place.columns)))
			whole = i + 1;
	}
	return whole;
}

/* A part of a sentence can say what the whole does not: only where not even the worst has room it is cut. */
unsigned int dashboard_draw_words(const struct word *words, size_t count, struct rectangle place,
				  struct cells *cells)
{
	struct panel panel = { .place = place, .cells = cells };
	unsigned int more_width;
	char more[40];
	size_t whole;

	if (!place.rows || !count)
		return 0;
	more_width = (unsigned int)snprintf(more, sizeof(more), " (%zu more: F2)", count);
	whole = whole_words(words, count, place, more_width);
	for (size_t i = 0; i < whole; i++)
		panel_put(&panel, words[i].attribute, SENTENCE_INDENT, words[i].text);
	if (!whole)
		put_lines(&panel, words[0].attribute, SENTENCE_INDENT, words[0].text, place.rows, more_width);
	if (whole == count)
		return panel.line;
	snprintf(more, sizeof(more), " (%zu more: F2)", count - whole);
	if (panel.used + text_width(more) > place.columns) {
		panel_put(&panel, ATTR_NORMAL, 0, more + 1);
		return panel.line < place.rows ? panel.line : place.rows;
	}
	if (cells)
		cells_write(cells, place.row + panel.line - 1, place.column + panel.used, place.columns - panel.used,
			    whole ? words[whole - 1].attribute : words[0].attribute, more);
	return panel.line;
}

static void put_text(const struct dashboard_state *ui, const struct snapshot *snapshot, struct panel *panel)
{
	const struct snapshot_target *target = dashboard_target(ui, snapshot);
	struct word words[WORDS_MAX];
	size_t count;

	switch (ui->mode) {
	case MODE_HELP:
		dashboard_put_help(panel);
		break;
	case MODE_BLAME:
		if (target)
			dashboard_put_blame(target, ui->utf8, panel);
		break;
	case MODE_WORDS:
		count = target ? dashboard_collect_words(ui, snapshot, target, words) : 0;
		for (size_t i = 0; i < count; i++)
			panel_put(panel, words[i].attribute, SENTENCE_INDENT, words[i].text);
		break;
	default:
		break;
	}
}

unsigned int dashboard_draw_text(const struct dashboard_state *ui, const struct snapshot *snapshot, struct rectangle place,
				 struct cells *cells)
{
	struct panel counted = { .place = place }, panel = { .place = place, .cells = cells };

	put_text(ui, snapshot, &counted);
	if (!cells)
		return counted.line;
	/* The screen may be larger than when the user moved. */
	panel.first = counted.line > place.rows ? counted.line - place.rows : 0;
	if (panel.first > ui->cursor)
		panel.first = (unsigned int)ui->cursor;
	put_text(ui, snapshot, &panel);
	return counted.line;
}
