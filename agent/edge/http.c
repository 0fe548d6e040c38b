/* SPDX-License-Identifier: GPL-2.0-only */
/* The HTTP server around libmicrohttpd: connections and their bounds, routes, answers to misuse.
 * It must not know what the bodies mean (http_body.c) or how an address is parsed (http_listen.c). */
#include "http.h"
#include "../boottime.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_body.h"
#include "http_listen.h"
#include "http_negotiate.h"
#include "loop.h"

#define TIMEOUT_SECONDS_DEFAULT 10
/* Request line, headers and the answer's headers; a longer request gets 414 or 431. Prometheus sends
 * about 400 bytes. */
#define CONNECTION_MEMORY (16 * 1024)
/* libmicrohttpd's timeout begins anew with each byte; this many of them bound a whole request, so
 * that a client which trickles cannot keep its place. */
#define REQUEST_TIMEOUTS 3

/* A connection, from accept to close. */
struct slot {
	int fd;		   /* -1: free */
	uint64_t since_ns; /* boottime of the accept or of the last request's end */
};

struct http {
	struct MHD_Daemon *daemon;
	struct http_bodies *bodies;
	char name[64];
	int epoll_fd;
	uint64_t request_timeout_ns;
	bool has_closed; /* a connection, in the last run */
	uint32_t n_slots;
	struct slot slots[];
};

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status, const char *text)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY);

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, "Content-Type", "text/plain; charset=utf-8");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, "Allow", "GET, HEAD");
	enum MHD_Result result = MHD_queue_response(connection, status, response);

	MHD_destroy_response(response);
	return result;
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static enum MHD_Result send_metrics(struct http *http, struct MHD_Connection *connection)
{
	enum metrics_format format = http_negotiate_format(header(connection, "Accept"));
	bool gzip = http_negotiate_gzip(header(connection, "Accept-Encoding"));
	struct MHD_Response *response;
	int r = http_bodies_metrics(http->bodies, format, gzip, &response);

	if (r == -ENODATA)
		return send_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "no snapshot yet\n");
	if (r)
		return send_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n");
	return MHD_queue_response(connection, MHD_HTTP_OK, response);
}

static enum MHD_Result send_health(struct http *http, struct MHD_Connection *connection)
{
	char text[160];
	bool is_healthy = http_bodies_health(http->bodies, boottime(), text, sizeof(text));

	return send_text(connection, is_healthy ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, text);
}

static enum MHD_Result send_landing(struct http *http, struct MHD_Connection *connection)
{
	return MHD_queue_response(connection, MHD_HTTP_OK, http_bodies_landing(http->bodies));
}

static const struct route {
	const char *path;
	enum MHD_Result (*send)(struct http *http, struct MHD_Connection *connection);
} routes[] = {
	{"/", send_landing},
	{"/metrics", send_metrics},
	{"/healthz", send_health},
};

static bool has_body(struct MHD_Connection *connection)
{
	const char *length = header(connection, "Content-Length");

	return header(connection, "Transfer-Encoding") || (length && strcmp(length, "0"));
}

/* libmicrohttpd calls once when the headers are there, and again for the answer: an answer in the first
 * call ends the connection, which is right for misuse and wrong for everything else. */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *upload, size_t *upload_size,
			      void **request)
{
	struct http *http = context;

	if (!*request) {
		*request = http;
		if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
			return send_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
		if (has_body(connection))
			return send_text(connection, MHD_HTTP_BAD_REQUEST, "a request here has no body\n");
		return MHD_YES;
	}
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		if (!strcmp(url, routes[i].path))
			return routes[i].send(http, connection);
	}
	return send_text(connection, MHD_HTTP_NOT_FOUND, "not found; there are /, /metrics and /healthz\n");
}

static void completed(void *context, struct MHD_Connection *connection, void **request,
		      enum MHD_RequestTerminationCode how)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct slot *slot = info ? info->socket_context : NULL;

	if (slot)
		slot->since_ns = boottime();
}

static void connection_changed(void *context, struct MHD_Connection *connection, void **socket_context,
			       enum MHD_ConnectionNotificationCode code)
{
	struct http *http = context;
	struct slot *slot = *socket_context;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (slot)
			slot->fd = -1;
		http->has_closed = true;
		return;
	}
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	for (uint32_t i = 0; i < http->n_slots; i++) {
		if (http->slots[i].fd >= 0)
			continue;
		http->slots[i] = (struct slot){info->connect_fd, boottime()};
		*socket_context = &http->slots[i];
		return;
	}
}

static void explain_start(struct explain *explain, const char *name)
{
	snprintf(explain->what, sizeof(explain->what), "cannot serve on %s", name);
	snprintf(explain->why, sizeof(explain->why), "the HTTP library did not start");
	snprintf(explain->remedy, sizeof(explain->remedy),
		 "look at the limits on open files and memory (ulimit -n, the unit's LimitNOFILE=)");
}

static struct MHD_Daemon *start_daemon(struct http *http, const struct http_options *options, int fd)
{
	const uint32_t per_ip = options->max_connections_ip ?: (http->n_slots + 1) / 2;
	const uint32_t timeout = options->timeout_seconds ?: TIMEOUT_SECONDS_DEFAULT;

	http->request_timeout_ns = REQUEST_TIMEOUTS * timeout * NSEC_PER_SEC;
	return MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, handle, http,
				MHD_OPTION_LISTEN_SOCKET, fd,
				MHD_OPTION_CONNECTION_LIMIT, http->n_slots,
				MHD_OPTION_PER_IP_CONNECTION_LIMIT, per_ip,
				MHD_OPTION_CONNECTION_TIMEOUT, timeout,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
				MHD_OPTION_STRICT_FOR_CLIENT, 1,
				MHD_OPTION_NOTIFY_COMPLETED, completed, http,
				MHD_OPTION_NOTIFY_CONNECTION, connection_changed, http,
				MHD_OPTION_END);
}

int http_open(const struct http_options *options, struct http **ret_http, struct explain *ret_explain)
{
	const uint32_t n_slots = options->max_connections ?: HTTP_CONNECTIONS;
	_cleanup_(http_closep) struct http *http = calloc(1, sizeof(*http) + n_slots * sizeof(http->slots[0]));
	int fd, r;

	if (!http)
		return -ENOMEM;
	http->n_slots = n_slots;
	for (uint32_t i = 0; i < n_slots; i++)
		http->slots[i].fd = -1;
	r = http_bodies_new(options, &http->bodies);
	if (r)
		return r;
	r = http_listen(options->listen ?: HTTP_LISTEN_DEFAULT, &fd, ret_explain);
	if (r)
		return r;
	http_listen_name(fd, http->name, sizeof(http->name));
	http->daemon = start_daemon(http, options, fd);
	if (!http->daemon) {
		explain_start(ret_explain, http->name);
		return -ENOMEM;
	}
	http->epoll_fd = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	*ret_http = TAKE_PTR(http);
	return 0;
}

void http_close(struct http *http)
{
	if (!http)
		return;
	if (http->daemon)
		MHD_stop_daemon(http->daemon);
	http_bodies_free(http->bodies);
	free(http);
}

int http_no_tls(void)
{
	return 0;
}

const char *http_name(const struct http *http)
{
	return http->name;
}

int http_fd(const struct http *http)
{
	return http->epoll_fd;
}

void http_publish(struct http *http, const struct snapshot *snapshot)
{
	http_bodies_publish(http->bodies, snapshot);
}

int http_run(struct http *http)
{
	const uint64_t now = boottime();

	for (uint32_t i = 0; i < http->n_slots; i++) {
		const struct slot *slot = &http->slots[i];

		/* libmicrohttpd owns the descriptor: it sees the end and closes. */
		if (slot->fd >= 0 && slot->since_ns + http->request_timeout_ns <= now)
			shutdown(slot->fd, SHUT_RDWR);
	}
	http->has_closed = false;
	return MHD_run(http->daemon) == MHD_YES ? 0 : -EIO;
}

uint64_t http_deadline(const struct http *http)
{
	unsigned long long timeout_ms;
	uint64_t deadline = UINT64_MAX;

	/* With all places taken libmicrohttpd (0.9.75) does not listen, and begins anew only in the run
	 * after the one that freed a place, which nothing but this asks for. */
	if (http->has_closed)
		return boottime();
	if (MHD_get_timeout(http->daemon, &timeout_ms) == MHD_YES)
		deadline = boottime() + timeout_ms * NSEC_PER_MSEC;
	for (uint32_t i = 0; i < http->n_slots; i++) {
		const struct slot *slot = &http->slots[i];
		uint64_t end = slot->since_ns + http->request_timeout_ns;

		if (slot->fd >= 0 && end < deadline)
			deadline = end;
	}
	return deadline;
}
