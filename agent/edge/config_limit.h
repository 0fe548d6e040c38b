/* SPDX-License-Identifier: GPL-2.0-only */
/* One limit as people write it, the same in the config and on the command line. It must not know YAML
 * or getopt. */
#ifndef POOLSCOPE_EDGE_CONFIG_LIMIT_H
#define POOLSCOPE_EDGE_CONFIG_LIMIT_H

#include "../model/policy.h"

/* What a rule leaves open: taken from the entry, then the defaults, then built in. */
struct limit_timing {
	uint64_t warn_percent; /* x 100 */
	uint64_t for_ns, clear_for_ns; /* UNKNOWN_U64: not set */
};
#define LIMIT_TIMING_UNSET ((struct limit_timing){ UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64 })
extern const struct limit_timing limit_timing_builtin; /* 80 %, 0 s, 60 s */

/* Fills what is not set in `timing` from `below`. */
void limit_timing_inherit(struct limit_timing *timing, const struct limit_timing *below);
void limit_rule_set_timing(struct limit_rule *rule, const struct limit_timing *timing);

/* Words for messages: what is taken for this figure. */
const char *limit_value_expects(enum limit_kind kind);
#define WARN_EXPECTS "a percentage of the limit above 0% and up to 100%, such as 80%"
#define DURATION_EXPECTS "a duration such as 500ms, 30s, 5m, 2h"

/* Sets value and is_percent. 0, or -EINVAL with a phrase in `why` ("'6G' is no ...; did you mean"). */
int limit_value_parse(enum limit_kind kind, const char *text, struct limit_rule *rule, char *why, size_t why_size);
int warn_parse(const char *text, uint64_t *ret_percent, char *why, size_t why_size);
int limit_duration_parse(const char *text, uint64_t *ret_ns, char *why, size_t why_size);

/* 'POOL:LIMIT=VALUE[,warn=P][,for=D][,clear_for=D]'; without 'POOL:' (or with nothing before the
 * colon) the whole process. Split at the last ':'. */
int limit_spec_parse(const char *spec, struct limit_rule *ret_rule, char *why, size_t why_size);

/* The first rule that matches counts: behind `earlier` this one would never be asked. */
bool limit_is_covered(const struct limit_rule *rule, const struct limit_rule *earlier);

/* "threads at most 40, warn at 80%, after 2m, clear after 1m (config)". Returns buffer. */
const char *limit_rule_words(const struct limit_rule *rule, char *buffer, size_t size);

#endif
