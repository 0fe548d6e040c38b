/* SPDX-License-Identifier: GPL-2.0-only */
/* The start routines of one target's threads, by address: each is looked up once. It must not know threads. */
#ifndef POOLSCOPE_APP_ROUTINES_H
#define POOLSCOPE_APP_ROUTINES_H

#include "../source/symbols.h"

struct routines {
	struct fact_routine *routine;
	uint64_t *address;
	size_t count;
};

void routines_clear(struct routines *routines);
/* Its name, or its place in its file (FACT_PLACE), and module. -ENOENT: nothing is known there; -ENOMEM. */
int routines_name(struct routines *routines, struct symbols *symbols, uint64_t address, struct fact_routine *ret_routine);

#endif
