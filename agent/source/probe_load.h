/* SPDX-License-Identifier: GPL-2.0-only */
/* Which programs make up each variant of each probe group, and whether this kernel takes them: by trial. It must not
 * know targets, nor events. */
#ifndef POOLSCOPE_SOURCE_PROBE_LOAD_H
#define POOLSCOPE_SOURCE_PROBE_LOAD_H

#include "probes.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "poolscope/event.h"
#include "probes.skel.h"

#define PROBE_MAX_HOOKS 24

/* The programs of one choice of variants, loaded and attached. */
struct probe_set {
	struct probes_bpf *object;
	const char *variants[GROUP_COUNT]; /* NULL: the group is not in it */
	struct bpf_link *links[PROBE_MAX_HOOKS];
	size_t n_links;
	struct bpf_link *iterator; /* NULL: none */
};

void probe_set_clear(struct probe_set *set);

/* Loads and attaches. `set` comes with variants filled, the rest zero; on failure -errno, and *trial tells
 * the group, why and the remedy. */
int probe_set_load(struct probe_set *set, const struct probes_options *options, struct probe_trial *trial);
/* Tries each variant by itself. */
size_t probe_set_try_all(const struct probes_options *options, struct probe_trial *trials, size_t max);
/* The variants to begin with: the preferred ones, less those that a cheap test refuses. */
int probe_set_prefer(const struct probes_options *options, const char *variants[GROUP_COUNT]);
/* False: no such variant in this group. */
bool probe_variant_known(enum probe_group group, const char *variant);

#define DEFAULT_RING_BYTES (4U << 20)

#endif
