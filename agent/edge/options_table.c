/* SPDX-License-Identifier: GPL-2.0-only */
/* The tables of the command line: subcommands and options, and how each option's argument is read. It must
 * not know how argv is walked. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "config_limit.h"
#include "options.h"
#include "units.h"

static int refuse(struct explain *explain, const char *option, const char *argument, const char *why, const char *remedy)
{
	snprintf(explain->what, sizeof(explain->what), "--%s '%.80s'", option, argument);
	snprintf(explain->why, sizeof(explain->why), "%s", why);
	snprintf(explain->remedy, sizeof(explain->remedy), "%s", remedy);
	return -EINVAL;
}

static int set_pid(struct options *options, const char *argument, struct explain *explain)
{
	uint32_t *pids;
	uint64_t pid;

	/* PID_MAX_LIMIT of 64-bit kernels (include/linux/threads.h). */
	if (count_parse(argument, &pid) < 0 || pid == 0 || pid > 4 * 1024 * 1024)
		return refuse(explain, "pid", argument, "it is no process ID",
			      "Write the number of a process, or select it by name with -n NAME.");
	pids = reallocarray(options->pids, options->n_pids + 1, sizeof(*pids));
	if (!pids)
		return -ENOMEM;
	options->pids = pids;
	options->pids[options->n_pids++] = (uint32_t)pid;
	return 0;
}

static int set_name(struct options *options, const char *argument, struct explain *explain)
{
	const char **names;

	if (!*argument)
		return refuse(explain, "name", argument, "it is empty", "Write a value, or leave the option out.");
	names = reallocarray(options->names, options->n_names + 1, sizeof(*names));
	if (!names)
		return -ENOMEM;
	options->names = names;
	options->names[options->n_names++] = argument;
	return 0;
}

static int set_limit(struct options *options, const char *argument, struct explain *explain)
{
	struct limit_rule *limits, rule;
	char why[sizeof(explain->why)];
	int r = limit_spec_parse(argument, &rule, why, sizeof(why));

	if (r == -EINVAL)
		return refuse(explain, "limit", argument, why,
			      "It is 'POOL:LIMIT=VALUE', such as --limit 'anyio*:threads=40,for=2m'; without POOL: the process.");
	if (r < 0)
		return r;
	for (size_t i = 0; i < options->n_limits; i++)
		if (limit_is_covered(&rule, &options->limits[i]))
			return refuse(explain, "limit", argument,
				      *rule.pool ? "a limit of that kind before it takes all of its pools"
						 : "the process has a limit of that kind already",
				      "The first that matches counts: put the narrower before the wider, and keep one of two alike.");
	limits = reallocarray(options->limits, options->n_limits + 1, sizeof(*limits));
	if (!limits)
		return -ENOMEM;
	options->limits = limits;
	options->limits[options->n_limits++] = rule;
	return 0;
}

static int set_listen(struct options *options, const char *argument, struct explain *explain)
{
	if (address_check(argument) < 0)
		return refuse(explain, "listen", argument, "it is not ADDRESS:PORT",
			      "Write such as 127.0.0.1:10464 or [::1]:10464; :10464 is every address of the machine.");
	options->listen = argument;
	return 0;
}

/* A bare figure is in seconds, as in top -d and sleep. */
static int seconds_parse(const char *argument, uint64_t *ret_ns)
{
	char text[64];

	if (!*argument || strspn(argument, "0123456789.") != strlen(argument))
		return duration_parse(argument, ret_ns);
	if (snprintf(text, sizeof(text), "%ss", argument) >= (int)sizeof(text))
		return -EINVAL;
	return duration_parse(text, ret_ns);
}

static int set_after(struct options *options, const char *argument, struct explain *explain)
{
	if (seconds_parse(argument, &options->after_ns) < 0)
		return refuse(explain, "after", argument, "it is no duration", "Write seconds, such as 2, or 500ms, 30s, 5m.");
	return 0;
}

static int set_interval(struct options *options, const char *argument, struct explain *explain)
{
	uint64_t ns;

	/* Below a tenth of a second the reading itself would be what one sees. */
	if (seconds_parse(argument, &ns) < 0 || ns < 100 * NSEC_PER_MSEC || ns > 3600 * NSEC_PER_SEC)
		return refuse(explain, "interval", argument, "it is no duration from 100ms to 1h",
			      "Write seconds, such as 2, or 500ms, 30s, 5m.");
	options->interval_ns = ns;
	return 0;
}

static int set_count(struct options *options, const char *argument, struct explain *explain)
{
	if (count_parse(argument, &options->count) < 0 || options->count == 0)
		return refuse(explain, "count", argument, "it is no count", "Write how many refreshes it shall show, such as 10.");
	return 0;
}

static int set_cpu_budget(struct options *options, const char *argument, struct explain *explain)
{
	char text[32];
	uint64_t percent;

	/* `1` and `1%` are the same. */
	snprintf(text, sizeof(text), "%.24s%s", argument, strchr(argument, '%') ? "" : "%");
	if (percent_parse(text, &percent) < 0 || percent == 0)
		return refuse(explain, "cpu-budget", argument, "it is no percentage of one core",
			      "Write a figure from 0.01 to 100, such as 1 (the default) or 0.5.");
	options->cpu_budget = (uint32_t)percent;
	return 0;
}

static int set_variant(struct options *options, const char *argument, struct explain *explain)
{
	static const char *const variants[] = { "fexit", "tracepoint", "kretprobe", NULL };

	for (size_t i = 0; variants[i]; i++) {
		if (strcmp(argument, variants[i]) == 0) {
			options->variant = variants[i];
			return 0;
		}
	}
	return refuse(explain, "variant", argument, "there is no such variant",
		      "It is fexit, tracepoint or kretprobe; `poolscope doctor` says which of them this kernel loads.");
}

static int set_ring(struct options *options, const char *argument, struct explain *explain)
{
	uint64_t bytes;

	/* The kernel wants a power of two of whole pages (kernel/bpf/ringbuf.c); above 1 GiB is a typing error. */
	if (bytes_parse(argument, &bytes) < 0 || bytes < (uint64_t)sysconf(_SC_PAGESIZE) || bytes > 1ULL << 30 ||
	    (bytes & (bytes - 1)) != 0)
		return refuse(explain, "ring", argument, "a ring is a power of two bytes, from one page to 1GiB",
			      "Write such as 1MiB, 4MiB (the default) or 16MiB.");
	options->ring_bytes = (uint32_t)bytes;
	return 0;
}

/* EVENT_MAX_PROCESSES */
#define PROCESSES_MAX 8192

static int set_max_processes(struct options *options, const char *argument, struct explain *explain)
{
	char *end;
	unsigned long count = strtoul(argument, &end, 10);

	if (argument[0] < '1' || argument[0] > '9' || *end || count > PROCESSES_MAX)
		return refuse(explain, "max-processes", argument, "it is a number from 1 to 8192",
			      "Targets and the children that -f takes in count together; 8192 is the default.");
	options->max_processes = (uint32_t)count;
	return 0;
}

static int set_log_level(struct options *options, const char *argument, struct explain *explain)
{
	if (log_level_parse(argument, &options->log_level) < 0)
		return refuse(explain, "log-level", argument, "there is no such level", "It is debug, info, warn or error.");
	return 0;
}

static int take_text(const char **ret_text, const char *option, const char *argument, struct explain *explain)
{
	if (!*argument)
		return refuse(explain, option, argument, "it is empty", "Write a value, or leave the option out.");
	*ret_text = argument;
	return 0;
}

#define SET_TEXT(field)                                                                          \
	static int set_##field(struct options *options, const char *argument, struct explain *explain) \
	{                                                                                        \
		return take_text(&options->field, #field, argument, explain);                    \
	}
SET_TEXT(cgroup)
SET_TEXT(container)
SET_TEXT(user)
SET_TEXT(config)
SET_TEXT(procfs)

static int set_output(struct options *options, const char *argument, struct explain *explain)
{
	options->output = NULL;
	return strcmp(argument, "-") ? take_text(&options->output, "output", argument, explain) : 0;
}

/* Processes are in services and scopes; a slice has those below it, as a cgroup has. */
static int set_unit(struct options *options, const char *argument, struct explain *explain)
{
	const char *type = strrchr(argument, '.');

	if (type && !strcmp(type, ".slice"))
		return refuse(explain, "unit", argument, "a slice is no unit of processes, but of units",
			      "Watch all below it by --cgroup PATH; `systemctl show -p ControlGroup SLICE` says the path.");
	return take_text(&options->unit, "unit", argument, explain);
}

#define SET_FLAG(field)                                                                          \
	static int set_##field(struct options *options, const char *argument, struct explain *explain) \
	{                                                                                        \
		options->field = true;                                                           \
		return 0;                                                                        \
	}
SET_FLAG(follow_forks)
SET_FLAG(json)
SET_FLAG(mapped)
SET_FLAG(faults)
SET_FLAG(fail_on_over)
SET_FLAG(no_color)

static int set_help(struct options *options, const char *argument, struct explain *explain)
{
	options->subcommand = SUBCOMMAND_HELP;
	return 0;
}

static int set_version(struct options *options, const char *argument, struct explain *explain)
{
	options->subcommand = SUBCOMMAND_VERSION;
	return 0;
}

const struct subcommand_info subcommand_table[SUBCOMMAND_COUNT] = {
	[SUBCOMMAND_TOP] = { "top", "SELECTOR | -- CMD ARGS...", "live dashboard (plain text when there is no terminal)" },
	[SUBCOMMAND_DUMP] = { "dump", "SELECTOR", "one snapshot, then the end" },
	[SUBCOMMAND_SERVE] = { "serve", "[-c CONFIG] [SELECTOR]", "exporter daemon for Prometheus, many targets" },
	[SUBCOMMAND_CHECK] = { "check", "CONFIG", "is this config right, and what would it match now" },
	[SUBCOMMAND_DOCTOR] = { "doctor", "", "what this kernel allows, which variants would be used, what is missing" },
	[SUBCOMMAND_HELP] = { "help", "[SUBCOMMAND]", "this, or all about one subcommand" },
	[SUBCOMMAND_VERSION] = { "version", "", "which version this is" },
};

#define TOP (1u << SUBCOMMAND_TOP)
#define DUMP (1u << SUBCOMMAND_DUMP)
#define SERVE (1u << SUBCOMMAND_SERVE)
#define CHECK (1u << SUBCOMMAND_CHECK)
#define DOCTOR (1u << SUBCOMMAND_DOCTOR)
#define WATCH (TOP | DUMP | SERVE)
#define ANY ((1u << SUBCOMMAND_COUNT) - 1)

const struct option_info option_table[] = {
	{ "pid", 'p', "PID", WATCH, "watch this process (may be repeated)", set_pid },
	{ "name", 'n', "NAME", WATCH, "watch every process of this name: comm or executable (may be repeated)", set_name },
	{ "unit", 0, "UNIT", WATCH, "watch the processes of a systemd unit", set_unit },
	{ "cgroup", 0, "PATH", WATCH, "watch the processes of a control group", set_cgroup },
	{ "container", 0, "ID", WATCH, "watch the processes of a container, by the beginning of its ID", set_container },
	{ "follow-forks", 'f', NULL, WATCH, "take children in: those there are, and those forked later", set_follow_forks },
	{ "user", 'u', "USER", TOP, "run CMD as this user (default: who called sudo)", set_user },
	{ "limit", 0, "POOL:LIMIT=VALUE", WATCH,
	  "allow a pool (a glob) no more than this, such as 'anyio*:threads=40' or '*:resident_bytes_per_thread=80MiB,for=2m'; "
	  "without POOL: the whole process (may be repeated)",
	  set_limit },
	{ "config", 'c', "FILE", WATCH | CHECK, "read targets and limits from this YAML file", set_config },
	{ "config.file", 0, "FILE", WATCH | CHECK, NULL, set_config },
	{ "listen", 0, "ADDRESS:PORT", SERVE, "serve /metrics here (default 127.0.0.1:10464)", set_listen },
	{ "web.listen-address", 0, "ADDRESS:PORT", SERVE, NULL, set_listen },
	{ "json", 0, NULL, DUMP, "print JSON", set_json },
	{ "after", 0, "SECONDS", DUMP, "watch for this long before the snapshot", set_after },
	{ "output", 'o', "FILE", DUMP, "write to this file (default, and -: standard output)", set_output },
	{ "fail-on-over", 0, NULL, TOP | DUMP, "end with 3 if a limit was over: in top at any time, in dump at the end",
	  set_fail_on_over },
	{ "interval", 'i', "SECONDS", WATCH, "time between refreshes (default 1)", set_interval },
	{ "count", 0, "N", TOP, "end after so many refreshes", set_count },
	{ "no-color", 0, NULL, TOP | DUMP | DOCTOR, "no colours (also by the environment variable NO_COLOR)", set_no_color },
	{ "mapped", 0, NULL, SERVE, "export pool_memory_mapped_bytes too: four series more a pool", set_mapped },
	{ "faults", 0, NULL, SERVE, "export pool_page_faults_total too: one series more a pool", set_faults },
	{ "cpu-budget", 0, "PERCENT", WATCH, "CPU time for reading page tables, and for executors, of one core (default 1)", set_cpu_budget },
	{ "variant", 0, "VARIANT", WATCH | DOCTOR, "force the memory probes to fexit, tracepoint or kretprobe", set_variant },
	{ "ring", 0, "BYTES", WATCH, "size of the event ring, a power of two (default 4MiB; below 64KiB it bounds what one target takes of that)", set_ring },
	{ "max-processes", 0, "N", WATCH, "processes watched at one time, children of -f included (default 8192)", set_max_processes },
	{ "procfs", 0, "PATH", WATCH | CHECK | DOCTOR, "the procfs whose PIDs are meant (default /proc)", set_procfs },
	{ "log-level", 0, "LEVEL", WATCH | CHECK | DOCTOR, "log from debug, info (default), warn or error on", set_log_level },
	{ "help", 'h', NULL, ANY, "what there is to say about a subcommand", set_help },
	{ "version", 'V', NULL, ANY, "which version this is", set_version },
};
_Static_assert(ARRAY_SIZE(option_table) <= OPTIONS_MAX, "raise OPTIONS_MAX");
const size_t n_option_table = ARRAY_SIZE(option_table);
