/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of all metric families: names, units, help, and where in the snapshot the figure stands.
 * It must not know how a sample is written. */
#include "metrics_families.h"

#include "metrics.h"

static const char *region_label(size_t index)
{
	return region_name(index);
}

static const char *reason_label(size_t index)
{
	return unattributed_name(index);
}

static const char *loss_label(size_t index)
{
	return loss_reason_name(index);
}

static const char *probe_label(size_t index)
{
	return probe_name(index);
}

/* rss_anon, rss_file and rss_shmem stand in a row and are spread like an array. */
static const char *type_label(size_t index)
{
	static const char *const names[] = {"anon", "file", "shmem"};

	return names[index];
}
_Static_assert(offsetof(struct snapshot_group, rss_shmem) ==
		       offsetof(struct snapshot_group, rss_anon) + 2 * sizeof(uint64_t),
	       "the types of resident memory are in a row");

static const struct metrics_dimension regions = {"region", REGION_COUNT, region_label};
static const struct metrics_dimension reasons = {"reason", UNATTRIBUTED_COUNT, reason_label};
static const struct metrics_dimension losses = {"reason", LOSS_REASON_COUNT, loss_label};
static const struct metrics_dimension probes = {"probe", PROBE_COUNT, probe_label};
static const struct metrics_dimension types = {"type", 3, type_label};

#define POOL(field) .scope = SCOPE_POOL, .offset = offsetof(struct snapshot_group_pool, field)
#define JUDGED(field) .scope = SCOPE_POOL_JUDGED, .offset = offsetof(struct snapshot_group_pool, field)
#define POOL_LIMIT(field) .scope = SCOPE_POOL_LIMIT, .offset = offsetof(struct snapshot_group_limit, field)
#define GROUP(field) .scope = SCOPE_GROUP, .offset = offsetof(struct snapshot_group, field)
#define GROUP_LIMIT(field) .scope = SCOPE_GROUP_LIMIT, .offset = offsetof(struct snapshot_group_limit, field)
#define AGENT(field) .scope = SCOPE_AGENT, .offset = offsetof(struct snapshot, field)
#define SELF(field) .scope = SCOPE_SELF, .offset = offsetof(struct self_stat, field)

const struct metrics_family metrics_families[] = {
	{"pool_threads", POOL(threads), .help = "Living threads of the pool."},
	{"pool_threads_running", POOL(running), .help = "Threads in state R at the last sample."},
	{"pool_threads_busy", POOL(busy), .help = "Threads that execute a task of the pool, even if blocked in it."},
	{"pool_threads_peak", POOL(peak), .help = "Most threads at one time, of the largest living process."},
	{"pool_threads_capacity", POOL(capacity), .help = "Threads that the executor will have at most."},
	{"pool_queued_tasks", POOL(queued), .help = "Tasks that wait for a thread."},
	{"pool_info", POOL(kind), .number = NUMBER_TEXT, .label = "kind", .help = "What kind of pool it is."},
	{"pool_threads_started", .is_counter = true, POOL(started_total), .help = "Threads born since attach, by the pool they were in a second later."},
	{"pool_threads_exited", .is_counter = true, POOL(exited_total),
	 .help = "Threads of the pool that ended, those there before attach among them."},
	{"pool_memory_resident_bytes", "bytes", POOL(resident), .dimension = &regions,
	 .help = "Resident anonymous memory charged to the pool's threads, living or exited, by region."},
	{"pool_memory_mapped_bytes", "bytes", .is_opt_in = true, POOL(mapped), .dimension = &regions,
	 .help = "Address space that the pool's threads made usable, by region."},
	{"pool_page_faults", .is_counter = true, .is_faults = true, POOL(faults_total),
	 .help = "Page faults that the pool's threads took since attach."},
	{"pool_memory_orphaned_bytes", "bytes", POOL(orphaned),
	 .help = "Resident memory of threads that have exited; a part of pool_memory_resident_bytes."},
	{"pool_thread_memory_max_resident_bytes", "bytes", POOL(thread_resident_max),
	 .help = "Resident memory of the pool's largest living thread."},
	{"pool_limit_used_ratio", "ratio", POOL_LIMIT(used_ratio), .number = NUMBER_DOUBLE,
	 .help = "Value over limit, of the worst process."},
	{"pool_over_limit", POOL_LIMIT(over), .number = NUMBER_BOOL, .help = "1 while the limit's state is over."},
	{"pool_limit_violations", .is_counter = true, POOL_LIMIT(violations),
	 .help = "How often the limit's state became over."},
	{"pool_verdict", JUDGED(verdict.state), .number = NUMBER_VERDICT, .label = "verdict",
	 .help = "Why the pool's memory moves: 1 for the present verdict, 0 for the others."},
	{"pool_verdict_confidence_ratio", "ratio", JUDGED(verdict.confidence), .number = NUMBER_DOUBLE,
	 .help = "How sure the verdict is, 0 to 1."},
	{"pool_memory_projected_bytes", "bytes", JUDGED(verdict.projected_resident_bytes),
	 .help = "Resident memory that the pool is expected to reach."},

	{"processes", GROUP(processes), .help = "Living processes of this name."},
	{"processes_started", .is_counter = true, GROUP(processes_started_total),
	 .help = "Processes of this name that were attached to, and followed children that had ended by then."},
	{"process_threads", GROUP(threads), .help = "Living threads of the processes."},
	{"process_threads_limit", GROUP(threads_limit), .help = "Threads that the cgroup allows (pids.max)."},
	{"process_cpu_limit_cores", "cores", GROUP(cpu_limit_cores), .number = NUMBER_DOUBLE,
	 .help = "CPU quota of the cgroup."},
	{"process_memory_resident_bytes", "bytes", GROUP(rss_anon), .dimension = &types,
	 .help = "Resident memory as the kernel counts it, by type."},
	{"process_memory_limit_bytes", "bytes", GROUP(memory_limit), .help = "Memory that the cgroup allows (memory.max)."},
	{"process_memory_swapped_bytes", "bytes", GROUP(swapped), .help = "Anonymous memory swapped out."},
	{"process_memory_unattributed_bytes", "bytes", GROUP(unattributed), .dimension = &reasons,
	 .help = "Resident anonymous memory that no thread could be charged with, by reason."},
	{"process_memory_unexplained_bytes", "bytes", GROUP(unexplained), .number = NUMBER_I64,
	 .help = "The kernel's figure less attributed and unattributed memory; may be negative."},
	{"process_activity_age_seconds", "seconds", GROUP(activity_age_seconds), .number = NUMBER_DOUBLE,
	 .help = "Age, at the refresh, of what was read of busy threads and queues; of the process where it is the oldest."},
	{"process_limit_used_ratio", "ratio", GROUP_LIMIT(used_ratio), .number = NUMBER_DOUBLE,
	 .help = "Value over limit, of the worst process."},
	{"process_over_limit", GROUP_LIMIT(over), .number = NUMBER_BOOL, .help = "1 while the limit's state is over."},
	{"process_limit_violations", .is_counter = true, GROUP_LIMIT(violations),
	 .help = "How often the limit's state became over."},
	{"process_verdict", GROUP(verdict.state), .number = NUMBER_VERDICT, .label = "verdict",
	 .help = "Why the memory moves: 1 for the present verdict, 0 for the others."},

	{"events", .is_counter = true, AGENT(received), .dimension = &probes, .help = "Kernel events received."},
	{"events_lost", .is_counter = true, AGENT(lost), .dimension = &losses,
	 .help = "Kernel events that did not arrive, by reason."},
	{"reseeds", .is_counter = true, AGENT(reseeds), .help = "Times the ranges were read anew: after losses, or as figures did not add up."},
	{"probe_attached", AGENT(attached), .number = NUMBER_ATTACHED, .help = "Probe variant in use, by group."},
	{"snapshot_timestamp_seconds", "seconds", AGENT(realtime_ns), .number = NUMBER_NSEC,
	 .help = "When the figures were taken, in seconds since 1970."},
	{"series_dropped", .is_counter = true, AGENT(series_dropped),
	 .help = "Pools that max_pools folded into the pool other, counted up to 8192 a process; names of processes beyond 1024, "
		 "that are in the process other, each time; pools of ended processes beyond 512 a name."},
	{"build_info", AGENT(version), .number = NUMBER_TEXT, .label = "version", .help = "Version of the agent."},

	{"process_cpu_seconds", "seconds", .is_counter = true, SELF(cpu_seconds), .number = NUMBER_DOUBLE,
	 .help = "CPU time of the agent itself, user and system."},
	{"process_resident_memory_bytes", "bytes", SELF(resident_bytes), .help = "Resident memory of the agent itself."},
	{"process_open_fds", SELF(open_fds), .help = "Open file descriptors of the agent itself."},
	{"process_start_time_seconds", "seconds", SELF(start_time_seconds), .number = NUMBER_DOUBLE,
	 .help = "When the agent itself was started, in seconds since 1970."},
};

const size_t n_metrics_families = ARRAY_SIZE(metrics_families);
