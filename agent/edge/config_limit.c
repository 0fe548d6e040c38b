/* SPDX-License-Identifier: GPL-2.0-only */
/* One limit as people write it, the same in the config and on the command line. It must not know YAML
 * or getopt. */
#include "config_limit.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "units.h"

const struct limit_timing limit_timing_builtin = { 8000, 0, 60 * NSEC_PER_SEC };

/* How the figure of a limit is written, and what a percentage of it refers to. */
static const struct {
	bool is_bytes;
	bool has_natural_bound;
	const char *expects, *bound;
} values[] = {
	[LIMIT_THREADS] = { false, true, "a count such as 40, or a percentage such as 90% (of the pool's capacity or of pids.max)",
			    "the natural bound" },
	[LIMIT_RESIDENT_BYTES] = { true, true, "bytes such as 80MiB or 6GiB, or a percentage such as 90% (of memory.max)",
				   "memory.max" },
	[LIMIT_RESIDENT_BYTES_PER_THREAD] = { true, true,
					      "bytes such as 80MiB or 6GiB, or a percentage such as 5% (of memory.max)",
					      "memory.max" },
	[LIMIT_THREADS_STARTED_PER_MINUTE] = { false, false, "a count such as 600", NULL },
};
_Static_assert(ARRAY_SIZE(values) == LIMIT_KIND_COUNT, "a limit kind without a spelling of its figure");

const char *limit_value_expects(enum limit_kind kind)
{
	return values[kind].expects;
}

static void inherit(uint64_t *value, uint64_t below)
{
	if (*value == UNKNOWN_U64)
		*value = below;
}

void limit_timing_inherit(struct limit_timing *timing, const struct limit_timing *below)
{
	inherit(&timing->warn_percent, below->warn_percent);
	inherit(&timing->for_ns, below->for_ns);
	inherit(&timing->clear_for_ns, below->clear_for_ns);
}

void limit_rule_set_timing(struct limit_rule *rule, const struct limit_timing *timing)
{
	rule->warn_ratio = (double)timing->warn_percent / 10000;
	rule->for_ns = timing->for_ns;
	rule->clear_for_ns = timing->clear_for_ns;
}

int limit_value_parse(enum limit_kind kind, const char *text, struct limit_rule *rule, char *why, size_t why_size)
{
	char buffer[64];
	const char *hint;
	uint64_t value;
	int r;

	if (strchr(text, '%')) {
		r = percent_parse(text, &value);
		if (r == 0 && !values[kind].has_natural_bound) {
			snprintf(why, why_size, "%s has no natural bound to be a percentage of; write %s",
				 limit_kind_name(kind), values[kind].expects);
			return -EINVAL;
		}
		if (r == 0 && value == 0)
			r = -EINVAL;
		if (r == -ERANGE) {
			snprintf(why, why_size, "'%.40s' is more than 100%% of %s", text,
				 values[kind].bound ? values[kind].bound : "anything");
			return -EINVAL;
		}
	} else {
		r = values[kind].is_bytes ? bytes_parse(text, &value) : count_parse(text, &value);
	}
	if (r == 0) {
		rule->value = value;
		rule->is_percent = strchr(text, '%') != NULL;
		return 0;
	}
	hint = values[kind].is_bytes ? bytes_hint(text, buffer, sizeof(buffer)) : NULL;
	snprintf(why, why_size, "%s '%.40s' %s; write %s%s%s%s", limit_kind_name(kind), text,
		 r == -ERANGE ? "is too large" : "is not understood", values[kind].expects,
		 hint ? " (did you mean '" : "", hint ? hint : "", hint ? "'?)" : "");
	return -EINVAL;
}

int warn_parse(const char *text, uint64_t *ret_percent, char *why, size_t why_size)
{
	uint64_t percent;

	if (percent_parse(text, &percent) < 0 || percent == 0) {
		snprintf(why, why_size, "warn '%.40s' is not understood; write %s", text, WARN_EXPECTS);
		return -EINVAL;
	}
	*ret_percent = percent;
	return 0;
}

int limit_duration_parse(const char *text, uint64_t *ret_ns, char *why, size_t why_size)
{
	bool bare = *text && strspn(text, "0123456789.") == strlen(text);

	if (duration_parse(text, ret_ns) == 0)
		return 0;
	if (bare)
		snprintf(why, why_size, "'%.40s' has no unit; write %s (did you mean '%.40ss'?)", text, DURATION_EXPECTS, text);
	else
		snprintf(why, why_size, "'%.40s' is not understood; write %s", text, DURATION_EXPECTS);
	return -EINVAL;
}

static int spec_name(const char *name, enum limit_kind *ret_kind, char *why, size_t why_size)
{
	const char *names[LIMIT_KIND_COUNT + 1] = { NULL }, *nearest;

	if (limit_kind_parse(name, ret_kind) == 0)
		return 0;
	for (int i = 0; i < LIMIT_KIND_COUNT; i++)
		names[i] = limit_kind_name((enum limit_kind)i);
	nearest = word_nearest(name, names);
	if (nearest)
		snprintf(why, why_size, "'%.40s' is no limit; did you mean '%s'?", name, nearest);
	else
		snprintf(why, why_size, "'%.40s' is no limit; there are %s, %s, %s and %s", name, names[0], names[1],
			 names[2], names[3]);
	return -EINVAL;
}

/* One `key=value` after the first. */
static int spec_setting(const char *setting, struct limit_timing *timing, char *why, size_t why_size)
{
	const struct {
		const char *name;
		uint64_t *place;
		int (*parse)(const char *text, uint64_t *ret_value, char *why, size_t why_size);
	} settings[] = {
		{ "warn", &timing->warn_percent, warn_parse },
		{ "for", &timing->for_ns, limit_duration_parse },
		{ "clear_for", &timing->clear_for_ns, limit_duration_parse },
	};
	const char *equals = strchr(setting, '=');
	size_t length = equals ? (size_t)(equals - setting) : 0;

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		if (length != strlen(settings[i].name) || memcmp(setting, settings[i].name, length) != 0)
			continue;
		if (*settings[i].place == UNKNOWN_U64)
			return settings[i].parse(equals + 1, settings[i].place, why, why_size);
		snprintf(why, why_size, "%s stands twice", settings[i].name);
		return -EINVAL;
	}
	snprintf(why, why_size, "'%.40s' after the limit is not understood; there are warn=80%%, for=2m and clear_for=1m",
		 setting);
	return -EINVAL;
}

/* What is special in the later glob can only stand where a star is in the earlier one, which takes whatever comes there. */
bool limit_is_covered(const struct limit_rule *rule, const struct limit_rule *earlier)
{
	if (rule->kind != earlier->kind || !*rule->pool != !*earlier->pool)
		return false;
	return !strcmp(rule->pool, earlier->pool) ||
	       (!strpbrk(earlier->pool, "?[\\") && fnmatch(earlier->pool, rule->pool, 0) == 0);
}

/* A pool's name as the screen shows it: \xNN is that byte, and not special to the glob. */
static void glob_unescape(char *glob)
{
	char *out = glob;

	while (*glob) {
		unsigned int byte;

		if (glob[0] == '\\' && glob[1] == 'x' && isxdigit((unsigned char)glob[2]) &&
		    isxdigit((unsigned char)glob[3]) && sscanf(glob + 2, "%2x", &byte) == 1 && byte) {
			*out++ = '\\';
			*out++ = (char)byte;
			glob += 4;
		} else {
			*out++ = *glob++;
		}
	}
	*out = '\0';
}

int limit_spec_parse(const char *spec, struct limit_rule *ret_rule, char *why, size_t why_size)
{
	const char *colon = strrchr(spec, ':'), *rest = colon ? colon + 1 : spec;
	size_t pool_length = colon ? (size_t)(colon - spec) : 0;
	struct limit_rule rule = { .source = LIMIT_SOURCE_OPTION };
	struct limit_timing timing = LIMIT_TIMING_UNSET;
	_cleanup_(freep) char *settings = NULL;
	char *equals, *setting, *next = NULL;
	int r;

	if (colon == spec) {
		snprintf(why, why_size, "the pool's name is empty");
		return -EINVAL;
	}
	if (pool_length >= sizeof(rule.pool)) {
		snprintf(why, why_size, "the pool's name is longer than %zu bytes", sizeof(rule.pool) - 1);
		return -EINVAL;
	}
	memcpy(rule.pool, spec, pool_length);
	glob_unescape(rule.pool);
	settings = strdup(rest);
	if (!settings)
		return -ENOMEM;
	setting = strtok_r(settings, ",", &next);
	equals = setting ? strchr(setting, '=') : NULL;
	if (!equals) {
		snprintf(why, why_size, "'%.60s' is no limit; write 'POOL:threads=40' or, for the whole process, 'threads=40'",
			 spec);
		return -EINVAL;
	}
	*equals = '\0';
	r = spec_name(setting, &rule.kind, why, why_size);
	if (r == 0)
		r = limit_value_parse(rule.kind, equals + 1, &rule, why, why_size);
	while (r == 0 && (setting = strtok_r(NULL, ",", &next)))
		r = spec_setting(setting, &timing, why, why_size);
	if (r < 0)
		return r;
	limit_timing_inherit(&timing, &limit_timing_builtin);
	limit_rule_set_timing(&rule, &timing);
	*ret_rule = rule;
	return 0;
}

const char *limit_rule_words(const struct limit_rule *rule, char *buffer, size_t size)
{
	char value[40], warn[16], for_text[32], clear[32];

	if (rule->is_percent)
		percent_format(rule->value, value, sizeof(value));
	else if (values[rule->kind].is_bytes)
		bytes_format(rule->value, value, sizeof(value));
	else
		snprintf(value, sizeof(value), "%" PRIu64, rule->value);
	snprintf(buffer, size, "%s at most %s%s%s, warn at %s, after %s, clear after %s (%s)", limit_kind_name(rule->kind),
		 value, rule->is_percent ? " of " : "",
		 !rule->is_percent		     ? ""
		 : rule->kind != LIMIT_THREADS ? "memory.max"
		 : rule->pool[0]	     ? "the pool's capacity"
					     : "pids.max",
		 percent_format((uint64_t)(rule->warn_ratio * 10000 + 0.5), warn, sizeof(warn)),
		 duration_format(rule->for_ns, for_text, sizeof(for_text)),
		 duration_format(rule->clear_for_ns, clear, sizeof(clear)), limit_source_name(rule->source));
	return buffer;
}
