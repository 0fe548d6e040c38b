/* SPDX-License-Identifier: GPL-2.0-only */
/* The log: one event, one line of logfmt, to stderr or to wherever the sink leads. It must not know
 * what events mean beyond the change of a limit's state, which it puts into words for everyone. */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = { "debug", "info", "warn", "error" };
_Static_assert(ARRAY_SIZE(level_names) == LOG_LEVEL_COUNT, "a level without a name");

/* The HTTP server's threads log too. */
static struct {
	pthread_mutex_t lock;
	enum log_level level;
	void (*write_line)(void *context, const char *line, size_t length);
	void *context;
	uint64_t dropped; /* lines that stderr had no room for, since the last that it took */
} log_state = { .lock = PTHREAD_MUTEX_INITIALIZER, .level = LOG_LEVEL_INFO };

struct line {
	size_t length;
	char text[LOG_LINE_SIZE];
};

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

int log_level_parse(const char *name, enum log_level *ret_level)
{
	for (size_t i = 0; i < LOG_LEVEL_COUNT; i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return -ENOENT;
}

void log_set_level(enum log_level level)
{
	pthread_mutex_lock(&log_state.lock);
	log_state.level = level;
	pthread_mutex_unlock(&log_state.lock);
}

void log_set_sink(void (*write_line)(void *context, const char *line, size_t length), void *context)
{
	pthread_mutex_lock(&log_state.lock);
	log_state.write_line = write_line;
	log_state.context = context;
	pthread_mutex_unlock(&log_state.lock);
}

/* Whole or not at all: half an escape sequence would change what follows. Room is kept for the
 * closing quote and the newline. */
static bool line_add(struct line *line, const char *text, size_t length)
{
	if (line->length + length > sizeof(line->text) - 2)
		return false;
	memcpy(line->text + line->length, text, length);
	line->length += length;
	return true;
}

static bool needs_quotes(const char *value)
{
	if (!*value)
		return true;
	for (const unsigned char *at = (const unsigned char *)value; *at; at++) {
		if (*at <= ' ' || *at >= 0x7f || *at == '"' || *at == '=' || *at == '\\')
			return true;
	}
	return false;
}

/* Everything but printable ASCII leaves as an escape: a name must neither end the line nor reach
 * the terminal, and half a UTF-8 sequence must not make the line invalid. */
static void line_add_quoted(struct line *line, const char *value)
{
	line_add(line, "\"", 1);
	for (const unsigned char *at = (const unsigned char *)value; *at; at++) {
		char escape[8];
		int length;

		if (*at == '"' || *at == '\\')
			length = snprintf(escape, sizeof(escape), "\\%c", *at);
		else if (*at == '\n')
			length = snprintf(escape, sizeof(escape), "\\n");
		else if (*at == '\t')
			length = snprintf(escape, sizeof(escape), "\\t");
		else if (*at < ' ' || *at >= 0x7f)
			length = snprintf(escape, sizeof(escape), "\\x%02x", *at);
		else
			length = snprintf(escape, sizeof(escape), "%c", *at);
		if (!line_add(line, escape, (size_t)length))
			break;
	}
	line->text[line->length++] = '"';
}

static void line_add_pair(struct line *line, const char *key, const char *value)
{
	char head[64];
	int length = snprintf(head, sizeof(head), "%s%s=", line->length ? " " : "", key);

	/* A key without room for any value says less than nothing. */
	if (line->length + (size_t)length + 3 > sizeof(line->text) - 2 || !line_add(line, head, (size_t)length))
		return;
	if (needs_quotes(value))
		line_add_quoted(line, value);
	else if (!line_add(line, value, strlen(value)))
		line_add_quoted(line, value);
}

static void time_format(uint64_t realtime_ns, char *buffer, size_t size)
{
	time_t seconds = (time_t)(realtime_ns / NSEC_PER_SEC);
	struct tm tm;
	size_t length;

	if (!gmtime_r(&seconds, &tm)) {
		snprintf(buffer, size, "n/a");
		return;
	}
	length = strftime(buffer, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buffer + length, size - length, ".%03uZ", (unsigned)(realtime_ns / NSEC_PER_MSEC % 1000));
}

static void line_begin(struct line *line, enum log_level level, const char *event)
{
	char now_text[40];
	struct timespec now;

	line->length = 0;
	/* systemd sets it; the journal keeps the time of each line itself. */
	if (!getenv("JOURNAL_STREAM")) {
		clock_gettime(CLOCK_REALTIME, &now);
		time_format((uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec, now_text, sizeof(now_text));
		line_add_pair(line, "time", now_text);
	}
	line_add_pair(line, "level", level_names[level]);
	line_add_pair(line, "event", event);
}

#define PATIENCE_MS 100

/* A pipe that takes anything takes a page, which is more than a line. A reader is given time once, not for each line. */
static bool stderr_has_room(void)
{
	struct pollfd stderr_poll = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&stderr_poll, 1, log_state.dropped ? 0 : PATIENCE_MS) != 0;
}

/* A terminal that takes anything may take less than a line. As a file of our own it does not wait, and nobody else's of the
 * same terminal is changed. */
static int stderr_to_write(void)
{
	static bool was_asked;
	static int terminal = -1;

	if (!was_asked && isatty(STDERR_FILENO))
		terminal = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	was_asked = true;
	return terminal >= 0 ? terminal : STDERR_FILENO;
}

static void write_stderr(struct line *line)
{
	ssize_t written;

	/* One write, so that lines of several writers do not mix. A log that cannot be written is no reason to stop. */
	line->text[line->length++] = '\n';
	written = write(stderr_to_write(), line->text, line->length);
	log_state.dropped += written < 0 && errno == EAGAIN;
}

/* Whoever reads the log may have got stuck; the agent must not, with it. */
static void try_stderr(struct line *line)
{
	if (log_state.dropped && stderr_has_room()) {
		struct line told;

		line_begin(&told, LOG_LEVEL_WARN, "log_lines_dropped");
		line_add_pair(&told, "lines", LOG_NUMBER(log_state.dropped));
		line_add_pair(&told, "why", "stderr took no more");
		log_state.dropped = 0;
		write_stderr(&told);
	}
	if (stderr_has_room())
		write_stderr(line);
	else
		log_state.dropped++;
}

static void line_end(struct line *line)
{
	if (!log_state.write_line) {
		try_stderr(line);
		return;
	}
	line->text[line->length++] = '\n';
	log_state.write_line(log_state.context, line->text, line->length);
}

void log_event(enum log_level level, const char *event, ...)
{
	const char *key;
	va_list pairs;

	pthread_mutex_lock(&log_state.lock);
	if (level >= log_state.level) {
		struct line line;

		line_begin(&line, level, event);
		va_start(pairs, event);
		while ((key = va_arg(pairs, const char *))) {
			const char *value = va_arg(pairs, const char *);

			if (value)
				line_add_pair(&line, key, value);
		}
		va_end(pairs);
		line_end(&line);
	}
	pthread_mutex_unlock(&log_state.lock);
}

const char *log_number(char *buffer, int64_t number)
{
	snprintf(buffer, 24, "%" PRId64, number);
	return buffer;
}

void log_limit_transition(const struct limit_transition *transition)
{
	const struct snapshot_limit *limit = &transition->limit;
	char value[24] = "n/a", max[24] = "n/a", since[40] = "n/a";

	if (limit->value != UNKNOWN_U64)
		snprintf(value, sizeof(value), "%" PRIu64, limit->value);
	if (limit->max != UNKNOWN_U64)
		snprintf(max, sizeof(max), "%" PRIu64, limit->max);
	if (limit->since_realtime_ns)
		time_format(limit->since_realtime_ns, since, sizeof(since));
	log_event(limit->state == LIMIT_OK ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "limit_state",
		  "process", transition->process, "pid", LOG_NUMBER(transition->pid),
		  "pool", transition->pool[0] ? transition->pool : NULL, "limit", limit_kind_name(limit->kind),
		  "value", value, "max", max, "state", limit_state_name(limit->state),
		  "was", limit_state_name(transition->before), "since", since,
		  "source", limit_source_name(limit->source), NULL);
}

void log_explain(enum log_level level, const char *event, const struct explain *explain)
{
	log_event(level, event, "what", explain->what, "why", explain->why[0] ? explain->why : NULL,
		  "remedy", explain->remedy[0] ? explain->remedy : NULL, NULL);
}

struct log_ring {
	size_t max_lines, n_lines, oldest;
	uint64_t dropped;
	char **lines;
};

int log_ring_new(size_t max_lines, struct log_ring **ret_ring)
{
	_cleanup_(log_ring_freep) struct log_ring *ring = calloc(1, sizeof(*ring));

	if (!ring)
		return -ENOMEM;
	ring->lines = calloc(max_lines, sizeof(*ring->lines));
	if (!ring->lines)
		return -ENOMEM;
	ring->max_lines = max_lines;
	*ret_ring = TAKE_PTR(ring);
	return 0;
}

void log_ring_free(struct log_ring *ring)
{
	if (!ring)
		return;
	for (size_t i = 0; i < ring->max_lines; i++)
		free(ring->lines[i]);
	free(ring->lines);
	free(ring);
}

void log_ring_write(void *context, const char *line, size_t length)
{
	struct log_ring *ring = context;
	char *copy = strndup(line, length);
	size_t slot;

	if (!copy) {
		ring->dropped++;
		return;
	}
	if (ring->n_lines == ring->max_lines) {
		slot = ring->oldest;
		ring->oldest = (ring->oldest + 1) % ring->max_lines;
		ring->dropped++;
	} else {
		slot = (ring->oldest + ring->n_lines) % ring->max_lines;
		ring->n_lines++;
	}
	free(ring->lines[slot]);
	ring->lines[slot] = copy;
}

void log_ring_flush(struct log_ring *ring, FILE *out)
{
	pthread_mutex_lock(&log_state.lock);
	if (ring->dropped)
		fprintf(out, "level=info event=log_cut lines=%" PRIu64 "\n", ring->dropped);
	for (size_t i = 0; i < ring->n_lines; i++)
		fputs(ring->lines[(ring->oldest + i) % ring->max_lines], out);
	ring->n_lines = 0;
	ring->dropped = 0;
	pthread_mutex_unlock(&log_state.lock);
}
