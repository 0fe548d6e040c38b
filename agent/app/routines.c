/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeps the start routines of one target's threads, by address: looking one up in the symbols is dear. It must not know
 * threads. */
#include "routines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Start routines of one program are few; what comes after is resolved each time anew. */
#define ROUTINES_MAX 1024

void routines_clear(struct routines *routines)
{
	free(routines->routine);
	free(routines->address);
	*routines = (struct routines){.count = 0};
}

static int remember(struct routines *routines, uint64_t address, const struct fact_routine *routine)
{
	if (!routines->routine)
		routines->routine = calloc(ROUTINES_MAX, sizeof(*routines->routine));
	if (!routines->address)
		routines->address = calloc(ROUTINES_MAX, sizeof(*routines->address));
	if (!routines->routine || !routines->address)
		return -ENOMEM;
	if (routines->count == ROUTINES_MAX)
		return 0;
	routines->address[routines->count] = address;
	routines->routine[routines->count++] = *routine;
	return 0;
}

/* Without a symbol the place in its file tells it from others of that file. */
static void name_by_place(struct symbols *symbols, uint64_t address, struct fact_routine *routine)
{
	struct symbols_place place;

	if (!*routine->symbol && symbols_place(symbols, address, false, &place) == 0)
		snprintf(routine->symbol, sizeof(routine->symbol), FACT_PLACE "%llx", (unsigned long long)place.address);
}

int routines_name(struct routines *routines, struct symbols *symbols, uint64_t address, struct fact_routine *ret_routine)
{
	struct fact_routine found = {0};
	int error;

	for (size_t i = 0; i < routines->count; i++) {
		if (routines->address[i] == address) {
			*ret_routine = routines->routine[i];
			return 0;
		}
	}
	if (symbols_resolve(symbols, address, &found))
		return -ENOENT;
	symbols_demangle(symbols, address, &found);
	name_by_place(symbols, address, &found);
	error = remember(routines, address, &found);
	if (error)
		return error;
	*ret_routine = found;
	return 0;
}
