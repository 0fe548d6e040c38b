/* SPDX-License-Identifier: GPL-2.0-only */
/* Which processes are targets: the selectors of the command line and the entries of the config, against
 * who is there now. It must not know what is done with them. */
#ifndef POOLSCOPE_APP_SELECTION_H
#define POOLSCOPE_APP_SELECTION_H

#include "../edge/config.h"
#include "../edge/options.h"
#include "engine.h"

struct selection;

/* options and config are borrowed. */
int selection_new(const struct options *options, const struct config *config, struct selection **ret_selection);
void selection_free(struct selection *selection);
DEFINE_CLEANUP(struct selection *, selection_free)

/* For engine_options.classify; context: the selection. Needs selection_set_procfs() before. */
void selection_classify(void *selection, struct fact_target *target);
void selection_set_procfs(struct selection *selection, struct procfs *procfs);

/* Attaches to every selected process that the engine does not have yet. Returns how many it
 * attached to; or, when a PID that was named cannot be attached to, -errno with *explain filled. Processes
 * that are merely matched and cannot be attached to are passed over; *explain tells of the last. Thousands take
 * seconds: a signal that ends the agent cuts it short, as it does the other. */
int selection_attach(struct selection *selection, struct engine *engine, struct explain *explain);
/* Attaches to the children of followed targets that the engine does not have. Returns how many;
 * *ret_unwatched: for so many there was no room. */
int selection_attach_missed(struct selection *selection, struct engine *engine, size_t *ret_unwatched);
/* True if a selected process may come (back) later: by name, unit, cgroup, container or config. */
bool selection_waits(const struct selection *selection);
/* The selectors in words, for messages: "process named uvicorn". */
const char *selection_words(const struct selection *selection);
/* Where to look when they select nothing: a sentence. */
const char *selection_hint(const struct selection *selection);

/* What each entry would match now (`poolscope check`): a line each. */
int selection_print(struct selection *selection, FILE *out);

#endif
