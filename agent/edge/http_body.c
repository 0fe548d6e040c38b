/* SPDX-License-Identifier: GPL-2.0-only */
/* What the exporter answers with: rendered and compressed at most once a snapshot, shared by all who
 * ask. It must not know connections. */
#include "http_body.h"

#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "selfstat.h"

#define REFRESH_NS_DEFAULT NSEC_PER_SEC
/* A snapshot older than this many refreshes says that the agent does not keep up. */
#define REFRESHES_FRESH 3
/* deflateInit2(): the largest window, and 16 more for a gzip header (zlib.h). */
#define GZIP_WINDOW_BITS (MAX_WBITS + 16)

struct http_bodies {
	const struct snapshot *snapshot; /* borrowed; NULL: none */
	uint64_t refresh_ns;
	bool mapped, faults;
	double start_time_seconds; /* read once: a clock that is set must not look like a restart */
	struct MHD_Response *landing;
	struct MHD_Response *metrics[METRICS_FORMAT_COUNT][2]; /* [1]: gzip; NULL: not asked for yet */
};

static const char *const content_types[] = {
	[METRICS_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
	[METRICS_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
};
_Static_assert(ARRAY_SIZE(content_types) == METRICS_FORMAT_COUNT, "one content type for each format");

static struct MHD_Response *response_new(char *text, size_t size, const char *content_type)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE);

	if (!response) {
		free(text);
		return NULL;
	}
	MHD_add_response_header(response, "Content-Type", content_type);
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	return response;
}

static struct MHD_Response *landing_new(const char *version)
{
	char *page;
	int size = asprintf(&page,
			    "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">"
			    "<title>poolscope</title></head>\n<body>\n<h1>poolscope</h1>\n<p>Version %s. Which "
			    "executor pool holds the memory.</p>\n<ul>\n"
			    "<li><a href=\"/metrics\">/metrics</a>: Prometheus text format, or OpenMetrics if asked for</li>\n"
			    "<li><a href=\"/healthz\">/healthz</a>: 200 while snapshots are fresh</li>\n"
			    "</ul>\n</body>\n</html>\n", version);
	struct MHD_Response *response = size < 0 ? NULL : response_new(page, size, "text/html; charset=utf-8");

	if (response)
		MHD_add_response_header(response, "Content-Security-Policy", "default-src 'none'");
	return response;
}

int http_bodies_new(const struct http_options *options, struct http_bodies **ret_bodies)
{
	struct http_bodies *bodies = calloc(1, sizeof(*bodies));
	struct self_stat self;

	if (!bodies)
		return -ENOMEM;
	selfstat_read(&self);
	bodies->start_time_seconds = self.start_time_seconds;
	bodies->refresh_ns = options->refresh_ns ?: REFRESH_NS_DEFAULT;
	bodies->mapped = options->mapped;
	bodies->faults = options->faults;
	bodies->landing = landing_new(options->version ?: "unknown");
	if (!bodies->landing) {
		free(bodies);
		return -ENOMEM;
	}
	*ret_bodies = bodies;
	return 0;
}

void http_bodies_publish(struct http_bodies *bodies, const struct snapshot *snapshot)
{
	struct MHD_Response **all = &bodies->metrics[0][0];

	for (size_t i = 0; i < sizeof(bodies->metrics) / sizeof(*all); i++) {
		if (all[i])
			MHD_destroy_response(all[i]); /* lives on where it is being sent */
		all[i] = NULL;
	}
	bodies->snapshot = snapshot;
}

void http_bodies_free(struct http_bodies *bodies)
{
	if (!bodies)
		return;
	http_bodies_publish(bodies, NULL);
	MHD_destroy_response(bodies->landing);
	free(bodies);
}

/* 0 or -ENOMEM; the caller frees *ret_packed. */
static int gzip_pack(char *text, size_t size, char **ret_packed, size_t *ret_size)
{
	z_stream stream = {.next_in = (Bytef *)text, .avail_in = size};

	if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW_BITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	size_t room = deflateBound(&stream, size);
	_cleanup_(freep) char *packed = malloc(room);

	stream.next_out = (Bytef *)packed;
	stream.avail_out = room;
	int result = packed ? deflate(&stream, Z_FINISH) : Z_MEM_ERROR;

	deflateEnd(&stream);
	if (result != Z_STREAM_END)
		return -ENOMEM;
	*ret_packed = TAKE_PTR(packed);
	*ret_size = stream.total_out;
	return 0;
}

static int metrics_new(const struct http_bodies *bodies, enum metrics_format format, bool gzip,
		       struct MHD_Response **ret_response)
{
	struct self_stat self;
	const struct metrics_options options = {
		.mapped = bodies->mapped, .faults = bodies->faults, .self = &self};
	_cleanup_(freep) char *text = NULL, *packed = NULL;
	size_t size;

	selfstat_read(&self);
	self.start_time_seconds = bodies->start_time_seconds;
	int r = metrics_render(bodies->snapshot, format, &options, &text, &size);

	if (!r && gzip)
		r = gzip_pack(text, size, &packed, &size);
	if (r)
		return r;
	struct MHD_Response *response =
		response_new(gzip ? TAKE_PTR(packed) : TAKE_PTR(text), size, content_types[format]);

	if (!response)
		return -ENOMEM;
	MHD_add_response_header(response, "Vary", "Accept, Accept-Encoding");
	MHD_add_response_header(response, "Cache-Control", "no-cache");
	if (gzip)
		MHD_add_response_header(response, "Content-Encoding", "gzip");
	*ret_response = response;
	return 0;
}

int http_bodies_metrics(struct http_bodies *bodies, enum metrics_format format, bool gzip,
			struct MHD_Response **ret_response)
{
	struct MHD_Response **slot = &bodies->metrics[format][gzip];

	if (!bodies->snapshot)
		return -ENODATA;
	int r = *slot ? 0 : metrics_new(bodies, format, gzip, slot);

	if (r)
		return r;
	*ret_response = *slot;
	return 0;
}

struct MHD_Response *http_bodies_landing(struct http_bodies *bodies)
{
	return bodies->landing;
}

bool http_bodies_health(const struct http_bodies *bodies, uint64_t now_ns, char *text, size_t size)
{
	const struct snapshot *snapshot = bodies->snapshot;

	if (!snapshot) {
		snprintf(text, size, "no snapshot yet\n");
		return false;
	}
	uint64_t age_ns = now_ns > snapshot->time_ns ? now_ns - snapshot->time_ns : 0;
	bool is_fresh = age_ns <= REFRESHES_FRESH * bodies->refresh_ns;

	snprintf(text, size, is_fresh ? "ok\n" : "the last snapshot is %.1f s old; one is due every %.1f s\n",
		 (double)age_ns / NSEC_PER_SEC, (double)bodies->refresh_ns / NSEC_PER_SEC);
	return is_fresh;
}
