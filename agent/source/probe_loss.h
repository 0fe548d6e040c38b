/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel side lost, by reason. It must not know targets. */
#ifndef POOLSCOPE_SOURCE_PROBE_LOSS_H
#define POOLSCOPE_SOURCE_PROBE_LOSS_H

#include "probe_load.h"

/* Sums over CPUs, programs and links of the set; UNKNOWN_U64 where the kernel cannot say. */
void probe_loss_read(const struct probe_set *set, struct fact_loss *ret_loss);
/* Records of one address space (kernel tgid) that found no room. */
uint64_t probe_loss_of_space(const struct probe_set *set, uint32_t space);
void probe_loss_forget(const struct probe_set *set, uint32_t space);

#endif
