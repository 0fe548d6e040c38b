/* SPDX-License-Identifier: GPL-2.0-only */
/* Walks the snapshot family by family and writes samples in one of the two formats.
 * It must not know HTTP, files or clocks; what is exported stands in metrics_families.c. */
#include "metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "metrics_families.h"
#include "utf8.h"

#define PREFIX "poolscope_"
/* The longest raw label value: names of pools and groups (64), units and variants are shorter. */
#define LABEL_RAW_SIZE 128

struct label {
	const char *name, *value;
};

struct writer {
	FILE *out;
	enum metrics_format format;
	const struct metrics_family *family;
	bool has_head; /* of this family */
};

static void write_label_value(FILE *out, const char *value)
{
	char text[UTF8_TEXT_SIZE(LABEL_RAW_SIZE)];

	utf8_text(value, UTF8_KEEP_NEWLINE, text, sizeof(text));
	for (const char *at = text; *at; at++) {
		if (*at == '\n') {
			fputs("\\n", out);
			continue;
		}
		if (*at == '"' || *at == '\\')
			fputc('\\', out);
		fputc(*at, out);
	}
}

static const char *family_prefix(const struct metrics_family *family)
{
	return family->scope == SCOPE_SELF ? "" : PREFIX;
}

static void write_head(struct writer *writer)
{
	const struct metrics_family *family = writer->family;
	const char *prefix = family_prefix(family);
	/* OpenMetrics names a counter's family without _total, the text format with it. */
	const char *suffix = family->is_counter && writer->format == METRICS_TEXT ? "_total" : "";

	if (writer->has_head)
		return;
	writer->has_head = true;
	fprintf(writer->out, "# HELP %s%s%s %s\n", prefix, family->name, suffix, family->help);
	fprintf(writer->out, "# TYPE %s%s%s %s\n", prefix, family->name, suffix,
		family->is_counter ? "counter" : "gauge");
	if (family->unit && writer->format == METRICS_OPENMETRICS)
		fprintf(writer->out, "# UNIT %s%s %s\n", prefix, family->name, family->unit);
}

/* Labels end with one whose name is NULL; those without a value are left out. */
static void write_sample(struct writer *writer, const struct label *labels, const char *value)
{
	const struct metrics_family *family = writer->family;
	char separator = '{';

	write_head(writer);
	fprintf(writer->out, "%s%s%s", family_prefix(family), family->name, family->is_counter ? "_total" : "");
	for (; labels->name; labels++) {
		if (!labels->value)
			continue;
		fprintf(writer->out, "%c%s=\"", separator, labels->name);
		write_label_value(writer->out, labels->value);
		fputc('"', writer->out);
		separator = ',';
	}
	fprintf(writer->out, "%s %s\n", separator == ',' ? "}" : "", value);
}

/* False: the figure is not known. */
static bool format_number(enum metrics_number number, const void *at, char *value, size_t size)
{
	uint64_t u64 = number == NUMBER_U64 || number == NUMBER_NSEC ? *(const uint64_t *)at : 0;
	int64_t i64 = number == NUMBER_I64 ? *(const int64_t *)at : 0;
	double real = number == NUMBER_DOUBLE ? *(const double *)at : 0;

	if (u64 == UNKNOWN_U64 || i64 == UNKNOWN_I64 || !isfinite(real))
		return false;
	if (number == NUMBER_U64)
		snprintf(value, size, "%" PRIu64, u64);
	else if (number == NUMBER_NSEC)
		snprintf(value, size, "%llu.%03llu", u64 / NSEC_PER_SEC, u64 % NSEC_PER_SEC / NSEC_PER_MSEC);
	else if (number == NUMBER_I64)
		snprintf(value, size, "%" PRId64, i64);
	else if (number == NUMBER_DOUBLE)
		snprintf(value, size, "%.15g", real);
	else
		snprintf(value, size, "%d", *(const bool *)at);
	return true;
}

static void write_verdicts(struct writer *writer, enum verdict_state state, struct label labels[4])
{
	struct label *extra = &labels[2];

	extra->name = writer->family->label;
	for (enum verdict_state i = VERDICT_NONE + 1; state != VERDICT_NONE && i < VERDICT_COUNT; i++) {
		extra->value = verdict_state_name(i);
		write_sample(writer, labels, i == state ? "1" : "0");
	}
}

static void write_attached(struct writer *writer, const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->n_attached; i++) {
		const struct label labels[] = {{"group", snapshot->attached[i].group},
					       {"variant", snapshot->attached[i].variant},
					       {0}};

		write_sample(writer, labels, "1");
	}
}

/* All samples that the family has of one object. `limit` is the third label of a limit's object. */
static void write_object(struct writer *writer, const void *object, const char *process, const char *pool,
			 const char *limit)
{
	const struct metrics_family *family = writer->family;
	const struct metrics_dimension *dimension = family->dimension;
	const char *at = (const char *)object + family->offset;
	struct label labels[4] = {{"process", process}, {"pool", pool}, {"limit", limit}, {0}};
	char value[64];

	if (family->number == NUMBER_VERDICT)
		return write_verdicts(writer, *(const enum verdict_state *)at, labels);
	if (family->number == NUMBER_ATTACHED)
		return write_attached(writer, object);
	if (family->number == NUMBER_TEXT) {
		labels[2] = (struct label){family->label, *at ? at : "unknown"};
		return write_sample(writer, labels, "1");
	}
	for (size_t i = 0; i < (dimension ? dimension->count : 1); i++) {
		if (dimension)
			labels[2] = (struct label){dimension->label, dimension->name(i)};
		if (format_number(family->number, at + i * sizeof(uint64_t), value, sizeof(value)))
			write_sample(writer, labels, value);
	}
}

static void write_limits(struct writer *writer, const struct snapshot_group_limit *limits, size_t n_limits,
			 const char *process, const char *pool)
{
	for (size_t i = 0; i < n_limits; i++)
		write_object(writer, &limits[i], process, pool, limit_kind_name(limits[i].kind));
}

static void write_group(struct writer *writer, const struct snapshot_group *group)
{
	const enum metrics_scope scope = writer->family->scope;

	if (scope == SCOPE_GROUP)
		return write_object(writer, group, group->name, NULL, NULL);
	if (scope == SCOPE_GROUP_LIMIT)
		return write_limits(writer, group->limits, group->n_limits, group->name, NULL);
	for (size_t i = 0; i < group->n_pools; i++) {
		const struct snapshot_group_pool *pool = &group->pools[i];

		if (scope == SCOPE_POOL_LIMIT)
			write_limits(writer, pool->limits, pool->n_limits, group->name, pool->name);
		else if (scope == SCOPE_POOL || pool->verdict.state != VERDICT_NONE)
			write_object(writer, pool, group->name, pool->name, NULL);
	}
}

static void write_family(struct writer *writer, const struct snapshot *snapshot, const struct self_stat *self)
{
	const enum metrics_scope scope = writer->family->scope;

	if (scope == SCOPE_AGENT)
		return write_object(writer, snapshot, NULL, NULL, NULL);
	if (scope == SCOPE_SELF) {
		if (self)
			write_object(writer, self, NULL, NULL, NULL);
		return;
	}
	for (size_t i = 0; i < snapshot->n_groups; i++)
		write_group(writer, &snapshot->groups[i]);
}

static void write_all(FILE *out, const struct snapshot *snapshot, enum metrics_format format,
		      const struct metrics_options *options)
{
	for (size_t i = 0; i < n_metrics_families; i++) {
		struct writer writer = {out, format, &metrics_families[i], false};

		if ((!writer.family->is_opt_in || options->mapped) && (!writer.family->is_faults || options->faults))
			write_family(&writer, snapshot, options->self);
	}
	if (format == METRICS_OPENMETRICS)
		fputs("# EOF\n", out);
}

int metrics_render(const struct snapshot *snapshot, enum metrics_format format,
		   const struct metrics_options *options, char **ret_text, size_t *ret_size)
{
	_cleanup_(freep) char *text = NULL;
	size_t size = 0;
	/* The dashboard's locale may write 0,5: numbers here are those of the C locale. */
	locale_t plain = newlocale(LC_NUMERIC_MASK, "C", NULL);
	FILE *out = plain ? open_memstream(&text, &size) : NULL;

	if (!out) {
		if (plain)
			freelocale(plain);
		return -ENOMEM;
	}
	locale_t before = uselocale(plain);
	write_all(out, snapshot, format, options);
	uselocale(before);
	freelocale(plain);
	bool is_bad = ferror(out);
	if (fclose(out) || is_bad)
		return -ENOMEM;
	*ret_text = TAKE_PTR(text);
	*ret_size = size;
	return 0;
}
