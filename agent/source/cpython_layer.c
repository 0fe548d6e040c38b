/* SPDX-License-Identifier: GPL-2.0-only */
/* Whose work a Python function is: tables of what is in its path, and names that only libraries give. It must not know
 * code objects, nor what the answer is for. */
#include "cpython_code.h"

#include <stdio.h>

/* The first that is in the path decides. Packages that call a program's functions do so for it: what they hold by
 * themselves is little, and where they stand in every stack they are nobody's answer. */
static const struct {
	const char *fragment;
	enum code_layer layer;
} layers[] = {
	{"-packages/aiohttp/", LAYER_RUNTIME},
	{"-packages/anyio/", LAYER_RUNTIME},
	{"-packages/apscheduler/", LAYER_RUNTIME},
	{"-packages/asgiref/", LAYER_RUNTIME},
	{"-packages/billiard/", LAYER_RUNTIME},
	{"-packages/celery/", LAYER_RUNTIME},
	{"-packages/cheroot/", LAYER_RUNTIME},
	{"-packages/click/", LAYER_RUNTIME},
	{"-packages/ddtrace/", LAYER_RUNTIME},
	{"-packages/django/core/", LAYER_RUNTIME},
	{"-packages/dramatiq/", LAYER_RUNTIME},
	{"-packages/eventlet/", LAYER_RUNTIME},
	{"-packages/fastapi/", LAYER_RUNTIME},
	{"-packages/flask/", LAYER_RUNTIME},
	{"-packages/gevent/", LAYER_RUNTIME},
	{"-packages/greenlet/", LAYER_RUNTIME},
	{"-packages/grpc/", LAYER_RUNTIME},
	{"-packages/gunicorn/", LAYER_RUNTIME},
	{"-packages/huey/", LAYER_RUNTIME},
	{"-packages/hypercorn/", LAYER_RUNTIME},
	{"-packages/joblib/", LAYER_RUNTIME},
	{"-packages/kombu/", LAYER_RUNTIME},
	{"-packages/litestar/", LAYER_RUNTIME},
	{"-packages/opentelemetry/", LAYER_RUNTIME},
	{"-packages/quart/", LAYER_RUNTIME},
	{"-packages/rq/", LAYER_RUNTIME},
	{"-packages/sanic/", LAYER_RUNTIME},
	{"-packages/sentry_sdk/", LAYER_RUNTIME},
	{"-packages/sniffio/", LAYER_RUNTIME},
	{"-packages/starlette/", LAYER_RUNTIME},
	{"-packages/tornado/", LAYER_RUNTIME},
	{"-packages/trio/", LAYER_RUNTIME},
	{"-packages/uvicorn/", LAYER_RUNTIME},
	{"-packages/waitress/", LAYER_RUNTIME},
	{"-packages/werkzeug/", LAYER_RUNTIME},
	{"/site-packages/", LAYER_PACKAGE},
	{"/dist-packages/", LAYER_PACKAGE},
	{"/lib/python3.", LAYER_RUNTIME},
	{"/lib64/python3.", LAYER_RUNTIME},
	{"<frozen ", LAYER_RUNTIME},
};

#define PACKAGES "-packages/" /* site, dist */

uint64_t code_package(const char *path)
{
	const char *name = strstr(path, PACKAGES);
	char package[64];
	size_t length;

	if (!name)
		return 0;
	name += strlen(PACKAGES);
	length = strcspn(name, "/.");
	snprintf(package, sizeof(package), "%.*s", (int)(length < sizeof(package) ? length : sizeof(package) - 1), name);
	return text_hash(package);
}

/* Code without a file, as "<string>", is the program's where somebody typed it (of "<string>", see below); all else a
 * package made up: numpy's "<__array_function__ internals>", which stand in every stack below its functions,
 * "<decorator-gen-3>", "<attrs generated init app.Job>". */
static bool is_generated(const char *path)
{
	static const char *const typed[] = {"<string>", "<stdin>", "<console>", "<ipython-input-"};

	if (*path != '<')
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(typed); i++) {
		if (!strncmp(path, typed[i], strlen(typed[i])))
			return false;
	}
	return true;
}

static bool is_special(const char *name)
{
	size_t length = strlen(name);

	return length > 4 && !strncmp(name, "__", 2) && !strcmp(name + length - 2, "__");
}

#define IN_FUNCTION "<locals>."

bool code_is_loose_method(const char *name, const char *qualname)
{
	size_t all = strlen(qualname), own = strlen(name), in = strlen(IN_FUNCTION);

	if (!is_special(name) || all < own || strcmp(qualname + all - own, name) != 0)
		return false;
	/* "__init__", "__create_fn__.<locals>.__init__"; not "Job.__init__". */
	return all == own || (all >= in + own && !strncmp(qualname + all - own - in, IN_FUNCTION, in));
}

/* Of a text that somebody typed a class takes the first line, and of one in a function the second. */
bool code_is_loose_method_at(const char *name, uint32_t first_line, bool is_nested)
{
	return is_special(name) && (first_line == 1 || (first_line == 2 && is_nested));
}

static bool is_part(const char *name)
{
	static const char *const parts[] = {"<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>"};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!strcmp(name, parts[i]))
			return true;
	}
	return false;
}

/* pip writes a file of a few lines for each command of a package; its name has no ".py". */
static bool is_command(const char *path, const char *name)
{
	const char *file = strrchr(path, '/');

	return file && file - path >= 4 && !strncmp(file - 4, "/bin", 4) && !strchr(file, '.') && !strcmp(name, "<module>");
}

/* From 3.13 on a frame stands between a class that is called and its `__init__`, of code that no file has. */
static bool is_interpreters(const char *path, const char *name)
{
	return !strcmp(path, "__init__") && !strcmp(name, "__init__");
}

enum code_layer code_layer(const char *path, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(layers); i++) {
		if (strstr(path, layers[i].fragment))
			return layers[i].layer;
	}
	if (is_interpreters(path, name))
		return LAYER_RUNTIME;
	if (is_generated(path))
		return LAYER_PACKAGE;
	if (is_command(path, name))
		return LAYER_SCRIPT;
	return is_part(name) ? LAYER_PART : LAYER_PROGRAM;
}
