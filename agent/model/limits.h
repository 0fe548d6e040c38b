/* SPDX-License-Identifier: GPL-2.0-only */
/* Limits: which rule counts for a pool, what its maximum is now, and the state it is in. It must not know
 * where the values come from. */
#ifndef POOLSCOPE_MODEL_LIMITS_H
#define POOLSCOPE_MODEL_LIMITS_H

#include "policy.h"
#include "snapshot.h"

/* A condition that turns a state on after it has held, and off after it has been gone, for a while. */
struct latch {
	bool on, contrary;      /* contrary: the condition differs from the state, since: */
	bool is_beyond;         /* as the count of now was seen last */
	uint64_t contrary_since_ns;
	uint64_t fell_ns;     /* when it was on last; 0: never */
	uint64_t foreseen_ns; /* turned on then, before what was there up to then was judged: that counts as of then */
};

struct limit_track { /* one limit of one pool; rule NULL: the user asked for none */
	const struct limit_rule *rule;
	struct latch warn, over;
	uint64_t value, max; /* as judged last; UNKNOWN_U64: could not be judged */
	uint64_t since_ns;   /* when the present state began */
	uint64_t violations;
	uint64_t clear_for_ns; /* of the rule, or longer: see CERTAIN_NS */
	uint64_t hidden_ns;    /* of the last rise that could not be foreseen */
};

/* What a percentage refers to; UNKNOWN_U64: nothing known. */
struct limit_bounds {
	uint64_t threads, bytes;
};

/* For each kind the first rule whose glob matches the pool ("": the process); states start anew. */
void limit_tracks_bind(struct limit_track tracks[LIMIT_KIND_COUNT], const struct policy_entry *entry,
		       const char *pool, uint64_t time_ns);
uint64_t limit_rule_max(const struct limit_rule *rule, const struct limit_bounds *bounds);
enum limit_state limit_track_state(const struct limit_track *track);
/* Judges a value; true when the state changed, *ret_before is what it was. Where the value or the maximum is unknown, it is
 * beyond nothing: a state that was reached falls after its clear_for. */
bool limit_track_judge(struct limit_track *track, uint64_t value, const struct limit_bounds *bounds,
		       uint64_t now_ns, enum limit_state *ret_before);
/* Turns on, and never off, what a value turns on at once, unless it was on after a time: for what is judged before, or beside,
 * what is judged in order. */
bool limit_track_foresee(struct limit_track *track, uint64_t value, const struct limit_bounds *bounds, uint64_t after_ns,
			 uint64_t now_ns, enum limit_state *ret_before);
/* It turns on nothing now: what has risen is to be told in order. */
bool limit_track_hide(struct limit_track *track, uint64_t value, const struct limit_bounds *bounds, uint64_t after_ns,
		      uint64_t now_ns, enum limit_state *ret_before);
/* The same for a value that is found to have been at some time since the first one: unless it was on since then. */
bool limit_track_recall(struct limit_track *track, uint64_t value, const struct limit_bounds *bounds, uint64_t since_ns,
			uint64_t now_ns, enum limit_state *ret_before);
/* Beyond its maximum, but not for long enough yet: when it will be over. UINT64_MAX: it is not. */
uint64_t limit_track_over_at(const struct limit_track *track);
/* Delays that run begin anew: what was between is not known. */
void limit_track_restart(struct limit_track *track);
/* Turns it off at once. */
void latch_fall(struct latch *latch, uint64_t now_ns);
/* When the state may change although nothing happens; UINT64_MAX: never. */
uint64_t limit_track_deadline(const struct limit_track *track);

#endif
