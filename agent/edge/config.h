/* SPDX-License-Identifier: GPL-2.0-only */
/* The config file: which processes are targets, what limits and pool rules they get. It must not know
 * /proc (who is there now) nor what judges by the limits. */
#ifndef POOLSCOPE_EDGE_CONFIG_H
#define POOLSCOPE_EDGE_CONFIG_H

#include <stdio.h>

#include "../model/policy.h"
#include "config_yaml.h"

#define CONFIG_LISTEN_DEFAULT "127.0.0.1:10464"

enum match_key { MATCH_NAME, MATCH_EXE, MATCH_CMDLINE, MATCH_UNIT, MATCH_CGROUP, MATCH_CONTAINER, MATCH_KEY_COUNT };
const char *match_key_name(enum match_key key); /* "name", "exe", ... */

/* What the policy entry of the same index applies to. Globs; "": not asked for; those asked for are ANDed. */
struct config_entry {
	char match[MATCH_KEY_COUNT][256];
	bool follow_forks;
	unsigned line; /* of the entry in the file; 0: entries[0] */
};

struct config {
	char listen[256];      /* HOST:PORT; the default unless the file says otherwise */
	struct policy *policy; /* entries[0] is for what no entry matches: built in + defaults */
	struct config_entry *entries; /* policy->n_entries of them; entries[0] matches nothing */
};

/* 0; -EINVAL with problems (an unreadable file is a problem too); -ENOMEM. Caller frees. */
int config_load(const char *path, struct config **ret_config, struct problems *problems);
int config_parse(const char *text, size_t length, struct config **ret_config, struct problems *problems);
/* What holds without any file. */
int config_new_builtin(struct config **ret_config);
void config_free(struct config *config);
DEFINE_CLEANUP(struct config *, config_free)

/* "PATH:LINE:COLUMN: what is wrong; what would be right", a line each. */
void problems_print(const struct problems *problems, const char *path, FILE *out);

/* Limits of the command line: in front of those of every entry, in their own order. */
int config_prepend_limits(struct config *config, const struct limit_rule *rules, size_t n_rules);

/* A process that may be a target. NULL or "": not known, matches no glob. */
struct match_subject {
	const char *comm, *exe, *cmdline, *unit, *cgroup, *container;
};
/* The first entry that matches: 0. -ENOENT: none does (entry 0 is its policy, if it is a target at all).
 * name: comm or exe's base name; exe: the base name, or the path if the glob has a '/'; container: a prefix. */
int config_match(const struct config *config, const struct match_subject *subject, uint32_t *ret_entry);

/* Every entry with its limits resolved, in words (`poolscope check`). */
void config_print(const struct config *config, FILE *out);

#endif
