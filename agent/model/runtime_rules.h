/* SPDX-License-Identifier: GPL-2.0-only */
/* The rules that are shipped: by which evidence threads of a known runtime are told, and what their pool is. It must
 * not know which pools exist, nor threads beyond what a rule is judged by. */
#ifndef POOLSCOPE_MODEL_RUNTIME_RULES_H
#define POOLSCOPE_MODEL_RUNTIME_RULES_H

#include "worker_waits.h"

/* How a rule names the pool. */
enum rule_naming {
	RULE_FIXED,   /* `pool`, as it stands */
	RULE_FAMILY,  /* the family of the thread's name; a name that the kernel has cut (15 characters) may have lost its
	                 number: it ends with `*`, and no number in it is folded. `pool` for threads without a name */
	RULE_NAME,    /* the family of the thread's name, as it would be without a rule. `pool` for threads without a name */
	RULE_LITERAL, /* the thread's name: a number in it is the pool's, not the thread's; cut ones as above */
	RULE_MODULE,  /* the module, without the place of a routine that has no symbol: it begins all of its threads */
	RULE_MAIN,    /* the first thread of a process, whose pool is `main` */
};

/* Patterns are globs, NULL: anything; all that a rule has must match. The first rule that matches counts. */
struct runtime_rule {
	/* evidence */
	const char *name;    /* the thread's name */
	const char *routine; /* the symbol of its start routine */
	const char *module;  /* the file of its start routine */
	const char *program; /* comm of the process */
	const char *runtime; /* what the process is made with, as fact_target.runtime has it */
	bool is_programs_file; /* that file is the program's own */
	const char *creator; /* who made it: of a process its parent's comm, of a thread its creator's name; "" unknown */
	/* and what follows */
	enum rule_naming naming;
	const char *pool, *kind;
	bool has_parallelism; /* its runtime lets only so many of them run at a time */
	bool is_teams;          /* each thread that uses the library has its own: OpenMP */
	bool is_programs_main;  /* where the program itself runs: those that it makes come from nowhere else */
	/* It is the team of the thread that made it, and of nobody else, ever; the start routine's argument lies on that one's
	 * stack. So it has a pool below that thread's. */
	bool is_makers_own;
	const struct worker_waits *waits; /* how one that waits is told from one in a task; NULL: it cannot be */
	bool is_runtimes_own; /* none of the program's work: collectors, compilers, timers */
};

/* What a rule is judged by; "": not known. */
struct rule_evidence {
	const char *name, *routine, *module, *program, *runtime, *creator;
	bool is_leader, is_programs_file;
};

/* Rules by their places in the table. */
#define RUNTIME_RULES_MAX 256
struct rule_set {
	uint64_t bits[RUNTIME_RULES_MAX / 64];
};

/* The rules of which all but name and creator match: threads of one routine have them in common. */
void runtime_rules_narrow(const struct rule_evidence *evidence, struct rule_set *ret_set);
/* The first of them that the evidence's name and creator match, too. NULL: none. */
const struct runtime_rule *runtime_rule_among(const struct rule_set *set, const struct rule_evidence *evidence);
/* How those that begin in this routine wait, by a rule that asks for no name. NULL: nobody knows. */
const struct worker_waits *runtime_rules_waits(const struct rule_evidence *evidence);
/* All of them, in order. */
const struct runtime_rule *runtime_rules(size_t *ret_count);

#endif
