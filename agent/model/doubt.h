/* SPDX-License-Identifier: GPL-2.0-only */
/* What lost events leave open of a target: whether all births and ends were told, who of those that look alive has ended, and
 * whether /proc is to be read anew (a reseed). Who is listed then, and sampled, is the answer. Times are those of the facts
 * (ns). It must not know threads, pools or limits. */
#ifndef POOLSCOPE_MODEL_DOUBT_H
#define POOLSCOPE_MODEL_DOUBT_H

#include <stdbool.h>
#include <stdint.h>

struct doubt {
	bool wants_reseed;
	bool lives;              /* births or ends were lost, or somebody was listed anew: counts are not known, until a refresh */
	bool ends;               /* events were lost: an end may be among them */
	bool by_sample;          /* losses were told after the last sample, or a birth was: who is not in the next one has ended */
	uint32_t rounds;         /* refreshes with a sample since `ends` */
	uint64_t lives_lost_ns;  /* when it was told last that births or ends were lost; 0: none since lives were sure */
	uint64_t events_lost_ns; /* when it was told last that events were */
	uint64_t losses_told_ns; /* when what was lost was counted last, more or not */
	bool is_reseeded;        /* since the last refresh */
	bool was_reseeded;       /* ever */
	bool is_listed;          /* since the last reseed or loss: all who live were told by a seed, */
	bool is_sampled;         /* and by a sample */
	bool has_sample;         /* one of either, since the last refresh */
	uint64_t sample_ns;      /* when the sample began that the next refresh has; 0: there was none */
	uint64_t shown_sample_ns; /* that the last refresh had */
};

/* Births or ends were lost. */
void doubt_lives(struct doubt *doubt, uint64_t now_ns);
/* Events were lost, it is not known which: of memory, or an end. */
void doubt_events(struct doubt *doubt, uint64_t now_ns);
/* A reseed begins: all who live will be listed. */
void doubt_reseeded(struct doubt *doubt);
/* Somebody was listed by a seed; is_known: it was told of before. */
void doubt_listed(struct doubt *doubt, bool is_known);
/* Threads were sampled; the times of one sample may differ, the first counts. */
void doubt_sampled(struct doubt *doubt, uint64_t time_ns);

/* Whether this refresh decides who has ended unheard; asked once in each. *since_ns becomes the time since when such a thread
 * was not found; it stays if that is the caller's own measure, where no sample says more. */
bool doubt_ends_now(struct doubt *doubt, uint64_t *since_ns, uint64_t now_ns);
/* It has decided; is_open: but of some the next sample is to tell. */
void doubt_ended(struct doubt *doubt, bool is_open);

/* How threads are counted by a refresh. */
enum doubt_counts {
	COUNTS_SURE,    /* by events, as ever */
	COUNTS_ANEW,    /* so from now on: the doubt is over */
	COUNTS_FOUND,   /* at least those in the sample, who lived at once */
	COUNTS_UNKNOWN, /* a later refresh will tell */
};

/* After the ends; asked once in each refresh. */
enum doubt_counts doubt_counts(struct doubt *doubt);
/* A refresh has used what was told. */
void doubt_refreshed(struct doubt *doubt);

#endif
