/* SPDX-License-Identifier: GPL-2.0-only */
/* The log: one event, one line of logfmt, to stderr or to wherever the sink leads. It must not know
 * what events mean beyond the change of a limit's state, which it puts into words for everyone. */
#ifndef POOLSCOPE_EDGE_LOG_H
#define POOLSCOPE_EDGE_LOG_H

#include <stdio.h>

#include "../model/model.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR, LOG_LEVEL_COUNT };
const char *log_level_name(enum log_level level);
int log_level_parse(const char *name, enum log_level *ret_level); /* 0, -ENOENT */

/* Events below the level are dropped. Default: info. */
void log_set_level(enum log_level level);

/* Where lines go, newline included; NULL: stderr, which drops (and counts in a line of its own, later) what it has no room
 * for. The sink is called with the log's lock held. */
void log_set_sink(void (*write_line)(void *context, const char *line, size_t length), void *context);

/* level=LEVEL event=EVENT key=value...: pairs of `const char *`, ended by NULL. A NULL value is left
 * out with its key. Values are quoted and escaped as needed; a line is cut at LOG_LINE_SIZE. */
#define LOG_LINE_SIZE 2048
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));

/* A number as a value, good until the end of the enclosing block. */
#define LOG_NUMBER(number) log_number((char[24]){ 0 }, (int64_t)(number))
const char *log_number(char *buffer, int64_t number);

/* event=limit_state: to `over` and `warn` at level warn, back to ok at level info. */
void log_limit_transition(const struct limit_transition *transition);

/* An explain that ends or hampers something, as a line: event=EVENT what= why= remedy=. */
void log_explain(enum log_level level, const char *event, const struct explain *explain);

/* A sink that keeps the newest lines while the dashboard owns the screen. */
struct log_ring;
int log_ring_new(size_t max_lines, struct log_ring **ret_ring);
void log_ring_free(struct log_ring *ring);
DEFINE_CLEANUP(struct log_ring *, log_ring_free)
void log_ring_write(void *ring, const char *line, size_t length);
/* Writes out and forgets what is kept; says how many older lines there was no room for. */
void log_ring_flush(struct log_ring *ring, FILE *out);

#endif
