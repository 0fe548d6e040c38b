/* SPDX-License-Identifier: GPL-2.0-only */
/* Sentences about memory. */
#ifndef POOLSCOPE_VIEW_MEMORY_WORDS_H
#define POOLSCOPE_VIEW_MEMORY_WORDS_H

#include "words.h"

/* Free, but kept by malloc; freed and taken again at a high rate. */
void say_kept(struct collector *all);
void say_churn(struct collector *all);
/* Of threads that have ended; from before the attach, of who holds it; in arenas of several threads; nobody's. */
void say_orphaned(struct collector *all);
void say_held(struct collector *all);
void say_shared(struct collector *all);
void say_unattributed(struct collector *all);
void say_unexplained(struct collector *all);

#endif
