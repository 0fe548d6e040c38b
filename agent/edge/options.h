/* SPDX-License-Identifier: GPL-2.0-only */
/* The command line: one table of subcommands, one of options; help, man page and completions are checked
 * against them. It must not know what any option does. */
#ifndef POOLSCOPE_EDGE_OPTIONS_H
#define POOLSCOPE_EDGE_OPTIONS_H

#include <stdio.h>

#include "../model/policy.h"
#include "log.h"

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_OVER_LIMIT = 3, /* with --fail-on-over */
	EXIT_NO_TARGET = 4,  /* not found, gone before attach, or its PID cannot be translated */
};

enum subcommand {
	SUBCOMMAND_TOP,
	SUBCOMMAND_DUMP,
	SUBCOMMAND_SERVE,
	SUBCOMMAND_CHECK,
	SUBCOMMAND_DOCTOR,
	SUBCOMMAND_HELP, /* also --help; options.help_about */
	SUBCOMMAND_VERSION,
	SUBCOMMAND_COUNT,
};

struct options {
	enum subcommand subcommand;
	int help_about; /* SUBCOMMAND_HELP: an enum subcommand, -1: the program */

	/* selectors; all that are given are targets together */
	uint32_t *pids;
	size_t n_pids;
	const char **names;
	size_t n_names;
	const char *unit, *cgroup, *container;
	char **command;	  /* after `--`, NULL-terminated, within argv; NULL: none */
	const char *user; /* runs the command; NULL: who called sudo */
	bool follow_forks;

	struct limit_rule *limits; /* --limit, in their order */
	size_t n_limits;
	const char *config; /* path; NULL: none */
	const char *listen; /* NULL: the config's, or its default */

	bool json, fail_on_over, no_color, mapped, faults;
	const char *output;   /* file; NULL: standard output */
	uint64_t after_ns;    /* dump: how long it watches first */
	uint64_t interval_ns; /* between refreshes */
	uint64_t count;	      /* refreshes, then the end; 0: no end */

	uint32_t cpu_budget;	/* percent of one core x 100 for reading page tables */
	const char *variant;	/* of the memory probes; NULL: the first that loads */
	uint32_t ring_bytes;	/* power of two; 0: the default */
	uint32_t max_processes;	/* watched at one time; 0: the default */
	const char *procfs;	/* "/proc" */
	enum log_level log_level;
};

/* Whether it has any target: a selector or a command. */
bool options_have_target(const struct options *options);

/* Strings point into argv. 0; -EINVAL with *explain (exit with EXIT_USAGE); -ENOMEM. On success, options_done()
 * frees what it holds. */
int options_parse(int argc, char **argv, struct options *ret_options, struct explain *explain);
void options_done(struct options *options);

/* about: an enum subcommand, -1: the program. */
void options_help(FILE *out, int about);

/* "poolscope: WHAT: WHY\n  REMEDY\n". */
void explain_print(const struct explain *explain, FILE *out);

/* The tables, for what must agree with them. */
struct subcommand_info {
	const char *name, *arguments, *summary;
};
extern const struct subcommand_info subcommand_table[SUBCOMMAND_COUNT];

struct option_info {
	const char *name;
	char letter;	      /* 0: none */
	const char *argument; /* NULL: takes none */
	unsigned subcommands; /* bits 1 << enum subcommand */
	const char *help;     /* NULL: an alias of the option before it */
	int (*set)(struct options *options, const char *argument, struct explain *explain);
};
#define OPTIONS_MAX 40
extern const struct option_info option_table[];
extern const size_t n_option_table;

#endif
