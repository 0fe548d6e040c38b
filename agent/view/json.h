/* SPDX-License-Identifier: GPL-2.0-only */
/* The snapshot as JSON: one object and a newline (`dump --json`, a line of `replay --json`).
 * It must not know where the text goes or who asked. */
#ifndef POOLSCOPE_VIEW_JSON_H
#define POOLSCOPE_VIEW_JSON_H

#include <stdio.h>

#include "../model/snapshot.h"

/* Writes the object as it goes, thread by thread: memory does not grow with the number of threads.
 * Always valid UTF-8: bytes of a name that are not become \xNN in the text (view/utf8.h); control
 * characters stay, as JSON escapes. An unknown figure is null. 0, -ENOMEM, or -errno when `out` refuses,
 * as -ENOSPC (flush or close it to know about the rest). */
int json_render(const struct snapshot *snapshot, FILE *out);

#endif
