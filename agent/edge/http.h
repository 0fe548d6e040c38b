/* SPDX-License-Identifier: GPL-2.0-only */
/* The exporter's HTTP server: /metrics, /healthz and a landing page, in the agent's own event loop.
 * It must not know targets: a request reads the last snapshot, so its cost is the same whoever asks. */
#ifndef POOLSCOPE_EDGE_HTTP_H
#define POOLSCOPE_EDGE_HTTP_H

#include "../model/snapshot.h"

struct http;

/* Each takes an open file; the others wait. */
#define HTTP_CONNECTIONS 64

struct http_options {
	const char *listen;	     /* as http_listen() takes it; NULL: HTTP_LISTEN_DEFAULT */
	const char *version;	     /* of the agent, for the landing page; NULL: none */
	uint64_t refresh_ns;	     /* how often snapshots are published; 0: 1 s */
	bool mapped, faults;	     /* struct metrics_options */
	uint32_t max_connections;    /* 0: 64 */
	uint32_t max_connections_ip; /* of one client address; 0: half of the above */
	uint32_t timeout_seconds;    /* without progress; a request as a whole has three times that; 0: 10 */
};

/* Listens at once. Wiring: loop_add_fd(http_fd, http_run) and a timer at http_deadline(), to be set anew
 * after each http_run(). 0 or -errno with *ret_explain. */
int http_open(const struct http_options *options, struct http **ret_http, struct explain *ret_explain);
/* Closes every connection. */
void http_close(struct http *http);
DEFINE_CLEANUP(struct http *, http_close)

/* The address that it listens on, "127.0.0.1:10464". */
const char *http_name(const struct http *http);

/* Readable when there is work; stays the server's. */
int http_fd(const struct http *http);
/* Does what is ready, never blocks. 0 or -EIO. */
int http_run(struct http *http);
/* Boottime at which http_run() must be called even if the fd is quiet; UINT64_MAX: never. */
uint64_t http_deadline(const struct http *http);

/* From now on requests see this snapshot. It is borrowed until the next publish (NULL: none any more)
 * or http_close(): publish the new one before freeing the old. Rendered when first asked for, at most
 * once a format and encoding. */
void http_publish(struct http *http, const struct snapshot *snapshot);

/* For the linker (Makefile): what libmicrohttpd's calls of gnutls end in. 0: gnutls is ready. */
int http_no_tls(void);

#endif
