/* SPDX-License-Identifier: GPL-2.0-only */
/* A command that poolscope starts in order to watch it: as whom, and held back until the probes are attached.
 * It must not know what watches it. */
#ifndef POOLSCOPE_EDGE_COMMAND_H
#define POOLSCOPE_EDGE_COMMAND_H

#include "../base.h"

#include <sys/types.h>

struct command_user {
	bool change; /* false: stay who we are */
	uid_t uid;
	gid_t gid;
	char name[64], home[256], shell[128];
};

/* name: -u USER (a name or a number); NULL: who called sudo, else nobody else. -ENOENT: no such user; -EPERM: it
 * takes root to become another. */
int command_user_find(const char *name, struct command_user *ret_user, struct explain *explain);

struct command;

/* Forks; the child becomes the user and waits. output_fd: its standard output and error, with nothing to read on
 * standard input (a dashboard has the terminal, and its signals); -1: it keeps all three. */
int command_new(char *const argv[], const struct command_user *user, int output_fd, struct command **ret_command,
		struct explain *explain);
/* Ends a child that was never let go; a running one is left alone. */
void command_free(struct command *command);
DEFINE_CLEANUP(struct command *, command_free)

pid_t command_pid(const struct command *command);
/* Lets it exec. -errno with *explain when it cannot become the user or be executed. */
int command_go(struct command *command, struct explain *explain);
/* Takes the wait status of a child that has ended: 0; -EAGAIN: it runs; -ECHILD: taken already. */
int command_reap(struct command *command, int *ret_status);

#endif
