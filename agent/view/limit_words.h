/* SPDX-License-Identifier: GPL-2.0-only */
/* Sentences about limits. */
#ifndef POOLSCOPE_VIEW_LIMIT_WORDS_H
#define POOLSCOPE_VIEW_LIMIT_WORDS_H

#include "words.h"

/* Those of the process and of its pools that are in this state. */
void say_all_limits(struct collector *all, enum limit_state state);
/* That others are over one, where only this target is in sight. */
void say_over_elsewhere(struct collector *all);
/* Those that wait for their `for` to pass. */
void say_pending_limits(struct collector *all);
/* Those whose glob matches no pool of any target; and in percent of what is not known. */
void say_unmatched(struct collector *all);
void say_not_judged(struct collector *all);

#endif
