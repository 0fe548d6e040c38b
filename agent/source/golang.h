/* SPDX-License-Identifier: GPL-2.0-only */
/* Go from outside: how many threads its scheduler lets run Go code at a time. It must not know what that is
 * compared with. */
#ifndef POOLSCOPE_SOURCE_GOLANG_H
#define POOLSCOPE_SOURCE_GOLANG_H

#include "../fact.h"
#include "symbols.h"

/* Starts zeroed; zero it again at exec. */
struct golang {
	bool sought;
	uint64_t procs; /* the address of runtime.gomaxprocs; 0: not found (a stripped program) */
};

/* FACT_RUNTIME of a program in Go, by one small read; of any other, nothing. 0 also when nothing could be read;
 * what the sink returned. */
int golang_read(struct golang *golang, const struct fact_target *info, uint32_t target, const char *procfs,
		uint64_t time_ns, struct symbols *symbols, const struct fact_sink *sink);

#endif
