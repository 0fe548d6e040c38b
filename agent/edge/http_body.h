/* SPDX-License-Identifier: GPL-2.0-only */
/* What the exporter answers with: rendered and compressed at most once a snapshot, shared by all who
 * ask. It must not know connections. */
#ifndef POOLSCOPE_EDGE_HTTP_BODY_H
#define POOLSCOPE_EDGE_HTTP_BODY_H

#include "../view/metrics.h"
#include "http.h"

struct http_bodies;
struct MHD_Response;

int http_bodies_new(const struct http_options *options, struct http_bodies **ret_bodies);
void http_bodies_free(struct http_bodies *bodies);

/* As http_publish(). Answers already on their way keep what they have. */
void http_bodies_publish(struct http_bodies *bodies, const struct snapshot *snapshot);

/* Borrowed; -ENODATA: nothing published; -ENOMEM. */
int http_bodies_metrics(struct http_bodies *bodies, enum metrics_format format, bool gzip,
			struct MHD_Response **ret_response);
struct MHD_Response *http_bodies_landing(struct http_bodies *bodies);

/* True when the snapshot is fresh; text says so, or why not. now_ns: boottime. */
bool http_bodies_health(const struct http_bodies *bodies, uint64_t now_ns, char *text, size_t size);

#endif
