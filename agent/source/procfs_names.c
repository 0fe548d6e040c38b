/* SPDX-License-Identifier: GPL-2.0-only */
/* What paths say: the cgroup of a process, the systemd unit and container in it, the runtime behind a
 * mapped file. Pure functions over hostile bytes; they must not open anything. */
#include "procfs_parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool list_has(const char *list, size_t length, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = list, *end = list + length; at <= end;) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *stop = comma ? comma : end;

		if ((size_t)(stop - at) == n && memcmp(at, word, n) == 0)
			return true;
		at = stop + 1;
	}
	return false;
}

int proc_find_cgroup(const char *text, size_t length, const char *controller, char *buffer, size_t size)
{
	const char *end = text + length;

	for (const char *line = text; line < end;) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		const char *first, *second;
		size_t n;

		stop = stop ? stop : end;
		first = memchr(line, ':', (size_t)(stop - line));
		second = first ? memchr(first + 1, ':', (size_t)(stop - first - 1)) : NULL;
		/* Version 2's line is "0::PATH": an empty list, which holds the word "". */
		if (second && list_has(first + 1, (size_t)(second - first - 1), controller) &&
		    (controller[0] || *line == '0')) {
			n = (size_t)(stop - second - 1);
			if (n >= size)
				return -ENOENT;
			memcpy(buffer, second + 1, n);
			buffer[n] = '\0';
			return 0;
		}
		line = stop + 1;
	}
	return -ENOENT;
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool ends_with(const char *text, size_t length, const char *suffix)
{
	size_t n = strlen(suffix);

	return length > n && memcmp(text + length - n, suffix, n) == 0;
}

/* systemd escapes in unit names: \xHH (systemd.unit(5)); a cgroup's name may begin with "_". */
static void unit_unescape(const char *text, size_t length, char *buffer, size_t size)
{
	size_t out = 0;

	for (size_t i = 0; i < length && out + 1 < size; i++) {
		bool escape = length - i >= 4 && text[i] == '\\' && text[i + 1] == 'x' &&
			      hex_value(text[i + 2]) >= 0 && hex_value(text[i + 3]) >= 0;

		buffer[out++] = escape ? (char)(hex_value(text[i + 2]) * 16 + hex_value(text[i + 3])) : text[i];
		i += escape ? 3 : 0;
	}
	buffer[out] = '\0';
}

void proc_cgroup_unit(const char *path, char *buffer, size_t size)
{
	const char *found = NULL;
	size_t found_length = 0;

	for (const char *at = path; *at;) {
		size_t n = strcspn(at, "/");

		if (ends_with(at, n, ".service") || ends_with(at, n, ".scope")) {
			found = at;
			found_length = n;
		}
		at += n + (at[n] == '/');
	}
	buffer[0] = '\0';
	if (found)
		unit_unescape(found, found_length, buffer, size);
}

#define CONTAINER_ID_DIGITS 64 /* OCI runtimes use a SHA-256 in hex */

void proc_cgroup_container(const char *path, char *buffer, size_t size)
{
	size_t run = 0, length = strlen(path);
	const char *found = NULL;

	/* The last such run counts: nested containers; longer runs are something else. */
	for (size_t i = 0; i <= length; i++) {
		if (i < length && hex_value(path[i]) >= 0) {
			run++;
			continue;
		}
		if (run == CONTAINER_ID_DIGITS)
			found = path + i - run;
		run = 0;
	}
	buffer[0] = '\0';
	if (found && size > CONTAINER_ID_DIGITS)
		snprintf(buffer, size, "%.*s", CONTAINER_ID_DIGITS, found);
}

/* How a runtime's version follows the prefix of a file's name. */
enum version_rule { VERSION_NONE, VERSION_DOTTED };

static const struct {
	const char *prefix, *runtime;
	enum version_rule version;
	bool exact; /* nothing but the prefix */
	int rank;   /* an embedded interpreter tells more than the libc */
} runtimes[] = {
	{"libjvm.so", "hotspot", VERSION_NONE, true, 5},
	{"libpython3.", "cpython 3.", VERSION_DOTTED, false, 4},
	{"python3.", "cpython 3.", VERSION_DOTTED, false, 4},
	{"node", "node", VERSION_NONE, true, 4},
	{"nodejs", "node", VERSION_NONE, true, 4},
	{"ld-musl-", "musl", VERSION_NONE, false, RANK_LIBC},
	{"libc-2.", "glibc 2.", VERSION_DOTTED, false, RANK_LIBC},
	{"libc.so.6", "glibc", VERSION_NONE, true, RANK_LIBC},
};

void proc_path_runtime(const char *path, char *buffer, size_t size, int *ret_rank)
{
	const char *base = strrchr(path, '/');

	buffer[0] = '\0';
	*ret_rank = 0;
	if (!base)
		return;
	base++;
	for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++) {
		size_t n = strlen(runtimes[i].prefix);

		if (strncmp(base, runtimes[i].prefix, n) != 0 || (runtimes[i].exact && base[n]))
			continue;
		/* "python3.11-config" is a script; "libpython3.so" has no digits and says nothing. */
		n = runtimes[i].version == VERSION_DOTTED ? strspn(base + n, "0123456789") : 0;
		if (runtimes[i].version == VERSION_DOTTED && !n)
			continue;
		snprintf(buffer, size, "%s%.*s", runtimes[i].runtime, (int)n, base + strlen(runtimes[i].prefix));
		*ret_rank = runtimes[i].rank;
		return;
	}
}
