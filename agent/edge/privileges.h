/* SPDX-License-Identifier: GPL-2.0-only */
/* What this process may do here and what the kernel offers, each with what is lost without it and how to get it.
 * It must not know the probes: what really loads is found by trial (source/probes). */
#ifndef POOLSCOPE_EDGE_PRIVILEGES_H
#define POOLSCOPE_EDGE_PRIVILEGES_H

#include "../base.h"

struct privilege_check {
	const char *name; /* "kernel", "CAP_BPF", "tracefs", ... */
	bool ok;
	bool needed;	  /* without it nothing can be attached; else something is less good */
	char detail[160]; /* what was found: one phrase */
	char remedy[240]; /* "" when ok */
};
#define PRIVILEGE_CHECKS_MAX 16

/* root: "" is this machine; else a folder with the same `proc` and `sys` files (tests). Returns how many. */
size_t privileges_check(const char *root, struct privilege_check checks[PRIVILEGE_CHECKS_MAX]);

/* 0, or -EPERM or -ENOSYS with *explain for the first check that is needed and fails. */
int privileges_require(struct explain *explain);

#endif
