/* SPDX-License-Identifier: GPL-2.0-only */
/* The command line: what is taken, what is refused with which words, and that help, man page and completions
 * know every option of the table. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "edge/options.h"

#define WORDS_MAX 64

/* argv from one line, split at blanks; kept as long as the options point into it. */
struct line {
	char text[1024];
	char *argv[WORDS_MAX];
	int argc;
	struct options options;
	struct explain explain;
};

static int parse(struct line *line, const char *text)
{
	char *next = NULL;

	memset(line, 0, sizeof(*line));
	snprintf(line->text, sizeof(line->text), "poolscope %s", text);
	for (char *word = strtok_r(line->text, " ", &next); word; word = strtok_r(NULL, " ", &next)) {
		assert_true(line->argc < WORDS_MAX - 1);
		line->argv[line->argc++] = word;
	}
	return options_parse(line->argc, line->argv, &line->options, &line->explain);
}

static void good(struct line *line, const char *text)
{
	int r = parse(line, text);

	if (r < 0)
		fail_msg("%s: %s: %s: %s", text, line->explain.what, line->explain.why, line->explain.remedy);
}

static void defaults(void **state)
{
	struct line line;

	good(&line, "top -p 1");
	assert_int_equal(line.options.subcommand, SUBCOMMAND_TOP);
	assert_int_equal(line.options.n_pids, 1);
	assert_int_equal(line.options.interval_ns, NSEC_PER_SEC);
	assert_int_equal(line.options.cpu_budget, 100);
	assert_int_equal(line.options.ring_bytes, 0);
	assert_string_equal(line.options.procfs, "/proc");
	assert_int_equal(line.options.log_level, LOG_LEVEL_INFO);
	assert_null(line.options.variant);
	assert_null(line.options.command);
	assert_null(line.options.listen);
	options_done(&line.options);
}

static void everything_at_once(void **state)
{
	struct line line;
	const struct options *o = &line.options;

	good(&line, "-f top -p 7 -p8 --name=java -n node --unit a.service --cgroup /x --container 4f3a --limit a:b*:threads=40,for=2m "
		    "--limit threads=90% -c f.yaml -i 2 --count 5 --no-color --cpu-budget 0.5 --variant tracepoint --ring 1MiB --max-processes 12 --procfs /p");
	assert_int_equal(o->n_pids, 2);
	assert_int_equal(o->pids[0], 7);
	assert_int_equal(o->pids[1], 8);
	assert_int_equal(o->n_names, 2);
	assert_string_equal(o->names[0], "java");
	assert_string_equal(o->names[1], "node");
	assert_string_equal(o->unit, "a.service");
	assert_string_equal(o->cgroup, "/x");
	assert_string_equal(o->container, "4f3a");
	assert_true(o->follow_forks);
	assert_int_equal(o->n_limits, 2);
	assert_string_equal(o->limits[0].pool, "a:b*");
	assert_int_equal(o->limits[0].value, 40);
	assert_int_equal(o->limits[0].for_ns, 120 * NSEC_PER_SEC);
	assert_int_equal(o->limits[0].source, LIMIT_SOURCE_OPTION);
	assert_string_equal(o->limits[1].pool, "");
	assert_int_equal(o->limits[1].value, 9000);
	assert_true(o->limits[1].is_percent);
	assert_string_equal(o->config, "f.yaml");
	assert_int_equal(o->interval_ns, 2 * NSEC_PER_SEC);
	assert_int_equal(o->count, 5);
	assert_true(o->no_color);
	assert_int_equal(o->cpu_budget, 50);
	assert_string_equal(o->variant, "tracepoint");
	assert_int_equal(o->ring_bytes, 1 << 20);
	assert_int_equal(o->max_processes, 12);
	assert_string_equal(o->procfs, "/p");
	options_done(&line.options);
}

static void commands(void **state)
{
	struct line line;

	good(&line, "top -u nobody --count 3 --fail-on-over -- prog -p 3 -- --json");
	assert_string_equal(line.options.command[0], "prog");
	assert_string_equal(line.options.command[1], "-p");
	assert_string_equal(line.options.command[3], "--");
	assert_string_equal(line.options.command[4], "--json");
	assert_null(line.options.command[5]);
	assert_int_equal(line.options.n_pids, 0);
	assert_string_equal(line.options.user, "nobody");
	assert_true(line.options.fail_on_over && !line.options.json);
	assert_true(options_have_target(&line.options));
	options_done(&line.options);
}

static void dumps(void **state)
{
	struct line line;

	good(&line, "dump -n x --json --after 1.5 -o x --fail-on-over");
	assert_true(line.options.json && line.options.fail_on_over);
	assert_int_equal(line.options.after_ns, 1500 * NSEC_PER_MSEC);
	assert_string_equal(line.options.output, "x");
	assert_null(line.options.command);
	options_done(&line.options);
}

static void servers_and_checks(void **state)
{
	struct line line;

	good(&line, "serve --config.file=a.yaml --web.listen-address=:9100 --log-level debug");
	assert_string_equal(line.options.config, "a.yaml");
	assert_string_equal(line.options.listen, ":9100");
	assert_int_equal(line.options.log_level, LOG_LEVEL_DEBUG);
	assert_false(options_have_target(&line.options));
	good(&line, "serve -n java --listen [::1]:0");
	assert_string_equal(line.options.listen, "[::1]:0");
	options_done(&line.options);
	good(&line, "check a.yaml");
	assert_string_equal(line.options.config, "a.yaml");
	good(&line, "check -c a.yaml");
	assert_string_equal(line.options.config, "a.yaml");
	good(&line, "doctor");
	assert_int_equal(line.options.subcommand, SUBCOMMAND_DOCTOR);
}

static void help_and_version(void **state)
{
	static const struct {
		const char *text;
		int subcommand, about;
	} cases[] = {
		{ "--help", SUBCOMMAND_HELP, -1 },	    { "-h", SUBCOMMAND_HELP, -1 },
		{ "help", SUBCOMMAND_HELP, -1 },	    { "help dump", SUBCOMMAND_HELP, SUBCOMMAND_DUMP },
		{ "top --help", SUBCOMMAND_HELP, SUBCOMMAND_TOP }, { "serve -h", SUBCOMMAND_HELP, SUBCOMMAND_SERVE },
		{ "--version", SUBCOMMAND_VERSION, -1 },    { "-V", SUBCOMMAND_VERSION, -1 },
		{ "version", SUBCOMMAND_VERSION, -1 },	    { "top -V", SUBCOMMAND_VERSION, -1 },
	};
	struct line line;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		good(&line, cases[i].text);
		assert_int_equal(line.options.subcommand, cases[i].subcommand);
		assert_int_equal(line.options.help_about, cases[i].about);
	}
}

/* Each with what its message must say. */
static const struct {
	const char *text, *what, *why, *remedy;
} wrong[] = {
	{ "", "no subcommand", "what shall it do?", "poolscope top -p PID" },
	{ "-p 1", "no subcommand", "what shall it do?", "poolscope top" },
	{ "tpo -p 1", "tpo", "no such subcommand", "Did you mean `poolscope top`?" },
	{ "nginx", "nginx", "no such subcommand", "poolscope top -n nginx" },
	{ "record -p 1 -o x", "record", "not in this version", "poolscope help" },
	{ "replay x", "replay", "not in this version", "poolscope help" },
	{ "report x", "report", "not in this version", "poolscope help" },
	{ "help rekord", "rekord", "no such subcommand", "" },
	{ "top", "top", "nothing is selected", "-p PID" },
	{ "dump --json", "dump", "nothing is selected", "-p PID" },
	{ "serve", "serve", "nothing is selected", "-c CONFIG" },
	{ "check", "check", "which config?", "poolscope check FILE.yaml" },
	{ "check a b", "b", "one word too many", "" },
	{ "check a -c b", "a", "named twice", "" },
	{ "top 4711", "4711", "belongs to no option", "-p 4711" },
	{ "doctor x", "x", "one word too many", "" },
	{ "top --fololw-forks -p 1", "--fololw-forks", "no such option", "Did you mean --follow-forks?" },
	{ "top --jsno=1 -p 1", "--jsno=1", "no such option", "--json" },
	{ "top --zzzz -p 1", "--zzzz", "no such option", "poolscope help" },
	{ "top -fZ -p 1", "-Z", "no such option", "" },
	{ "top --n -p 1", "--n", "no such option", "" },
	{ "top -p", "-p", "argument is missing", "-p PID" },
	{ "top --limit", "--limit", "argument is missing", "POOL:LIMIT=VALUE" },
	{ "top --limit -- x", "--limit", "argument is missing", "" },
	{ "dump --json=1 -p 1", "--json=1", "takes no argument", "--json" },
	{ "top --json -p 1", "--json", "not an option of this subcommand", "dump" },
	{ "doctor -p 1", "--pid", "not an option of this subcommand", "top, dump, serve" },
	{ "top -p 1 -- x", "--", "watches either", "" },
	{ "top --", "--", "no command stands after it", "" },
	{ "serve -c x -- y", "--", "runs no command", "" },
	{ "dump -- y", "--", "runs no command", "top -- CMD" },
	{ "dump -n x -u me", "--user", "not an option of this subcommand", "top" },
	{ "top -u me -p 1", "--user", "no command", "-- CMD" },
	{ "top -p 0", "--pid '0'", "no process ID", "-n NAME" },
	{ "top --unit system.slice", "--unit", "slice is no unit of processes", "--cgroup PATH" },
	{ "top --unit=", "--unit", "is empty", "leave the option out" },
	{ "top -p 1 --limit threads=3 --limit threads=4", "--limit", "already", "keep one" },
	{ "top -p 1 --limit *:threads=3 --limit a-*:threads=4", "--limit", "takes all of its pools", "narrower before" },
	{ "top -p 1 --limit a*:threads=3 --limit ab?:threads=4", "--limit", "takes all of its pools", "narrower before" },
	{ "top -p 1 --limit :threads=3", "--limit", "name is empty", "POOL:LIMIT=VALUE" },
	{ "top 12", "12", "belongs to no option", "number: -p 12" },
	{ "top name", "name", "belongs to no option", "name: -n name" },
	{ "top -p nginx", "--pid 'nginx'", "no process ID", "-n NAME" },
	{ "top -p 99999999999999999999", "--pid", "no process ID", "" },
	{ "top -p -1", "--pid '-1'", "no process ID", "" },
	{ "top -p 1 --limit 40", "--limit '40'", "is no limit", "POOL:LIMIT=VALUE" },
	{ "top -p 1 --limit a:thread=40", "--limit", "did you mean 'threads'?", "" },
	{ "top -p 1 --limit a:colour=40", "--limit", "there are threads, resident_bytes,", "" },
	{ "top -p 1 --limit a:threads=many", "--limit", "'many' is not understood; write a count", "" },
	{ "top -p 1 --limit a:threads=1,warm=3%", "--limit", "warn=80%", "" },
	{ "top -p 1 --limit a:threads=1,for=3", "--limit", "did you mean '3s'?", "" },
	{ "top -p 1 --limit resident_bytes=6G", "--limit", "did you mean '6GiB'?", "" },
	{ "top -p 1 --limit threads_started_per_minute=6%", "--limit", "no natural bound", "" },
	{ "top -p 1 --limit 1234567890123456789012345678901234567890123456789012345678901234:threads=1", "--limit",
	  "longer than 63 bytes", "" },
	{ "serve -n a --listen nowhere", "--listen 'nowhere'", "not ADDRESS:PORT", "127.0.0.1:10464" },
	{ "dump -p 1 --after soon", "--after 'soon'", "no duration", "" },
	{ "top -p 1 -i 0.01", "--interval", "from 100ms", "" },
	{ "top -p 1 --count 0", "--count", "no count", "" },
	{ "top -p 1 --cpu-budget 200", "--cpu-budget", "no percentage", "" },
	{ "top -p 1 --variant kprobe", "--variant", "no such variant", "poolscope doctor" },
	{ "top -p 1 --ring 3MiB", "--ring", "power of two", "4MiB" },
	{ "top -p 1 --max-processes 0", "--max-processes", "1 to 8192", "-f" },
	{ "top -p 1 --max-processes 8193", "--max-processes", "1 to 8192", "-f" },
	{ "top -p 1 --max-processes 5x", "--max-processes", "1 to 8192", "-f" },
	{ "top -p 1 --ring 1", "--ring", "power of two", "4MiB" },
	{ "top -p 1 --unit=", "--unit ''", "empty", "" },
	{ "doctor --log-level loud", "--log-level", "no such level", "warn" },
};

static void wrong_lines_are_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct line line;

		if (parse(&line, wrong[i].text) != -EINVAL)
			fail_msg("'%s' was taken", wrong[i].text);
		if (!strstr(line.explain.what, wrong[i].what) || !strstr(line.explain.why, wrong[i].why) ||
		    !strstr(line.explain.remedy, wrong[i].remedy) || !line.explain.remedy[0])
			fail_msg("'%s': %s: %s: %s", wrong[i].text, line.explain.what, line.explain.why, line.explain.remedy);
	}
}

static char *help_text(int about)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	options_help(out, about);
	fclose(out);
	return text;
}

static char *file_text(const char *path)
{
	FILE *in = fopen(path, "re");
	char *text = calloc(1, 1 << 20);

	if (!in)
		fail_msg("cannot open %s", path);
	assert_true(fread(text, 1, (1 << 20) - 1, in) > 0);
	fclose(in);
	return text;
}

/* As a whole word: not as the beginning of a longer name. */
static bool has_word(const char *text, const char *word)
{
	for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) {
		char next = at[strlen(word)];

		if (!strchr("abcdefghijklmnopqrstuvwxyz-.", next) || !next)
			return true;
	}
	return false;
}

static void help_knows_every_option(void **state)
{
	for (int about = 0; about < SUBCOMMAND_COUNT; about++) {
		_cleanup_(freep) char *text = help_text(about);

		assert_non_null(strstr(text, subcommand_table[about].summary));
		for (size_t i = 0; i < n_option_table; i++) {
			char word[64];

			snprintf(word, sizeof(word), "--%s", option_table[i].name);
			if (has_word(text, word) != !!(option_table[i].subcommands & (1u << about)))
				fail_msg("help of %s and %s", subcommand_table[about].name, word);
		}
		for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1)
			assert_true(end - line <= 100);
	}
}

static void help_of_the_program(void **state)
{
	_cleanup_(freep) char *text = help_text(-1);

	for (int i = 0; i < SUBCOMMAND_COUNT; i++) {
		char words[64];

		snprintf(words, sizeof(words), "poolscope %s ", subcommand_table[i].name);
		assert_non_null(strstr(text, words));
	}
	assert_null(strstr(text, "record"));
	assert_null(strstr(text, "replay"));
	assert_non_null(strstr(text, "--container ID"));
}

/* `format`: how the file spells an option's name; `lead`: what it writes for a '-' (roff: "\-"). */
static void check_file(const char *path, const char *format, const char *dash)
{
	_cleanup_(freep) char *text = file_text(path);

	for (size_t i = 0; i < n_option_table; i++) {
		char name[64], word[96];
		size_t length = 0;

		for (const char *at = option_table[i].name; *at; at++)
			length += (size_t)snprintf(name + length, sizeof(name) - length, *at == '-' ? "%s" : "%.1s",
						   *at == '-' ? dash : at);
		snprintf(word, sizeof(word), format, name);
		if (!has_word(text, word))
			fail_msg("%s does not know --%s (looked for '%s')", path, option_table[i].name, word);
	}
	for (int i = 0; i < SUBCOMMAND_COUNT; i++) {
		if (!has_word(text, subcommand_table[i].name))
			fail_msg("%s does not know the subcommand %s", path, subcommand_table[i].name);
	}
}

static void man_page_knows_every_option(void **state)
{
	check_file("tools/poolscope.8", "\\-\\-%s", "\\-");
}

static void completions_know_every_option(void **state)
{
	check_file("tools/completions/poolscope.bash", "--%s", "-");
	check_file("tools/completions/_poolscope", "--%s", "-");
	check_file("tools/completions/poolscope.fish", "-l %s", "-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(everything_at_once),
		cmocka_unit_test(commands),
		cmocka_unit_test(dumps),
		cmocka_unit_test(servers_and_checks),
		cmocka_unit_test(help_and_version),
		cmocka_unit_test(wrong_lines_are_refused),
		cmocka_unit_test(help_knows_every_option),
		cmocka_unit_test(help_of_the_program),
		cmocka_unit_test(man_page_knows_every_option),
		cmocka_unit_test(completions_know_every_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
