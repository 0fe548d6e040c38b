/* SPDX-License-Identifier: GPL-2.0-only */
/* The agent's own CPU time, memory and descriptors, from /proc/self.
 * It must not know how they are shown. */
#include "selfstat.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double clock_seconds(clockid_t clock)
{
	struct timespec now;

	return clock_gettime(clock, &now) ? NAN : (double)now.tv_sec + (double)now.tv_nsec / NSEC_PER_SEC;
}

/* The whole of a small file of /proc, NUL-terminated; false: it cannot be read. */
static bool read_text(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "re");

	if (!file)
		return false;
	size_t n = fread(text, 1, size - 1, file);

	fclose(file);
	text[n] = '\0';
	return n > 0;
}

static uint64_t read_resident(void)
{
	char text[256];
	uint64_t pages;

	if (!read_text("/proc/self/statm", text, sizeof(text)) || sscanf(text, "%*s %" SCNu64, &pages) != 1)
		return UNKNOWN_U64;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (!directory)
		return UNKNOWN_U64;
	for (struct dirent *entry; (entry = readdir(directory));)
		n += entry->d_name[0] != '.';
	closedir(directory);
	return n - 1; /* not the directory's own */
}

/* Field 22 of /proc/self/stat counts ticks of boottime; the name before may hold anything, so fields
 * count from its last parenthesis. */
static double read_start(void)
{
	char text[1024];
	unsigned long long ticks;

	if (!read_text("/proc/self/stat", text, sizeof(text)))
		return NAN;
	const char *rest = strrchr(text, ')');

	if (!rest ||
	    sscanf(rest + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
		   &ticks) != 1)
		return NAN;
	double age = clock_seconds(CLOCK_BOOTTIME) - (double)(ticks * NSEC_PER_TICK) / NSEC_PER_SEC;

	return clock_seconds(CLOCK_REALTIME) - age;
}

void selfstat_read(struct self_stat *ret_stat)
{
	*ret_stat = (struct self_stat){
		.cpu_seconds = clock_seconds(CLOCK_PROCESS_CPUTIME_ID),
		.start_time_seconds = read_start(),
		.resident_bytes = read_resident(),
		.open_fds = count_fds(),
	};
}
