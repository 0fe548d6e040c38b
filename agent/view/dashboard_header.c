/* SPDX-License-Identifier: GPL-2.0-only */
/* The upper part of the dashboard: the title, meters and figures of the target, the words.
 * Figures that do not fit are left out whole; what stands on a line is never cut in the middle of a word. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dashboard_parts.h"
#include "escape.h"
#include "format.h"

/* Writes along one line. */
struct pen {
	struct cells *cells;
	unsigned int row, column, end;
	bool full; /* something did not fit: what comes after must not be pulled before it */
};

static struct pen pen_at(struct cells *cells, struct rectangle place, unsigned int line)
{
	return (struct pen){ cells, place.row + line, place.column, place.column + place.columns, false };
}

/* "label value" after a gap of two; whole or not at all. */
static void pen_pair(struct pen *pen, const char *label, const char *value, enum attribute attribute)
{
	unsigned int width = (unsigned int)(text_width(label) + text_width(value) + (label[0] && value[0]));

	if (pen->full || pen->column + width > pen->end) {
		pen->full = true;
		return;
	}
	pen->column += cells_write(pen->cells, pen->row, pen->column, width, ATTR_LABEL, label);
	if (label[0] && value[0])
		pen->column++;
	pen->column += cells_write(pen->cells, pen->row, pen->column, width, attribute, value);
	pen->column += 2;
}

struct meter_part {
	uint64_t value;
	char sign; /* tells the parts apart without colour */
	enum attribute attribute;
};

static void pen_meter(struct pen *pen, const char *label, const struct meter_part *parts, size_t n_parts,
		      uint64_t whole, const char *figure)
{
	unsigned int room = (pen->end - pen->column) / 2, inside, first = pen->column + 7, used = 0;
	uint64_t sum = 0;

	inside = room < 20 ? 0 : room - 10 < 80 ? room - 10 : 80;
	if (inside <= text_width(figure)) {
		pen_pair(pen, label, figure, ATTR_BOLD);
		return;
	}
	cells_write(pen->cells, pen->row, pen->column, 7, ATTR_LABEL, label);
	cells_write(pen->cells, pen->row, first - 1, 1, ATTR_BOLD, "[");
	cells_write(pen->cells, pen->row, first + inside, 1, ATTR_BOLD, "]");
	for (size_t i = 0; i < n_parts && whole && whole != UNKNOWN_U64; i++) {
		unsigned int to;

		if (parts[i].value == UNKNOWN_U64)
			continue;
		sum += parts[i].value;
		to = sum >= whole ? inside : (unsigned int)((double)sum / (double)whole * inside + 0.5);
		for (; used < to; used++)
			cells_write(pen->cells, pen->row, first + used, 1, parts[i].attribute,
				    (char[2]){ parts[i].sign });
	}
	cells_write(pen->cells, pen->row, first + inside - (unsigned int)text_width(figure), inside, ATTR_BOLD,
		    figure);
	pen->column = first + inside + 2;
}

static uint64_t sum_known(uint64_t a, uint64_t b, uint64_t c)
{
	return a == UNKNOWN_U64 || b == UNKNOWN_U64 || c == UNKNOWN_U64 ? UNKNOWN_U64 : a + b + c;
}

static void line_memory(const struct snapshot *snapshot, const struct snapshot_target *target, struct pen *pen)
{
	const struct fact_memory *memory = &target->memory;
	uint64_t rss = sum_known(memory->rss_anon, memory->rss_file, memory->rss_shmem);
	uint64_t bound = target->cgroup.memory_max != UNKNOWN_U64 ? target->cgroup.memory_max
								  : target->cgroup.host_memory_total;
	uint64_t charged = target->attributed_bytes, anon = memory->rss_anon;
	/* The meter is one bar of anon: charged and not charged; readings differ by a moment. */
	uint64_t rest = anon != UNKNOWN_U64 && charged != UNKNOWN_U64 && anon > charged ? anon - charged : 0;
	struct meter_part parts[] = {
		{ charged, '|', ATTR_BAR_FIRST },
		{ rest, '#', ATTR_BAR_SECOND },
		{ memory->rss_file, '*', ATTR_BAR_THIRD },
		{ memory->rss_shmem, '@', ATTR_BAR_FOURTH },
	};

	pen_meter(pen, "RSS", parts, ARRAY_SIZE(parts), bound, format_bytes(FORMAT_BUFFER, rss));
	pen_pair(pen, "anon", format_bytes(FORMAT_BUFFER, anon), ATTR_BOLD);
	pen_pair(pen, "file", format_bytes(FORMAT_BUFFER, memory->rss_file), ATTR_BOLD);
	pen_pair(pen, "shmem", format_bytes(FORMAT_BUFFER, memory->rss_shmem), ATTR_BOLD);
	if (memory->swapped)
		pen_pair(pen, "swap", format_bytes(FORMAT_BUFFER, memory->swapped), ATTR_BOLD);
}

static void line_cgroup(const struct snapshot *snapshot, const struct snapshot_target *target, struct pen *pen)
{
	const struct fact_cgroup *cgroup = &target->cgroup;
	bool bounded = cgroup->memory_max != UNKNOWN_U64;
	struct meter_part part = { cgroup->memory_current, '|', ATTR_BAR_FIRST };
	char figure[2 * FORMAT_SIZE + 16];

	snprintf(figure, sizeof(figure), "%s/%s", format_bytes(FORMAT_BUFFER, cgroup->memory_current),
		 bounded || cgroup->is_memory_unread ? format_bytes(FORMAT_BUFFER, cgroup->memory_max) : "no max");
	pen_meter(pen, "Cgroup", &part, 1, bounded ? cgroup->memory_max : cgroup->host_memory_total, figure);
	if (bounded && cgroup->memory_current != UNKNOWN_U64)
		pen_pair(pen, "headroom",
			 format_bytes(FORMAT_BUFFER, cgroup->memory_max > cgroup->memory_current
							     ? cgroup->memory_max - cgroup->memory_current
							     : 0),
			 ATTR_BOLD);
	else if (!bounded)
		pen_pair(pen, "host", format_bytes(FORMAT_BUFFER, cgroup->host_memory_total), ATTR_BOLD);
	pen_pair(pen, "OOM kills", format_count(FORMAT_BUFFER, cgroup->oom_kills),
		 cgroup->oom_kills && cgroup->oom_kills != UNKNOWN_U64 ? ATTR_WARN : ATTR_BOLD);
	if (isfinite(cgroup->cpu_quota_cores)) {
		char cores[2 * FORMAT_SIZE];
		bool is_part = (double)cgroup->cpus_allowed > cgroup->cpu_quota_cores;

		snprintf(cores, sizeof(cores), is_part ? "%.3g of %u" : "%.3g", cgroup->cpu_quota_cores,
			 cgroup->cpus_allowed);
		pen_pair(pen, "CPUs", cores, ATTR_BOLD);
	}
}

static const char *per_minute(int64_t bytes, char buffer[2 * FORMAT_SIZE])
{
	snprintf(buffer, (size_t)2 * FORMAT_SIZE, "%s%s", format_growth(FORMAT_BUFFER, bytes),
		 bytes == UNKNOWN_I64 ? "" : "/min");
	return buffer;
}

/* A rate's window is not full at first: what it is over is said. */
static void pair_growth(struct pen *pen, const char *words, int64_t growth, double seconds, int minutes)
{
	char text[2 * FORMAT_SIZE], label[sizeof("Growth over ") + FORMAT_SIZE];

	if (growth == UNKNOWN_I64 || seconds > 0.95 * 60 * minutes)
		snprintf(label, sizeof(label), "%s %d min", words, minutes);
	else
		snprintf(label, sizeof(label), "%s %s", words, format_duration(FORMAT_BUFFER, seconds));
	pen_pair(pen, label, per_minute(growth, text), ATTR_BOLD);
}

static void line_growth(const struct snapshot *snapshot, const struct snapshot_target *target, struct pen *pen)
{
	char text[2 * FORMAT_SIZE];

	pair_growth(pen, "Growth over", target->growth_1m, target->growth_1m_seconds, 1);
	pair_growth(pen, "over", target->growth_5m, target->growth_5m_seconds, 5);
	pen_pair(pen, "anon", format_growth(text, target->growth_anon), ATTR_BOLD);
	pen_pair(pen, "file", format_growth(text, target->growth_file), ATTR_BOLD);
	pen_pair(pen, "shmem", format_growth(text, target->growth_shmem), ATTR_BOLD);
}

static void line_identity(const struct snapshot *snapshot, const struct snapshot_target *target, struct pen *pen)
{
	static const char *const reasons[] = {
		[UNATTRIBUTED_BEFORE_ATTACH] = "before attach",
		[UNATTRIBUTED_IMAGE] = "image",
		[UNATTRIBUTED_INHERITED] = "inherited",
		[UNATTRIBUTED_LOST] = "lost",
	};
	_Static_assert(ARRAY_SIZE(reasons) == UNATTRIBUTED_COUNT, "words for each reason");
	char age[FORMAT_SIZE + 8];

	pen_pair(pen, "Attributed", format_bytes(FORMAT_BUFFER, target->attributed_bytes), ATTR_BOLD);
	pen_pair(pen, "unattributed", format_bytes(FORMAT_BUFFER, target->unattributed_bytes), ATTR_BOLD);
	pen_pair(pen, "unexplained", format_growth(FORMAT_BUFFER, target->unexplained_bytes), ATTR_BOLD);
	snprintf(age, sizeof(age), "%s", format_duration(FORMAT_BUFFER, target->age_seconds));
	pen_pair(pen, "read", age, ATTR_BOLD);
	if (isfinite(target->age_seconds) && pen->column > 2 && !pen->full) {
		pen->column--;
		pen_pair(pen, "ago", "", ATTR_BOLD);
	}
	for (size_t i = 0; i < UNATTRIBUTED_COUNT; i++)
		if (target->unattributed[i] && target->unattributed[i] != UNKNOWN_U64)
			pen_pair(pen, reasons[i], format_bytes(FORMAT_BUFFER, target->unattributed[i]), ATTR_NORMAL);
}

static void line_events(const struct snapshot *snapshot, const struct snapshot_target *target, struct pen *pen)
{
	char threads[4 * FORMAT_SIZE];
	uint64_t events = target->events_received;
	const char *label = "Events";

	snprintf(threads, sizeof(threads), "%s (%s running, peak %s)", format_count(FORMAT_BUFFER, target->threads),
		 format_count(FORMAT_BUFFER, target->threads_running),
		 format_count(FORMAT_BUFFER, target->threads_peak));
	pen_pair(pen, "Threads", threads, ATTR_BOLD);
	/* The kernel counts per program, so with several targets only the sum is known. */
	if (events == UNKNOWN_U64) {
		events = 0;
		for (size_t i = 0; i < PROBE_COUNT; i++)
			events += snapshot->received[i];
		label = snapshot->n_targets > 1 ? "Events of all" : label;
	}
	pen_pair(pen, label, format_count(FORMAT_BUFFER, events), ATTR_BOLD);
	pen_pair(pen, "lost", format_count(FORMAT_BUFFER, target->events_lost),
		 target->events_lost && target->events_lost != UNKNOWN_U64 ? ATTR_WARN : ATTR_BOLD);
	if (target->cgroup.pids_max != UNKNOWN_U64)
		pen_pair(pen, "pids.max", format_count(FORMAT_BUFFER, target->cgroup.pids_max), ATTR_BOLD);
	pen_pair(pen, "by", target->variant[0] ? target->variant : "n/a", ATTR_NORMAL);
	pen_pair(pen, "reseeds", format_count(FORMAT_BUFFER, target->reseeds), ATTR_NORMAL);
	pen_pair(pen, "ranges", format_count(FORMAT_BUFFER, target->ranges), ATTR_NORMAL);
}

void dashboard_draw_header(const struct snapshot *snapshot, const struct snapshot_target *target,
			   struct rectangle place, struct cells *cells)
{
	static void (*const lines[])(const struct snapshot *, const struct snapshot_target *, struct pen *) = {
		line_memory, line_cgroup, line_growth, line_events, line_identity,
	};
	_Static_assert(ARRAY_SIZE(lines) == HEADER_LINES, "the layout counts the lines");

	for (unsigned int i = 0; i < HEADER_LINES && i < place.rows; i++) {
		struct pen pen = pen_at(cells, place, i);

		lines[i](snapshot, target, &pen);
	}
}

/* "recsys-api" or, when the name says less than the comm, the comm too. */
static void title_text(const struct dashboard_state *ui, const struct snapshot_target *target, struct pen *pen)
{
	const struct fact_target *info = &target->info;
	char text[COLUMN_TEXT_SIZE], number[64];

	pen_pair(pen, "", escape_text(info->name[0] ? info->name : info->comm, 64, ui->utf8, text, sizeof(text)),
		 ATTR_TITLE);
	snprintf(number, sizeof(number), "PID %u", info->pid);
	if (info->ns_pid && info->ns_pid != info->pid)
		snprintf(number, sizeof(number), "PID %u (%u inside)", info->pid, info->ns_pid);
	pen_pair(pen, "", number, ATTR_TITLE);
	if (info->runtime[0])
		pen_pair(pen, "", escape_text(info->runtime, sizeof(info->runtime), ui->utf8, text, sizeof(text)),
			 ATTR_TITLE);
	if (info->unit[0])
		pen_pair(pen, "", escape_text(info->unit, sizeof(info->unit), ui->utf8, text, sizeof(text)),
			 ATTR_TITLE);
	if (info->container[0])
		pen_pair(pen, "container", escape_text(info->container, 12, ui->utf8, text, sizeof(text)), ATTR_TITLE);
}

void dashboard_draw_title(const struct dashboard_state *ui, const struct snapshot *snapshot,
			  const struct snapshot_target *target, struct rectangle place, struct cells *cells)
{
	struct pen pen = pen_at(cells, place, 0);
	char right[96];
	unsigned int width;

	if (!place.rows)
		return;
	cells_paint(cells, place.row, place.column, place.columns, ATTR_TITLE);
	snprintf(right, sizeof(right), "%s%s ", ui->paused ? "PAUSED  " : "",
		 snapshot ? format_clock(FORMAT_BUFFER, snapshot->realtime_ns, snapshot->realtime_ns) : "");
	width = (unsigned int)text_width(right);
	if (width + 20 < place.columns) {
		cells_write(cells, place.row, place.column + place.columns - width, width, ATTR_TITLE, right);
		pen.end -= width + 1;
	}
	pen.column++;
	if (target)
		title_text(ui, target, &pen);
	else
		pen_pair(&pen, "", "poolscope", ATTR_TITLE);
	cells_paint(cells, place.row, place.column, place.columns, ATTR_TITLE);
}

void dashboard_draw_targets(const struct dashboard_state *ui, const struct snapshot *snapshot,
			    struct rectangle place, struct cells *cells)
{
	const struct snapshot_target *shown = dashboard_target(ui, snapshot);
	size_t index = shown ? (size_t)(shown - snapshot->targets) : 0;
	/* As many of the neighbours to the left as fit into half of the line. */
	size_t first = index > place.columns / 40 ? index - place.columns / 40 : 0;
	struct pen pen = pen_at(cells, place, 0);
	char text[COLUMN_TEXT_SIZE], name[COLUMN_TEXT_SIZE - 64];

	if (!place.rows)
		return;
	snprintf(text, sizeof(text), "%zu of %zu", index + 1, snapshot->n_targets);
	pen_pair(&pen, "Tab: target", text, ATTR_NORMAL);
	for (size_t i = first; i < snapshot->n_targets && !pen.full; i++) {
		const struct snapshot_target *target = &snapshot->targets[i];

		escape_text(target->info.name[0] ? target->info.name : target->info.comm, 64, ui->utf8, name,
			    sizeof(name));
		snprintf(text, sizeof(text), " %u %s%s ", target->info.pid, name, target->ended ? " (ended)" : "");
		pen_pair(&pen, "", text, i == index ? ATTR_SELECTED : ATTR_NORMAL);
	}
}
