/* SPDX-License-Identifier: GPL-2.0-only */
/* Turns ADDRESS:PORT into a listening socket, or into words that say why not.
 * It must not know what is served on it. */
#include "http_listen.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 64

static void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static void explain_listen(struct explain *explain, const char *listen, const char *why, const char *remedy)
{
	snprintf(explain->what, sizeof(explain->what), "cannot listen on %s", listen);
	snprintf(explain->why, sizeof(explain->why), "%s", why);
	snprintf(explain->remedy, sizeof(explain->remedy), "%s", remedy);
}

/* host: NI_MAXHOST bytes, "" for every address; port: a pointer into `listen`. */
static int split_address(const char *listen, char *host, const char **ret_port)
{
	const char *colon = strrchr(listen, ':');
	size_t length = colon ? (size_t)(colon - listen) : 0;
	bool has_brackets = length >= 2 && listen[0] == '[' && colon[-1] == ']';
	const char *start = listen + has_brackets;

	length -= 2 * has_brackets;
	if (!colon || length >= NI_MAXHOST || (!has_brackets && memchr(listen, ':', length)))
		return -EINVAL;
	size_t digits = strspn(colon + 1, "0123456789");

	if (!digits || digits > 5 || colon[1 + digits] || atoi(colon + 1) > UINT16_MAX)
		return -EINVAL;
	memcpy(host, start, length);
	host[length] = '\0';
	*ret_port = colon + 1;
	return 0;
}

/* 0 and a socket, or the errno of the step that failed, negative. */
static int listen_on(const struct addrinfo *address, int *ret_fd)
{
	const int on = 1, off = 0;
	_cleanup_(closep) int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, address->ai_addr, address->ai_addrlen) || listen(fd, BACKLOG))
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static void explain_errno(struct explain *explain, const char *address, const char *port, int error)
{
	char remedy[sizeof(explain->remedy)];

	switch (error) {
	case EADDRINUSE:
		snprintf(remedy, sizeof(remedy),
			 "choose another port with --listen ADDRESS:PORT (or `listen:` in the config), or stop the "
			 "program that has it; `ss -ltnp 'sport = :%s'` names it", port);
		return explain_listen(explain, address, "the port is taken", remedy);
	case EACCES:
		return explain_listen(explain, address, "ports below 1024 need CAP_NET_BIND_SERVICE",
				      "choose a higher port with --listen ADDRESS:PORT");
	case EADDRNOTAVAIL:
		return explain_listen(explain, address, "this machine does not have the address",
				      "choose one of `ip address` with --listen, or :PORT for all of them");
	}
	explain_listen(explain, address, strerror(error), "choose another address with --listen ADDRESS:PORT");
}

int http_listen(const char *listen, int *ret_fd, struct explain *ret_explain)
{
	const char *port;
	char host[NI_MAXHOST];

	if (split_address(listen, host, &port)) {
		explain_listen(ret_explain, listen, "that is not an address and a port",
			       "write --listen 127.0.0.1:10464, [::1]:10464, or :10464 for every address");
		return -EINVAL;
	}
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *list = NULL;
	/* An IPv6 socket takes both families, so :PORT asks for one first; without IPv6, IPv4 is next. */
	const char *every[] = {"::", "0.0.0.0"};
	int r = -EADDRNOTAVAIL;

	for (size_t i = 0; i < (*host ? 1 : ARRAY_SIZE(every)) && r; i++) {
		int failure = getaddrinfo(*host ? host : every[i], port, &hints, &list);

		if (failure) {
			explain_listen(ret_explain, listen, gai_strerror(failure),
				       "name an address of this machine with --listen ADDRESS:PORT");
			return -EADDRNOTAVAIL;
		}
		r = listen_on(list, ret_fd);
		freeaddrinfo(list);
		if (r == -EADDRINUSE)
			break;
	}
	if (r)
		explain_errno(ret_explain, listen, port, -r);
	return r;
}

int http_listen_name(int fd, char *name, size_t size)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	char host[INET6_ADDRSTRLEN], port[sizeof("65535")];

	if (getsockname(fd, (struct sockaddr *)&address, &length))
		return -errno;
	if (getnameinfo((struct sockaddr *)&address, length, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		return -EINVAL;
	snprintf(name, size, address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return 0;
}
