/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel side lost, by reason. It must not know targets. */
#include "probe_loss.h"

#include <string.h>

/* struct bpf_link_info as of Linux 6.7, for a perf link: Debian 12's headers end before `missed`. */
struct perf_link_info {
	uint32_t type, id, program, unused;
	uint32_t event_type, unused2;
	uint64_t function_name;
	uint32_t name_length, offset;
	uint64_t address;
	uint64_t missed;
};
#define LINK_TYPE_PERF_EVENT 7 /* enum bpf_link_type */

static uint64_t sum_cpus(int map, uint32_t key)
{
	int n_cpus = libbpf_num_possible_cpus();
	_cleanup_(freep) uint64_t *values = NULL;
	uint64_t sum = 0;

	if (n_cpus <= 0)
		return UNKNOWN_U64;
	values = calloc((size_t)n_cpus, sizeof(*values));
	if (!values || bpf_map_lookup_elem(map, &key, values) < 0)
		return UNKNOWN_U64;
	for (int i = 0; i < n_cpus; i++)
		sum += values[i];
	return sum;
}

static uint64_t recursion_misses(const struct probe_set *set)
{
	struct bpf_program *program = NULL;
	uint64_t sum = 0;

	while ((program = bpf_object__next_program(set->object->obj, program))) {
		struct bpf_prog_info info = {0};
		uint32_t size = sizeof(info);

		if (bpf_program__fd(program) < 0)
			continue;
		/* Linux 5.12 has it; an older kernel fills less. */
		if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) < 0 ||
		    size < offsetof(struct bpf_prog_info, recursion_misses) + sizeof(info.recursion_misses))
			return UNKNOWN_U64;
		sum += info.recursion_misses;
	}
	return sum;
}

static uint64_t kprobe_misses(const struct probe_set *set)
{
	uint64_t sum = 0;

	if (!set->variants[GROUP_MEMORY] || strcmp(set->variants[GROUP_MEMORY], "kretprobe") != 0)
		return 0;
	for (size_t i = 0; i < set->n_links; i++) {
		struct perf_link_info info = {0};
		uint32_t size = sizeof(info);

		if (bpf_obj_get_info_by_fd(bpf_link__fd(set->links[i]), &info, &size) < 0)
			return UNKNOWN_U64;
		if (info.type != LINK_TYPE_PERF_EVENT)
			continue;
		if (size < sizeof(info))
			return UNKNOWN_U64;
		sum += info.missed;
	}
	return sum;
}

void probe_loss_read(const struct probe_set *set, struct fact_loss *ret_loss)
{
	int map = bpf_map__fd(set->object->maps.lost);

	ret_loss->lost[LOSS_RING] = sum_cpus(map, EVENT_LOSS_RING);
	ret_loss->lost[LOSS_MAP] = sum_cpus(map, EVENT_LOSS_MAP);
	ret_loss->lost[LOSS_RECURSION] = recursion_misses(set);
	ret_loss->lost[LOSS_KRETPROBE] = kprobe_misses(set);
}

uint64_t probe_loss_of_space(const struct probe_set *set, uint32_t space)
{
	uint64_t count = 0;

	/* No entry: nothing was lost. */
	bpf_map_lookup_elem(bpf_map__fd(set->object->maps.lost_by_space), &space, &count);
	return count;
}

void probe_loss_forget(const struct probe_set *set, uint32_t space)
{
	bpf_map_delete_elem(bpf_map__fd(set->object->maps.lost_by_space), &space);
}
