/* SPDX-License-Identifier: GPL-2.0-only */
/* The command line: walks argv by the tables and says what is wrong with it. It must not know what any
 * option does. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#include "units.h"
#include "wrapped.h"

/* Subcommands of later versions: people who read about them get an answer, not "unknown". */
static const char *const later_subcommands[] = { "record", "replay", "report" };

static int refuse(struct explain *explain, const char *what, const char *why, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static int refuse(struct explain *explain, const char *what, const char *why, const char *format, ...)
{
	va_list arguments;

	snprintf(explain->what, sizeof(explain->what), "%.120s", what);
	snprintf(explain->why, sizeof(explain->why), "%s", why);
	va_start(arguments, format);
	vsnprintf(explain->remedy, sizeof(explain->remedy), format, arguments);
	va_end(arguments);
	return -EINVAL;
}

bool options_have_target(const struct options *options)
{
	return options->n_pids || options->n_names || options->unit || options->cgroup || options->container ||
	       options->command;
}

void options_done(struct options *options)
{
	free(options->pids);
	free(options->names);
	free(options->limits);
	memset(options, 0, sizeof(*options));
}

static int subcommand_parse(const char *word, int *ret_subcommand, struct explain *explain)
{
	const char *names[SUBCOMMAND_COUNT + 1] = { NULL }, *nearest;

	for (int i = 0; i < SUBCOMMAND_COUNT; i++) {
		names[i] = subcommand_table[i].name;
		if (strcmp(word, names[i]) == 0) {
			*ret_subcommand = i;
			return 0;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(later_subcommands); i++) {
		if (strcmp(word, later_subcommands[i]) == 0)
			return refuse(explain, word, "not in this version", "`poolscope help` lists what this one can do.");
	}
	nearest = word_nearest(word, names);
	if (nearest)
		return refuse(explain, word, "no such subcommand", "Did you mean `poolscope %s`?", nearest);
	return refuse(explain, word, "no such subcommand", "`poolscope help` lists them; to watch a process by name: poolscope top -n %.60s",
		      word);
}

static int refuse_unknown(const char *word, struct explain *explain)
{
	const char *names[OPTIONS_MAX + 1] = { NULL }, *nearest;
	char name[64];

	for (size_t i = 0; i < n_option_table && i < OPTIONS_MAX; i++)
		names[i] = option_table[i].name;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	nearest = word[1] == '-' ? word_nearest(name, names) : NULL;
	if (nearest)
		return refuse(explain, word, "no such option", "Did you mean --%s?", nearest);
	return refuse(explain, word, "no such option", "`poolscope help SUBCOMMAND` lists them.");
}

/* getopt's two tables from ours. Long options return their index + 256, letters themselves. */
static void getopt_tables(struct option *longs, char *shorts)
{
	/* `-`: other words in their place, not moved to the end; `:`: a missing argument is told apart. */
	*shorts++ = '-';
	*shorts++ = ':';
	for (size_t i = 0; i < n_option_table; i++) {
		longs[i].name = option_table[i].name;
		longs[i].has_arg = option_table[i].argument ? required_argument : no_argument;
		longs[i].flag = NULL;
		longs[i].val = 256 + (int)i;
		if (!option_table[i].letter)
			continue;
		*shorts++ = option_table[i].letter;
		if (option_table[i].argument)
			*shorts++ = ':';
	}
	*shorts = '\0';
}

static const struct option_info *option_of(int code)
{
	for (size_t i = 0; i < n_option_table; i++) {
		if (code == 256 + (int)i || code == option_table[i].letter)
			return &option_table[i];
	}
	return NULL;
}

/* What argv has said so far. */
struct walk {
	struct options *options;
	struct explain *explain;
	int subcommand; /* -1: not yet */
	const char *operand;
	const struct option_info *used[OPTIONS_MAX]; /* each once */
	size_t n_used;
};

static int walk_word(struct walk *walk, const char *word)
{
	if (walk->subcommand < 0)
		return subcommand_parse(word, &walk->subcommand, walk->explain);
	if (!walk->operand && (walk->subcommand == SUBCOMMAND_CHECK || walk->subcommand == SUBCOMMAND_HELP)) {
		walk->operand = word;
		return 0;
	}
	if (walk->subcommand <= SUBCOMMAND_DUMP)
		return refuse(walk->explain, word, "a word that belongs to no option",
			      "A process by %s %.40s. A command to run: poolscope top -- %.40s",
			      word[strspn(word, "0123456789")] ? "name: -n" : "number: -p", word, word);
	return refuse(walk->explain, word, "one word too many", "`poolscope help %s` says what it takes.",
		      subcommand_table[walk->subcommand].name);
}

static int walk_option(struct walk *walk, const struct option_info *option, const char *argument)
{
	for (size_t i = 0; i < walk->n_used; i++) {
		if (walk->used[i] == option)
			return option->set(walk->options, argument, walk->explain);
	}
	walk->used[walk->n_used++] = option;
	return option->set(walk->options, argument, walk->explain);
}

static int walk_argv(struct walk *walk, int argc, char **argv)
{
	struct option longs[OPTIONS_MAX + 1] = { 0 };
	char shorts[2 * OPTIONS_MAX + 3];
	int code, r = 0;

	getopt_tables(longs, shorts);
	optind = 0; /* glibc: forget an earlier walk */
	opterr = 0;
	while (r == 0 && (code = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const char *word = argv[optind - 1];

		if (code == 1)
			r = walk_word(walk, optarg);
		else if (code == ':')
			r = refuse(walk->explain, word, "its argument is missing", "It is %s %s.", word, option_of(optopt)->argument);
		else if (code == '?' && optopt >= 256)
			r = refuse(walk->explain, word, "this option takes no argument", "Write --%s alone.",
				   option_of(optopt)->name);
		else if (code == '?' && optopt) {
			char letter[] = { '-', (char)optopt, '\0' };

			r = refuse_unknown(letter, walk->explain);
		} else if (code == '?')
			r = refuse_unknown(word, walk->explain);
		else
			r = walk_option(walk, option_of(code), optarg);
	}
	return r;
}

static int check_scopes(const struct walk *walk)
{
	for (size_t i = 0; i < walk->n_used; i++) {
		const struct option_info *option = walk->used[i];
		char what[80], others[80] = "";
		size_t length = 0;

		if (option->subcommands & (1u << walk->subcommand))
			continue;
		for (int j = 0; j < SUBCOMMAND_COUNT; j++) {
			if (option->subcommands & (1u << j))
				length += (size_t)snprintf(others + length, sizeof(others) - length, "%s%s", length ? ", " : "",
							   subcommand_table[j].name);
		}
		snprintf(what, sizeof(what), "--%s", option->name);
		return refuse(walk->explain, what, "not an option of this subcommand", "It belongs to: %s. `poolscope help %s` lists what %s takes.",
			      others, subcommand_table[walk->subcommand].name, subcommand_table[walk->subcommand].name);
	}
	return 0;
}

/* What each subcommand must have beyond its options. */
static int check_needs(const struct options *options, bool has_command, struct explain *explain)
{
	const char *name = subcommand_table[options->subcommand].name;
	bool selects = options->n_pids || options->n_names || options->unit || options->cgroup || options->container;

	if (options->subcommand == SUBCOMMAND_CHECK && !options->config)
		return refuse(explain, "check", "which config?", "Name the file: poolscope check FILE.yaml");
	if (has_command && options->subcommand != SUBCOMMAND_TOP)
		return refuse(explain, "--", "this subcommand runs no command", "Use: poolscope top -- CMD ARGS...");
	if (has_command && !options->command[0])
		return refuse(explain, "--", "no command stands after it", "Write: poolscope %s -- CMD ARGS...", name);
	if (has_command && selects)
		return refuse(explain, "--", "there is a command to run and a process to select, and one watches either",
			      "Leave the command or the selector out.");
	if (options->user && !has_command)
		return refuse(explain, "--user", "there is no command to run as that user", "Write: poolscope %s -u %s -- CMD ARGS...",
			      name, options->user);
	if (options->subcommand <= SUBCOMMAND_DUMP && !selects && !has_command && !options->config)
		return refuse(explain, name, "nothing is selected to watch",
			      "Say what: -p PID, -n NAME, --unit U, --cgroup PATH, --container ID, -c CONFIG with targets%s",
			      options->subcommand == SUBCOMMAND_TOP ? ", or -- CMD ARGS..." : ".");
	if (options->subcommand == SUBCOMMAND_SERVE && !selects && !options->config)
		return refuse(explain, name, "nothing is selected to watch",
			      "Say what: -c CONFIG with targets, or -p PID, -n NAME, --unit U, --cgroup PATH, --container ID.");
	return 0;
}

static int finish(struct walk *walk, char **command)
{
	struct options *options = walk->options;
	int about = -1, r;

	if (walk->subcommand == SUBCOMMAND_HELP || options->subcommand == SUBCOMMAND_HELP) {
		if (walk->subcommand == SUBCOMMAND_HELP && walk->operand) {
			r = subcommand_parse(walk->operand, &about, walk->explain);
			if (r < 0)
				return r;
		} else if (walk->subcommand >= 0 && walk->subcommand != SUBCOMMAND_HELP) {
			about = walk->subcommand;
		}
		options->subcommand = SUBCOMMAND_HELP;
		options->help_about = about;
		return 0;
	}
	if (options->subcommand == SUBCOMMAND_VERSION)
		return 0;
	if (walk->subcommand < 0)
		return refuse(walk->explain, "no subcommand", "what shall it do?",
			      "To watch a process live: poolscope top -p PID. `poolscope help` lists the others.");
	options->subcommand = (enum subcommand)walk->subcommand;
	r = check_scopes(walk);
	if (r < 0)
		return r;
	if (walk->operand && options->config)
		return refuse(walk->explain, walk->operand, "a config is named twice", "Name one: poolscope check FILE.yaml");
	if (walk->operand)
		options->config = walk->operand;
	options->command = command;
	return check_needs(options, command != NULL, walk->explain);
}

int options_parse(int argc, char **argv, struct options *ret_options, struct explain *explain)
{
	/* SUBCOMMAND_COUNT: neither --help nor --version were given. */
	struct options options = {
		.subcommand = SUBCOMMAND_COUNT,
		.help_about = -1,
		.interval_ns = NSEC_PER_SEC,
		.cpu_budget = 100,
		.procfs = "/proc",
		.log_level = LOG_LEVEL_INFO,
	};
	struct walk walk = { .options = &options, .explain = explain, .subcommand = -1 };
	int n = 1, r;

	/* All behind the first `--` is the command's own. */
	while (n < argc && strcmp(argv[n], "--") != 0)
		n++;
	r = walk_argv(&walk, n, argv);
	if (r == 0)
		r = finish(&walk, n < argc ? argv + n + 1 : NULL);
	if (r < 0) {
		options_done(&options);
		return r;
	}
	*ret_options = options;
	return 0;
}

void explain_print(const struct explain *explain, FILE *out)
{
	wrapped_print(out, 0, "poolscope: %s%s%s", explain->what, explain->why[0] ? ": " : "", explain->why);
	if (explain->remedy[0])
		wrapped_print(out, 2, "  %s", explain->remedy);
}
