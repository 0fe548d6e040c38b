/* SPDX-License-Identifier: GPL-2.0-only */
/* `poolscope doctor`: what this kernel allows, which variants would be used, what is missing and what
 * to do about it. It must not know how anything is tried. */
#include <stdio.h>

#include "../edge/privileges.h"
#include "../edge/wrapped.h"
#include "../source/probes.h"
#include "output.h"
#include "session.h"

#define TRIALS_MAX 16

/* Columns before a detail, and before what follows an arrow. */
enum { RIGHTS_INDENT = 40, TRIALS_INDENT = 39, ARROW = 3 };

static size_t print_rights(void)
{
	struct privilege_check checks[PRIVILEGE_CHECKS_MAX];
	size_t count = privileges_check("", checks), bad = 0;

	puts("Rights and features");
	for (size_t i = 0; i < count; i++) {
		wrapped_print(stdout, RIGHTS_INDENT, "  %-8s %-28s %s", checks[i].ok ? "ok" : "missing", checks[i].name, checks[i].detail);
		if (!checks[i].ok && checks[i].remedy[0])
			wrapped_print(stdout, RIGHTS_INDENT + ARROW, "%*s-> %s", RIGHTS_INDENT, "", checks[i].remedy);
		bad += !checks[i].ok;
	}
	return bad;
}

/* Returns how many groups have no variant that loads, of those that may be used. */
static size_t print_trials(const struct probe_trial *trials, size_t count)
{
	bool has[GROUP_COUNT] = {false};
	size_t without = 0;

	puts("Probes, by trial load");
	for (size_t i = 0; i < count; i++) {
		const struct probe_trial *trial = &trials[i];

		wrapped_print(stdout, TRIALS_INDENT, "  %-8s %-12s %-14s %s", trial->error ? "no" : trial->used ? "used" : "works",
			      trial->group_name, trial->variant, trial->error ? trial->why : "");
		if (trial->error && trial->remedy[0])
			wrapped_print(stdout, TRIALS_INDENT + ARROW, "%*s-> %s", TRIALS_INDENT, "", trial->remedy);
		has[trial->group] |= trial->used;
	}
	for (size_t group = 0; group < GROUP_COUNT; group++)
		without += !has[group] && group != GROUP_ITERATOR;
	return without;
}

int command_doctor(const struct options *options)
{
	struct probes_options probes_options = {.memory_variant = options->variant,
						.ring_bytes = options->ring_bytes};
	struct probe_trial trials[TRIALS_MAX];
	/* Tried first: a trial mounts what it needs and may mount, and what is there then is not missing. */
	size_t count = probes_try_all(&probes_options, trials, ARRAY_SIZE(trials)), bad, without;

	bad = print_rights();
	putchar('\n');
	without = print_trials(trials, count);
	putchar('\n');
	if (without)
		printf("poolscope cannot run here%s%s: a group of probes has no variant that loads.\n",
		       options->variant ? " with --variant " : "", options->variant ? options->variant : "");
	else if (bad)
		puts("poolscope can run here; what is missing above limits what it can show.");
	else
		puts("poolscope can run here.");
	return output_done(without ? EXIT_FAILED : EXIT_DONE);
}
