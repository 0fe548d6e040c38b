/* SPDX-License-Identifier: GPL-2.0-only */
/* Parsers of stat, status, maps and counters: pure functions over hostile bytes. They must not open
 * anything; cgroup paths and runtimes are in procfs_names.c. */
#include "procfs_parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* strtoull() would take blanks and signs; a /proc figure has neither. */
static int number_read(const char **cursor, const char *end, unsigned int base, uint64_t *ret_value)
{
	const char *at = *cursor;
	uint64_t value = 0;

	for (; at < end; at++) {
		unsigned int digit = *at >= '0' && *at <= '9'   ? (unsigned int)(*at - '0')
				     : *at >= 'a' && *at <= 'f' ? (unsigned int)(*at - 'a') + 10
								: 99;

		if (digit >= base)
			break;
		if (__builtin_mul_overflow(value, base, &value) || __builtin_add_overflow(value, digit, &value))
			return -EINVAL;
	}
	if (at == *cursor)
		return -EINVAL;
	*cursor = at;
	*ret_value = value;
	return 0;
}

static void copy_bounded(char *buffer, size_t size, const char *text, size_t length)
{
	if (length >= size)
		length = size - 1;
	memcpy(buffer, text, length);
	buffer[length] = '\0';
}

/* Field numbers of proc_pid_stat(5); negative fields (tpgid, priority, nice) are skipped. */
enum { STAT_STATE = 3, STAT_PPID = 4, STAT_FLAGS = 9, STAT_MINFLT = 10, STAT_MAJFLT = 12, STAT_UTIME = 14, STAT_STIME = 15, STAT_START = 22 };

int proc_parse_stat(const char *text, size_t length, struct proc_stat *ret_stat)
{
	const char *open = memchr(text, '(', length);
	const char *close = memrchr(text, ')', length);
	const char *end = text + length, *cursor = text;
	struct proc_stat stat = {0};
	uint64_t fields[STAT_START + 1] = {0}, tid;

	if (!open || !close || close < open || number_read(&cursor, end, 10, &tid) < 0 || cursor + 1 != open)
		return -EINVAL;
	copy_bounded(stat.comm, sizeof(stat.comm), open + 1, (size_t)(close - open - 1));
	if (end - close < 3 || close[1] != ' ')
		return -EINVAL;
	stat.state = close[2];
	cursor = close + 3;
	for (int field = STAT_STATE + 1; field <= STAT_START; field++) {
		if (cursor >= end || *cursor++ != ' ')
			return -EINVAL;
		if (cursor < end && *cursor == '-')
			cursor++;
		if (number_read(&cursor, end, 10, &fields[field]) < 0)
			return -EINVAL;
	}
	stat.tid = (uint32_t)tid;
	stat.parent_pid = (uint32_t)fields[STAT_PPID];
	stat.flags = (uint32_t)fields[STAT_FLAGS];
	if (__builtin_add_overflow(fields[STAT_MINFLT], fields[STAT_MAJFLT], &stat.faults) ||
	    __builtin_add_overflow(fields[STAT_UTIME], fields[STAT_STIME], &stat.cpu_ns) ||
	    __builtin_mul_overflow(stat.cpu_ns, NSEC_PER_TICK, &stat.cpu_ns) ||
	    __builtin_mul_overflow(fields[STAT_START], NSEC_PER_TICK, &stat.start_ns))
		return -EINVAL;
	*ret_stat = stat;
	return 0;
}

/* The text after "KEY" at the beginning of a line, or NULL. */
static const char *line_find(const char *text, size_t length, const char *key)
{
	size_t n = strlen(key);
	const char *end = text + length;

	for (const char *line = text; line && (size_t)(end - line) >= n;) {
		if (memcmp(line, key, n) == 0)
			return line + n;
		line = memchr(line, '\n', (size_t)(end - line));
		if (line)
			line++;
	}
	return NULL;
}

static const char *skip_blanks(const char *cursor, const char *end)
{
	while (cursor < end && (*cursor == ' ' || *cursor == '\t'))
		cursor++;
	return cursor;
}

static uint64_t line_number(const char *text, size_t length, const char *key)
{
	const char *end = text + length, *cursor = line_find(text, length, key);
	uint64_t value;

	if (!cursor)
		return UNKNOWN_U64;
	cursor = skip_blanks(cursor, end);
	return number_read(&cursor, end, 10, &value) < 0 ? UNKNOWN_U64 : value;
}

uint64_t proc_find_kilobytes(const char *text, size_t length, const char *key)
{
	uint64_t value = line_number(text, length, key);

	return value > UINT64_MAX / 1024 ? UNKNOWN_U64 : value * 1024;
}

uint64_t proc_find_counter(const char *text, size_t length, const char *key)
{
	char with_blank[64];

	snprintf(with_blank, sizeof(with_blank), "%s ", key);
	return line_number(text, length, with_blank);
}

uint64_t proc_parse_number(const char *text, size_t length)
{
	const char *cursor = text, *end = text + length;
	uint64_t value;

	if (number_read(&cursor, end, 10, &value) < 0 || (cursor < end && *cursor != '\n'))
		return UNKNOWN_U64;
	return value;
}

/* NSpid lists the pid in each PID namespace, the innermost last. */
static uint32_t status_ns_pid(const char *text, size_t length)
{
	const char *end = text + length, *cursor = line_find(text, length, "NSpid:");
	uint64_t value = 0;

	if (!cursor)
		return 0;
	for (;;) {
		cursor = skip_blanks(cursor, end);
		if (number_read(&cursor, end, 10, &value) < 0)
			return (uint32_t)value;
	}
}

int proc_parse_status(const char *text, size_t length, struct proc_status *ret_status)
{
	uint64_t tgid = line_number(text, length, "Tgid:");
	const char *end = text + length, *state = line_find(text, length, "State:");

	if (tgid == 0 || tgid > UINT32_MAX || !state)
		return -EINVAL;
	state = skip_blanks(state, end);
	*ret_status = (struct proc_status){
		.tgid = (uint32_t)tgid,
		.ns_pid = status_ns_pid(text, length),
		.state = state < end ? *state : 0,
		.vm_size = proc_find_kilobytes(text, length, "VmSize:"),
		.rss_anon = proc_find_kilobytes(text, length, "RssAnon:"),
		.rss_file = proc_find_kilobytes(text, length, "RssFile:"),
		.rss_shmem = proc_find_kilobytes(text, length, "RssShmem:"),
		.swapped = proc_find_kilobytes(text, length, "VmSwap:"),
		.hugetlb = proc_find_kilobytes(text, length, "HugetlbPages:"),
	};
	return 0;
}

/* ---- lists of CPUs --------------------------------------------------------------------------------- */

/* "8" or "0-3". */
static int cpus_add(const char **cursor, const char *end, struct proc_cpus *cpus)
{
	uint64_t first, last;

	if (number_read(cursor, end, 10, &first) < 0)
		return -EINVAL;
	last = first;
	if (*cursor < end && **cursor == '-') {
		++*cursor;
		if (number_read(cursor, end, 10, &last) < 0)
			return -EINVAL;
	}
	if (last < first || last >= PROC_CPUS_MAX)
		return -EINVAL;
	for (uint64_t cpu = first; cpu <= last; cpu++)
		cpus->bits[cpu / 64] |= 1ULL << (cpu % 64);
	return 0;
}

int proc_parse_cpus(const char *text, size_t length, struct proc_cpus *ret_cpus)
{
	const char *newline = memchr(text, '\n', length), *end = newline ? newline : text + length;
	const char *cursor = skip_blanks(text, end);
	struct proc_cpus cpus = {0};

	while (cursor < end) {
		if (cpus_add(&cursor, end, &cpus) < 0)
			return -EINVAL;
		if (cursor < end && (*cursor++ != ',' || cursor == end))
			return -EINVAL;
	}
	*ret_cpus = cpus;
	return 0;
}

int proc_find_cpus(const char *text, size_t length, const char *key, struct proc_cpus *ret_cpus)
{
	const char *list = line_find(text, length, key);

	return list ? proc_parse_cpus(list, length - (size_t)(list - text), ret_cpus) : -EINVAL;
}

uint32_t proc_cpus_common(const struct proc_cpus *a, const struct proc_cpus *b)
{
	uint32_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(a->bits); i++)
		count += (uint32_t)__builtin_popcountll(a->bits[i] & b->bits[i]);
	return count;
}

/* "START-END rwxp OFFSET MAJOR:MINOR INODE   PATH" */
int proc_parse_mapping(const char *line, struct proc_mapping *ret_mapping)
{
	static const struct { char letter; uint32_t bit; } modes[] = {
		{'r', PROT_READ}, {'w', PROT_WRITE}, {'x', PROT_EXEC},
	};
	const char *cursor = line, *end = line + strlen(line);
	struct proc_mapping mapping = {0};
	uint64_t major, minor;

	if (number_read(&cursor, end, 16, &mapping.start) < 0 || *cursor++ != '-' ||
	    number_read(&cursor, end, 16, &mapping.end) < 0 || mapping.end <= mapping.start ||
	    end - cursor < 6 || *cursor++ != ' ')
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++, cursor++) {
		if (*cursor == modes[i].letter)
			mapping.protection |= modes[i].bit;
		else if (*cursor != '-')
			return -EINVAL;
	}
	if (*cursor != 'p' && *cursor != 's')
		return -EINVAL;
	mapping.shared = *cursor++ == 's';
	if (*cursor++ != ' ' || number_read(&cursor, end, 16, &mapping.offset) < 0 || *cursor++ != ' ' ||
	    number_read(&cursor, end, 16, &major) < 0 || *cursor++ != ':' ||
	    number_read(&cursor, end, 16, &minor) < 0 || *cursor++ != ' ' ||
	    number_read(&cursor, end, 10, &mapping.inode) < 0)
		return -EINVAL;
	mapping.dev_major = (uint32_t)major;
	mapping.dev_minor = (uint32_t)minor;
	mapping.path = skip_blanks(cursor, end);
	*ret_mapping = mapping;
	return 0;
}

/* Names that the kernel gives to mappings without a file: fs/proc/task_mmu.c, mm/mempolicy.c and
 * arch_vma_name(). The first that fits counts. */
static const struct {
	const char *prefix;
	uint32_t flags; /* 0: the kernel's own */
} mapping_names[] = {
	{"[heap]", RANGE_ANON | RANGE_HEAP},
	{"[stack]", RANGE_ANON | RANGE_STACK | RANGE_GROWSDOWN},
	{"[stack:", RANGE_ANON}, /* before Linux 4.5 */
	{"[anon:", RANGE_ANON},
	{"[anon_shmem:", RANGE_ANON},
	{"[vdso]", 0},
	{"[vvar", 0}, /* [vvar_vclock] since 6.13 */
	{"[vsyscall]", 0},
	{"[uprobes]", 0},
	{"[sigpage]", 0},
	{"/anon_hugepage", RANGE_ANON | RANGE_HUGETLB},
};

int proc_mapping_flags(const struct proc_mapping *mapping, uint32_t *ret_flags)
{
	uint32_t flags = mapping->path[0] ? RANGE_FILE : RANGE_ANON;

	for (size_t i = 0; i < ARRAY_SIZE(mapping_names); i++) {
		if (strncmp(mapping->path, mapping_names[i].prefix, strlen(mapping_names[i].prefix)) != 0)
			continue;
		if (!mapping_names[i].flags)
			return -ENOENT;
		flags = mapping_names[i].flags;
		break;
	}
	*ret_flags = flags | (mapping->shared ? RANGE_SHARED : 0);
	return 0;
}

void proc_unescape_path(const char *path, char *buffer, size_t size)
{
	static const char deleted[] = " (deleted)";
	size_t length = strlen(path), out = 0;

	if (length >= sizeof(deleted) - 1 && strcmp(path + length - sizeof(deleted) + 1, deleted) == 0)
		length -= sizeof(deleted) - 1;
	for (size_t i = 0; i < length && out + 1 < size; i++) {
		bool newline = length - i >= 4 && memcmp(path + i, "\\012", 4) == 0;

		buffer[out++] = newline ? '\n' : path[i];
		i += newline ? 3 : 0;
	}
	buffer[out] = '\0';
}
