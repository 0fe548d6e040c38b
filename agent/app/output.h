/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a rendered snapshot goes: standard output or a file that only its owner reads. It must not
 * know what is rendered. */
#ifndef POOLSCOPE_APP_OUTPUT_H
#define POOLSCOPE_APP_OUTPUT_H

#include <stdio.h>

#include "../model/snapshot.h"

/* path NULL: standard output. A file is new or replaced as a whole, mode 0600. Says what failed, on
 * stderr; returns an exit code. */
int output_write(const char *path, const struct snapshot *snapshot,
		 int (*render)(const struct snapshot *snapshot, FILE *out));
/* What went to standard output is there: `code`; else says what failed and returns EXIT_FAILED. */
int output_done(int code);
/* Standard output for who goes on writing: where nobody reads, it waits, but not longer than until the agent is told to end
 * (EINTR). The caller's to close. NULL: no memory. */
FILE *output_patient(void);
/* Says on stderr that what goes to path (NULL: standard output) could not be written, why (-errno) and
 * what to do; returns EXIT_FAILED. */
int output_failed(const char *path, int error);
/* A file that must not be there yet (-EEXIST), without words: 0 or -errno. */
int output_file_new(const char *path, const struct snapshot *snapshot,
		    int (*render)(const struct snapshot *snapshot, FILE *out));

#endif
