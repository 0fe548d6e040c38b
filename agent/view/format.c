/* SPDX-License-Identifier: GPL-2.0-only */
/* Figures as short text of a fixed greatest width, as htop has them: bytes, counts, shares, times.
 * It must not know where they stand or what they measure. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "format.h"

static char *not_known(char buffer[FORMAT_SIZE])
{
	snprintf(buffer, FORMAT_SIZE, "n/a");
	return buffer;
}

/* Three digits and a unit. The borders are those of the rounded figure, so that 999.7 K is 0.98M. */
static void scale(char buffer[FORMAT_SIZE], const char *sign, double value, double step, const char *units)
{
	while (value >= 999.5 && units[1]) {
		value /= step;
		units++;
	}
	snprintf(buffer, FORMAT_SIZE, "%s%.*f%c", sign, value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, *units);
}

static char *bytes_with_sign(char buffer[FORMAT_SIZE], const char *sign, uint64_t bytes)
{
	if (bytes < 1000)
		snprintf(buffer, FORMAT_SIZE, bytes ? "%s%uB" : "0", sign, (unsigned int)bytes);
	else
		scale(buffer, sign, (double)bytes / 1024, 1024, "KMGTPE");
	if (!bytes)
		snprintf(buffer, FORMAT_SIZE, "0");
	return buffer;
}

char *format_bytes(char buffer[FORMAT_SIZE], uint64_t bytes)
{
	return bytes == UNKNOWN_U64 ? not_known(buffer) : bytes_with_sign(buffer, "", bytes);
}

char *format_growth(char buffer[FORMAT_SIZE], int64_t bytes)
{
	if (bytes == UNKNOWN_I64)
		return not_known(buffer);
	return bytes < 0 ? bytes_with_sign(buffer, "-", -(uint64_t)bytes)
			 : bytes_with_sign(buffer, "+", (uint64_t)bytes);
}

char *format_count(char buffer[FORMAT_SIZE], uint64_t count)
{
	if (count == UNKNOWN_U64)
		return not_known(buffer);
	if (count < 100000)
		snprintf(buffer, FORMAT_SIZE, "%u", (unsigned int)count);
	else
		scale(buffer, "", (double)count / 1000, 1000, "kMGTPE");
	return buffer;
}

char *format_counted(char buffer[FORMAT_SIZE], uint64_t count, const char *noun)
{
	snprintf(buffer, FORMAT_SIZE, "%s %s%s", format_count(FORMAT_BUFFER, count), noun, count == 1 ? "" : "s");
	return buffer;
}

char *format_percent(char buffer[FORMAT_SIZE], double percent)
{
	if (!isfinite(percent))
		return not_known(buffer);
	snprintf(buffer, FORMAT_SIZE, "%.*f", percent < 999.95 ? 1 : 0, percent);
	return buffer;
}

char *format_age(char buffer[FORMAT_SIZE], uint64_t nanoseconds)
{
	static const struct {
		uint64_t seconds;
		unsigned int most;
		char unit;
	} steps[] = { { 1, 100, 's' }, { 60, 120, 'm' }, { 3600, 48, 'h' }, { 86400, 1000, 'd' }, { 31557600, 0, 'y' } };
	uint64_t seconds = nanoseconds / NSEC_PER_SEC, count;
	size_t i = 0;

	if (nanoseconds == UNKNOWN_U64)
		return not_known(buffer);
	while (steps[i].most && seconds / steps[i].seconds >= steps[i].most)
		i++;
	count = seconds / steps[i].seconds;
	/* "1m40" after "99s": four characters have room for it. */
	if ((steps[i].unit == 'm' || steps[i].unit == 'h') && count < 10)
		snprintf(buffer, FORMAT_SIZE, "%llu%c%02llu", (unsigned long long)count, steps[i].unit,
			 (unsigned long long)(seconds % steps[i].seconds / steps[i - 1].seconds));
	else
		snprintf(buffer, FORMAT_SIZE, "%llu%c", (unsigned long long)count, steps[i].unit);
	return buffer;
}

char *format_duration(char buffer[FORMAT_SIZE], double seconds)
{
	if (!isfinite(seconds) || seconds < 0)
		return not_known(buffer);
	if (seconds < 9.95)
		snprintf(buffer, FORMAT_SIZE, "%.*f s", seconds == (int)seconds ? 0 : 1, seconds);
	else if (seconds < 99.5)
		snprintf(buffer, FORMAT_SIZE, "%.0f s", seconds);
	else if (seconds < 5400)
		snprintf(buffer, FORMAT_SIZE, "%.0f min", seconds / 60);
	else if (seconds < 48 * 3600)
		snprintf(buffer, FORMAT_SIZE, "%d h %d min", (int)(seconds / 3600), (int)fmod(seconds / 60, 60));
	else if (seconds < 1000 * 86400.0)
		snprintf(buffer, FORMAT_SIZE, "%d d %d h", (int)(seconds / 86400), (int)fmod(seconds / 3600, 24));
	else
		snprintf(buffer, FORMAT_SIZE, "years");
	return buffer;
}

char *format_clock(char buffer[FORMAT_SIZE], uint64_t realtime_ns, uint64_t now_realtime_ns)
{
	time_t seconds = (time_t)(realtime_ns / NSEC_PER_SEC);
	bool today = realtime_ns > now_realtime_ns || now_realtime_ns - realtime_ns < 20 * 3600 * NSEC_PER_SEC;
	struct tm tm;

	if (!realtime_ns || !localtime_r(&seconds, &tm))
		return not_known(buffer);
	strftime(buffer, FORMAT_SIZE, today ? "%H:%M:%S" : "%m-%d %H:%M:%S", &tm);
	return buffer;
}
