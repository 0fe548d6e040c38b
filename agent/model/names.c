/* SPDX-License-Identifier: GPL-2.0-only */
/* The one spelling of every enum that a user sees: options, config, JSON and labels share it.
 * It must not know who prints the names. */
#include "snapshot.h"

#include <errno.h>
#include <string.h>

#define DEFINE_NAMES(function, type, count, ...)                                                 \
	static const char *const function##_names[] = {__VA_ARGS__};                             \
	_Static_assert(ARRAY_SIZE(function##_names) == (count), #function ": one name for each value"); \
	const char *function(type value)                                                         \
	{                                                                                        \
		return (size_t)value < (count) ? function##_names[value] : "unknown";            \
	}                                                                                        \
	_Static_assert(true, "")

DEFINE_NAMES(region_name, enum region, REGION_COUNT, "stack", "arena", "heap", "mmap");
DEFINE_NAMES(unattributed_name, enum unattributed, UNATTRIBUTED_COUNT, "before_attach", "image", "inherited",
	     "lost");
DEFINE_NAMES(table_kind_name, enum table_kind, TABLE_KIND_COUNT, "threads", "ranges", "heaps", "executors", "functions",
	     "blame");
DEFINE_NAMES(loss_reason_name, enum loss_reason, LOSS_REASON_COUNT, "ring", "map", "recursion", "kretprobe");
DEFINE_NAMES(executor_kind_name, enum executor_kind, EXECUTOR_KIND_COUNT, "threading.Thread", "ThreadPoolExecutor",
	     "anyio worker threads", "ThreadPool", "ProcessPoolExecutor");
DEFINE_NAMES(process_role_name, enum process_role, PROCESS_ROLE_COUNT, "", "multiprocessing worker",
	     "multiprocessing.Pool worker", "ProcessPoolExecutor worker", "multiprocessing fork server",
	     "multiprocessing resource tracker", "uvicorn worker", "uvicorn supervisor", "gunicorn worker",
	     "gunicorn master");
DEFINE_NAMES(probe_name, enum probe, PROBE_COUNT, "thread_born", "thread_exited", "thread_renamed", "exec",
	     "mmap", "munmap", "mremap", "mprotect", "brk");
DEFINE_NAMES(limit_state_name, enum limit_state, LIMIT_OVER + 1, "ok", "warn", "over");
DEFINE_NAMES(verdict_state_name, enum verdict_state, VERDICT_COUNT, "none", "steady", "filling", "full",
	     "leaking", "churning", "orphaned", "unknown");
DEFINE_NAMES(limit_kind_name, enum limit_kind, LIMIT_KIND_COUNT, "threads", "resident_bytes",
	     "resident_bytes_per_thread", "threads_started_per_minute");
DEFINE_NAMES(limit_source_name, enum limit_source, LIMIT_SOURCE_OPTION + 1, "builtin", "config", "option");

int limit_kind_parse(const char *name, enum limit_kind *ret_kind)
{
	for (size_t i = 0; i < LIMIT_KIND_COUNT; i++) {
		if (!strcmp(name, limit_kind_name_names[i])) {
			*ret_kind = i;
			return 0;
		}
	}
	return -ENOENT;
}
