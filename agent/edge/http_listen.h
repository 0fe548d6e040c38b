/* SPDX-License-Identifier: GPL-2.0-only */
/* Turns ADDRESS:PORT into a listening socket, or into words that say why not.
 * It must not know what is served on it. */
#ifndef POOLSCOPE_EDGE_HTTP_LISTEN_H
#define POOLSCOPE_EDGE_HTTP_LISTEN_H

#include "../base.h"

#define HTTP_LISTEN_DEFAULT "127.0.0.1:10464"

/* `listen` is "127.0.0.1:10464", "[::1]:10464", "host:10464" or ":10464" (every address, both families);
 * port 0 lets the kernel choose. The caller closes *ret_fd (non-blocking, close-on-exec). 0 or -errno. */
int http_listen(const char *listen, int *ret_fd, struct explain *ret_explain);

/* The address that the socket is bound to, as ADDRESS:PORT; size 64 fits all. 0 or -errno. */
int http_listen_name(int fd, char *name, size_t size);

#endif
