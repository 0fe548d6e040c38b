/* SPDX-License-Identifier: GPL-2.0-only */
/* Reads GOMAXPROCS where Go keeps it: it can change while the program runs. It must not know threads. */
#include "golang.h"
#include "memory_reader.h"

#include <string.h>

/* Go's own bound was 1,024 until 1.10; since then it is what memory allows. */
#define PROCS_MAX (1 << 20)

int golang_read(struct golang *golang, const struct fact_target *info, uint32_t target, const char *procfs,
		uint64_t time_ns, struct symbols *symbols, const struct fact_sink *sink)
{
	_cleanup_(memory_reader_close) struct memory_reader reader = MEMORY_READER_NONE;
	struct fact fact = {.kind = FACT_RUNTIME, .target = target, .time_ns = time_ns};
	int32_t procs = 0;

	if (strcmp(info->runtime, "go") != 0 || !symbols)
		return 0;
	if (!golang->sought)
		(void)symbols_find(symbols, "*", "runtime.gomaxprocs", &golang->procs);
	golang->sought = true;
	if (!golang->procs || memory_reader_open(&reader, info->pid, procfs) < 0 ||
	    memory_read(&reader, info->pid, golang->procs, &procs, sizeof(procs)) != sizeof(procs))
		return 0;
	if (procs < 1 || procs > PROCS_MAX)
		return 0;
	memcpy(fact.runtime.name, "go", sizeof("go"));
	fact.runtime.parallelism = (uint64_t)procs;
	return sink->emit(sink->context, &fact);
}
