/* SPDX-License-Identifier: GPL-2.0-only */
/* A series of figures as one line of small bars. It must not know what they measure. */
#include <string.h>

#include "sparkline.h"

static const char *const unicode_bars[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
static const char *const ascii_bars[] = { "_", ".", "-", "=", "#" };

/* Noise of a few pages must not look like a mountain. */
#define FLAT_SHARE 32

static uint64_t largest(const uint64_t *history, size_t from, size_t to)
{
	uint64_t most = UNKNOWN_U64;

	for (size_t i = from; i < to; i++)
		if (history[i] != UNKNOWN_U64 && (most == UNKNOWN_U64 || history[i] > most))
			most = history[i];
	return most;
}

char *sparkline_draw(const uint64_t *history, size_t n_history, bool utf8, size_t width, char *out, size_t size)
{
	const char *const *bars = utf8 ? unicode_bars : ascii_bars;
	size_t n_bars = utf8 ? ARRAY_SIZE(unicode_bars) : ARRAY_SIZE(ascii_bars);
	size_t shown = n_history < width ? n_history : width, used = 0;
	uint64_t low = UNKNOWN_U64, high = largest(history, 0, n_history);
	bool flat;

	for (size_t i = 0; i < n_history; i++)
		if (history[i] < low)
			low = history[i];
	flat = high == UNKNOWN_U64 || high - low <= high / FLAT_SHARE;
	for (size_t column = 0; column < width; column++) {
		size_t at = column + shown - width; /* used only from column width - shown on */
		const char *bar = " ";

		if (column >= width - shown) {
			uint64_t value = largest(history, at * n_history / shown, (at + 1) * n_history / shown);

			if (value != UNKNOWN_U64)
				bar = bars[flat ? 0 : (size_t)((double)(value - low) / (double)(high - low) * (double)(n_bars - 1))];
		}
		if (used + strlen(bar) >= size)
			break;
		memcpy(out + used, bar, strlen(bar));
		used += strlen(bar);
	}
	out[used] = '\0';
	return out;
}
