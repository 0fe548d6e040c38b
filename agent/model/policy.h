/* SPDX-License-Identifier: GPL-2.0-only */
/* What the user asked for: limits and pool rules, as plain data. The config and the command line
 * fill it, the model judges by it. It must not know where it came from (file, line, option). */
#ifndef POOLSCOPE_MODEL_POLICY_H
#define POOLSCOPE_MODEL_POLICY_H

#include "../base.h"

enum limit_kind {
	LIMIT_THREADS,
	LIMIT_RESIDENT_BYTES,
	LIMIT_RESIDENT_BYTES_PER_THREAD,   /* the largest thread */
	LIMIT_THREADS_STARTED_PER_MINUTE,
	LIMIT_KIND_COUNT,
};

/* "threads", "resident_bytes", ... : one spelling in options, config, JSON and labels. */
const char *limit_kind_name(enum limit_kind kind);
/* 0, or -ENOENT. */
int limit_kind_parse(const char *name, enum limit_kind *ret_kind);

/* Where a limit came from; printed as `source`. */
enum limit_source { LIMIT_SOURCE_BUILTIN, LIMIT_SOURCE_CONFIG, LIMIT_SOURCE_OPTION };
const char *limit_source_name(enum limit_source source); /* "builtin", "config", "option" */

struct limit_rule {
	char pool[64]; /* fnmatch(3) glob on the pool's name; "" : the whole process */
	enum limit_kind kind;
	uint64_t value;   /* count or bytes; or percent x 100 of the natural bound when is_percent */
	bool is_percent;
	double warn_ratio;    /* 0.8 */
	uint64_t for_ns;      /* how long beyond the threshold before the state rises */
	uint64_t clear_for_ns; /* how long below before it falls; 60 s */
	enum limit_source source;
};

/* Puts threads into a pool. Empty patterns match anything; the others are ANDed. */
struct pool_rule {
	char pool[64];
	char kind[32]; /* what the pool is shown as; "": nothing is said of it */
	char thread_name[64], start_routine[128], module[64]; /* globs */
	char creator[64]; /* glob on the name of the thread that made it; not known of those that were there before */
};

/* Limits and rules of one target entry, complete: `defaults` are already merged in. For each
 * (pool, kind) the FIRST rule whose glob matches counts. */
struct policy_entry {
	char name[64]; /* the label `process`; "" : the target's comm */
	uint32_t max_pools; /* 32 by default; the rest is pool "other" */
	struct limit_rule *limits;
	size_t n_limits;
	struct pool_rule *rules;
	size_t n_rules;
};

struct policy {
	struct policy_entry *entries; /* entries[0] always exists: targets that no entry matches */
	size_t n_entries;
};

/* The built-in policy: process resident_bytes and threads at 90 %, nothing else. Caller frees. */
int policy_new_builtin(struct policy **ret_policy);
/* Put a rule in front of the others of one entry (options beat config beat defaults). */
int policy_entry_prepend_limit(struct policy_entry *entry, const struct limit_rule *rule);
void policy_free(struct policy *policy);
DEFINE_CLEANUP(struct policy *, policy_free)

#endif
