/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files that make the JSON share: a builder and its scalars, and the objects that several others contain. Nobody
 * else includes it. */
#ifndef POOLSCOPE_VIEW_JSON_BUILD_H
#define POOLSCOPE_VIEW_JSON_BUILD_H

#include "../model/snapshot.h"
#include "utf8.h"

#include <jansson.h>
#include <math.h>
#include <time.h>

/* The longest string of a snapshot: a path or a sentence. */
#define TEXT_RAW_SIZE 256

/* The json_ constructors below return NULL only without memory; json_object_set_new() and
 * json_array_append_new() take NULL and fail, and the object that fails is given up whole. */
struct builder {
	json_t *object; /* NULL: memory has run out */
};

static inline struct builder builder_open(void)
{
	return (struct builder){json_object()};
}

static inline void add(struct builder *builder, const char *key, json_t *value)
{
	if (!builder->object) {
		json_decref(value);
		return;
	}
	if (json_object_set_new(builder->object, key, value)) {
		json_decref(builder->object);
		builder->object = NULL;
	}
}

static inline json_t *text(const char *raw)
{
	char clean[UTF8_TEXT_SIZE(TEXT_RAW_SIZE)];

	utf8_text(raw, UTF8_KEEP_CONTROLS, clean, sizeof(clean));
	return json_string(clean);
}

static inline json_t *text_or_null(const char *raw)
{
	return *raw ? text(raw) : json_null();
}

static inline json_t *count(uint64_t value)
{
	if (value == UNKNOWN_U64)
		return json_null();
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

/* PIDs: 0 is not known. */
static inline json_t *count_or_null(uint64_t value)
{
	return value ? count(value) : json_null();
}

static inline json_t *difference(int64_t value)
{
	return value == UNKNOWN_I64 ? json_null() : json_integer(value);
}

static inline json_t *real(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

/* CLOCK_REALTIME to RFC 3339, UTC, milliseconds; 0 is not known. */
static inline json_t *moment(uint64_t realtime_ns)
{
	time_t seconds = (time_t)(realtime_ns / NSEC_PER_SEC);
	char date[32], whole[48];
	struct tm utc;

	if (!realtime_ns || !gmtime_r(&seconds, &utc) || !strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc))
		return json_null();
	snprintf(whole, sizeof(whole), "%s.%03lluZ", date, realtime_ns % NSEC_PER_SEC / NSEC_PER_MSEC);
	return json_string(whole);
}

static inline json_t *build_region(uint64_t resident, uint64_t mapped)
{
	struct builder region = builder_open();

	add(&region, "resident_bytes", count(resident));
	add(&region, "mapped_bytes", count(mapped));
	return region.object;
}

static inline json_t *build_bytes(const struct snapshot_bytes *bytes)
{
	struct builder memory = builder_open();

	add(&memory, "resident_bytes", count(bytes->resident_bytes));
	add(&memory, "mapped_bytes", count(bytes->mapped_bytes));
	add(&memory, "orphaned_bytes", count(bytes->orphaned_bytes));
	add(&memory, "held_bytes", count(bytes->held_bytes));
	add(&memory, "held_unattributed_bytes", count(bytes->held_unattributed_bytes));
	add(&memory, "grown_bytes", difference(bytes->grown_bytes));
	add(&memory, "net_grown_bytes", difference(bytes->net_grown_bytes));
	add(&memory, "kept_bytes", count(bytes->kept_bytes));
	add(&memory, "shared", json_boolean(bytes->shared));
	for (enum region region = 0; region < REGION_COUNT; region++)
		add(&memory, region_name(region), build_region(bytes->resident[region], bytes->mapped[region]));
	return memory.object;
}

static inline json_t *build_limit(const struct snapshot_limit *limit)
{
	struct builder object = builder_open();

	add(&object, "limit", json_string(limit_kind_name(limit->kind)));
	add(&object, "value", count(limit->value));
	add(&object, "max", count(limit->max));
	add(&object, "state",
	    snapshot_limit_is_judged(limit) ? json_string(limit_state_name(limit->state)) : json_null());
	add(&object, "since", moment(limit->since_realtime_ns));
	add(&object, "source", json_string(limit_source_name(limit->source)));
	add(&object, "violations", count(limit->violations));
	add(&object, "over_in_seconds", limit->over_in_ns ? real((double)limit->over_in_ns / NSEC_PER_SEC) : json_null());
	return object.object;
}

static inline json_t *build_limits(const struct snapshot_limit *limits, size_t n_limits)
{
	_cleanup_(json_decrefp) json_t *array = json_array();

	for (size_t i = 0; i < n_limits; i++) {
		if (json_array_append_new(array, build_limit(&limits[i])))
			return NULL;
	}
	return TAKE_PTR(array);
}

static inline json_t *build_verdict(const struct snapshot_verdict *verdict)
{
	if (verdict->state == VERDICT_NONE)
		return json_null();
	struct builder object = builder_open();

	add(&object, "state", json_string(verdict_state_name(verdict->state)));
	add(&object, "confidence", real(verdict->confidence));
	add(&object, "projected_resident_bytes", count(verdict->projected_resident_bytes));
	add(&object, "why", text(verdict->why));
	return object.object;
}

/* json_pools.c: an array of the target's pools; NULL: memory has run out. */
json_t *json_pools(const struct snapshot_target *target);

#endif
