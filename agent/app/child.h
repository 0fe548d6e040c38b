/* SPDX-License-Identifier: GPL-2.0-only */
/* A command that poolscope starts and watches from its first instruction: it waits before its exec until
 * the probes are on it. It must not know what is watched. */
#ifndef POOLSCOPE_APP_CHILD_H
#define POOLSCOPE_APP_CHILD_H

#include <sys/types.h>

#include "../base.h"

struct child {
	pid_t pid;
	int go, report;    /* pipes; closing `go` without a byte ends the child */
	char output[64];   /* where its standard output and error go; "": ours */
};

/* user NULL: who called sudo, else as we are. quiet: its output goes to a new file, since the
 * dashboard owns the screen. 0 or -errno with *explain. */
int child_start(char **command, const char *user, bool quiet, struct child *ret_child, struct explain *explain);
/* Lets it exec. 0; -errno with *explain: why it could not (no such file, ...). */
int child_go(struct child *child, const char *name, struct explain *explain);
/* SIGTERM if it still lives; reaps it. */
void child_end(struct child *child);

#endif
