/* SPDX-License-Identifier: GPL-2.0-only */
/* What a client can take, read from its Accept headers (RFC 9110, section 12.5): pure text work.
 * It must not know the HTTP library or what is served. */
#ifndef POOLSCOPE_EDGE_HTTP_NEGOTIATE_H
#define POOLSCOPE_EDGE_HTTP_NEGOTIATE_H

#include "../view/metrics.h"

/* OpenMetrics when it is asked for by name (version 1.0.0 or none given) and not less welcome than the
 * text format; else the text format, whatever the header says. NULL: no header. */
enum metrics_format http_negotiate_format(const char *accept);

/* True when gzip is welcome and not less so than the plain bytes. */
bool http_negotiate_gzip(const char *accept_encoding);

#endif
