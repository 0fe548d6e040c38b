/* SPDX-License-Identifier: GPL-2.0-only */
/* Figures as people write them: counts, bytes, percent, durations, addresses; and back into words.
 * It must not know which option or config key they stand in. */
#include "units.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* Binary units first: bytes_format() takes the first that divides. */
static const struct unit byte_units[] = {
	{ "TiB", 1ULL << 40 },	    { "GiB", 1ULL << 30 },	{ "MiB", 1ULL << 20 }, { "KiB", 1ULL << 10 },
	{ "TB", 1000000000000ULL }, { "GB", 1000000000ULL },	{ "MB", 1000000ULL },  { "kB", 1000ULL },
	{ "B", 1 },		    { "", 1 },
};

static const struct unit duration_units[] = {
	{ "d", 86400 * NSEC_PER_SEC }, { "h", 3600 * NSEC_PER_SEC }, { "m", 60 * NSEC_PER_SEC },
	{ "s", NSEC_PER_SEC },	       { "ms", NSEC_PER_MSEC },
};

static const struct unit percent_units[] = { { "%", 100 } };
static const struct unit no_units[] = { { "", 1 } };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* DIGITS[.DIGITS]UNIT, exactly: what is no whole number of the base unit is refused, not rounded.
 * strtod() is not used since it follows the locale. */
static int figure_parse(const char *text, const struct unit *units, size_t n_units, uint64_t *ret_value)
{
	unsigned __int128 mantissa = 0, scale = 1;
	const char *at = text;

	if (!is_digit(*at))
		return -EINVAL;
	for (; is_digit(*at); at++) {
		mantissa = mantissa * 10 + (unsigned)(*at - '0');
		if (mantissa > UINT64_MAX)
			return -ERANGE;
	}
	if (*at == '.') {
		at++;
		if (!is_digit(*at))
			return -EINVAL;
		for (; is_digit(*at); at++) {
			mantissa = mantissa * 10 + (unsigned)(*at - '0');
			scale *= 10;
			/* The bound keeps mantissa times the largest unit (2^47) within 128 bits. */
			if (mantissa > (unsigned __int128)UINT64_MAX << 16 || scale > UINT64_MAX)
				return -ERANGE;
		}
	}
	for (size_t i = 0; i < n_units; i++) {
		unsigned __int128 value;

		if (strcmp(at, units[i].name) != 0)
			continue;
		value = mantissa * units[i].factor;
		if (value % scale != 0)
			return -EINVAL;
		/* UINT64_MAX itself is the word for "not known". */
		if (value / scale >= UNKNOWN_U64)
			return -ERANGE;
		*ret_value = (uint64_t)(value / scale);
		return 0;
	}
	return -EINVAL;
}

int count_parse(const char *text, uint64_t *ret_count)
{
	if (strchr(text, '.'))
		return -EINVAL;
	return figure_parse(text, no_units, ARRAY_SIZE(no_units), ret_count);
}

int bytes_parse(const char *text, uint64_t *ret_bytes)
{
	return figure_parse(text, byte_units, ARRAY_SIZE(byte_units), ret_bytes);
}

int percent_parse(const char *text, uint64_t *ret_percent)
{
	uint64_t percent;
	int r = figure_parse(text, percent_units, ARRAY_SIZE(percent_units), &percent);

	if (r < 0)
		return r;
	if (percent > 10000)
		return -ERANGE;
	*ret_percent = percent;
	return 0;
}

int duration_parse(const char *text, uint64_t *ret_ns)
{
	return figure_parse(text, duration_units, ARRAY_SIZE(duration_units), ret_ns);
}

int address_check(const char *text)
{
	const char *colon = strrchr(text, ':');
	char host[256];
	struct in6_addr address;
	uint64_t port;
	size_t length;

	if (!colon || count_parse(colon + 1, &port) < 0)
		return -EINVAL;
	length = (size_t)(colon - text);
	if (port > UINT16_MAX || length >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, length);
	host[length] = '\0';
	if (length > 2 && host[0] == '[' && host[length - 1] == ']') {
		host[length - 1] = '\0';
		return inet_pton(AF_INET6, host + 1, &address) == 1 ? 0 : -EINVAL;
	}
	/* Of a name only the letters are looked at (RFC 1123); a bare IPv6 address is ambiguous. */
	for (const char *at = host; *at; at++) {
		if (!isalnum((unsigned char)*at) && *at != '.' && *at != '-')
			return -EINVAL;
	}
	return 0;
}

const char *bytes_hint(const char *text, char *buffer, size_t size)
{
	/* What people write for what they mean: Kubernetes, JVM and ulimit spellings. */
	static const struct {
		const char *written, *meant;
	} habits[] = {
		{ "G", "GiB" },	 { "g", "GiB" },  { "Gi", "GiB" }, { "gb", "GB" }, { "M", "MiB" },  { "m", "MiB" },
		{ "Mi", "MiB" }, { "mb", "MB" },  { "K", "KiB" },  { "k", "KiB" }, { "Ki", "KiB" }, { "KB", "kB" },
		{ "kb", "kB" },	 { "kib", "KiB" }, { "mib", "MiB" }, { "gib", "GiB" },
	};
	size_t digits = strspn(text, "0123456789.");
	const char *suffix = text + digits;

	while (*suffix == ' ')
		suffix++;
	for (size_t i = 0; digits > 0 && i < ARRAY_SIZE(habits); i++) {
		if (strcmp(suffix, habits[i].written) == 0) {
			snprintf(buffer, size, "%.*s%s", (int)digits, text, habits[i].meant);
			return buffer;
		}
	}
	for (size_t i = 0; digits > 0 && suffix != text + digits && i < ARRAY_SIZE(byte_units); i++) {
		if (strcmp(suffix, byte_units[i].name) == 0) {
			snprintf(buffer, size, "%.*s%s", (int)digits, text, suffix);
			return buffer;
		}
	}
	return NULL;
}

static const char *figure_format(uint64_t value, const struct unit *units, size_t n_units, char *buffer, size_t size)
{
	for (size_t i = 0; i < n_units; i++) {
		if (value >= units[i].factor && value % units[i].factor == 0) {
			snprintf(buffer, size, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
			return buffer;
		}
	}
	return NULL;
}

const char *bytes_format(uint64_t bytes, char *buffer, size_t size)
{
	if (!figure_format(bytes, byte_units, ARRAY_SIZE(byte_units), buffer, size))
		snprintf(buffer, size, "%" PRIu64 "B", bytes);
	return buffer;
}

const char *duration_format(uint64_t ns, char *buffer, size_t size)
{
	const uint64_t ns_per_ms = NSEC_PER_MSEC;

	if (ns == 0)
		snprintf(buffer, size, "0s");
	else if (!figure_format(ns, duration_units, ARRAY_SIZE(duration_units), buffer, size))
		snprintf(buffer, size, "%" PRIu64 ".%06" PRIu64 "ms", ns / ns_per_ms, ns % ns_per_ms);
	return buffer;
}

const char *percent_format(uint64_t percent, char *buffer, size_t size)
{
	if (percent % 100 == 0)
		snprintf(buffer, size, "%" PRIu64 "%%", percent / 100);
	else if (percent % 10 == 0)
		snprintf(buffer, size, "%" PRIu64 ".%" PRIu64 "%%", percent / 100, percent % 100 / 10);
	else
		snprintf(buffer, size, "%" PRIu64 ".%02" PRIu64 "%%", percent / 100, percent % 100);
	return buffer;
}

/* Longest word that word_nearest() looks at; longer ones are near nothing. */
#define WORD_MAX 48

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Edits (insert, delete, replace, swap of neighbours) that turn one word into the other. */
static size_t word_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b_length; j++)
		above[j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		size_t *spare = before;

		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		before = above;
		above = row;
		row = spare;
	}
	return above[b_length];
}

const char *word_nearest(const char *word, const char *const *words)
{
	size_t length = strnlen(word, WORD_MAX + 1), best = SIZE_MAX;
	const char *nearest = NULL;

	if (length > WORD_MAX)
		return NULL;
	for (; *words; words++) {
		size_t other = strnlen(*words, WORD_MAX + 1), distance;

		if (other > WORD_MAX)
			continue;
		distance = word_distance(word, length, *words, other);
		/* The beginning of a word is near it however long the rest is ("resident", "conf"). */
		if (length >= 3 && other > length && memcmp(word, *words, length) == 0)
			distance = 1;
		if (distance < best && distance <= 1 + length / 4 && distance < length) {
			best = distance;
			nearest = *words;
		}
	}
	return nearest;
}
