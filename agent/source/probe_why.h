/* SPDX-License-Identifier: GPL-2.0-only */
/* Why the kernel refused a probe, and what to do, in words. It must not know how probes are loaded. */
#ifndef POOLSCOPE_SOURCE_PROBE_WHY_H
#define POOLSCOPE_SOURCE_PROBE_WHY_H

#include "probes.h"

/* From now on libbpf's complaints are kept here instead of on the user's terminal; what was kept is dropped. */
void probe_log_capture(void);
/* The first complaint since; "": none. */
const char *probe_log_first(void);

/* Is tracefs mounted, and may we enter it? */
bool probe_has_tracefs(void);
/* Fills trial->why and trial->remedy: what stands against `variant` at `where` (a function or an event). */
void probe_why(const char *variant, const char *where, int error, struct probe_trial *trial);

#endif
