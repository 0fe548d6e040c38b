/* SPDX-License-Identifier: GPL-2.0-only */
/* Growth by thread until the thread is asked what it does, and the budget of asking. It must not know how a thread is
 * asked, nor who is blamed. */
#include "growers.h"

#include <sys/mman.h>

/* Who grows at one time; beyond these the one that grew least is forgotten: it stays unseen. */
#define SETS 64U
#define WAYS 4U
#define QUIET_NS NSEC_PER_SEC

struct growers {
	struct grower grower[SETS][WAYS];
	uint64_t brk; /* where the heap ended by the last fact; 0: not known */
	double readings; /* allowed now */
	uint64_t filled_ns; /* when that was filled up */
	struct growers_budget *budget;
};

uint32_t growers_per_second(const struct growers_budget *budget)
{
	double count = budget->share * NSEC_PER_SEC / GROWERS_COST_NS;

	if (budget->share <= 0)
		return 0;
	return count > GROWERS_READINGS_PER_SECOND ? (uint32_t)count : GROWERS_READINGS_PER_SECOND;
}

int growers_new(struct growers_budget *budget, struct growers **ret_growers)
{
	struct growers *growers = calloc(1, sizeof(*growers));

	if (!growers)
		return -ENOMEM;
	growers->readings = GROWERS_READINGS_PER_SECOND;
	growers->budget = budget;
	*ret_growers = growers;
	return 0;
}

void growers_free(struct growers *growers)
{
	for (uint32_t i = 0; growers && i < SETS * WAYS; i++)
		free(growers->grower[i / WAYS][i % WAYS].piece);
	free(growers);
}

static struct grower *find(struct growers *growers, struct thread_id who)
{
	struct grower *set = growers->grower[who.tid % SETS];

	for (uint32_t i = 0; i < WAYS; i++) {
		if (set[i].who.tid && thread_id_equal(set[i].who, who))
			return &set[i];
	}
	return NULL;
}

/* NULL: without memory for it, what it grows stays unseen. */
static struct grower *find_or_make(struct growers *growers, struct thread_id who)
{
	struct grower *set = growers->grower[who.tid % SETS], *least = &set[0], *known = find(growers, who);

	if (known)
		return known;
	for (uint32_t i = 0; i < WAYS && least->who.tid; i++) {
		if (!set[i].who.tid || set[i].bytes < least->bytes)
			least = &set[i];
	}
	if (!least->piece)
		least->piece = calloc(GROWER_PIECES, sizeof(*least->piece));
	if (!least->piece)
		return NULL;
	*least = (struct grower){.who = who, .piece = least->piece};
	return least;
}

static void piece_drop(struct grower *grower, uint32_t at)
{
	grower->bytes -= grower->piece[at].length;
	grower->piece[at] = grower->piece[--grower->n_pieces];
}

static uint32_t smallest_piece(const struct grower *grower)
{
	uint32_t found = 0;

	for (uint32_t i = 1; i < grower->n_pieces; i++) {
		if (grower->piece[i].length < grower->piece[found].length)
			found = i;
	}
	return found;
}

bool growers_are_alike(uint64_t call_bytes, uint64_t other_bytes)
{
	if (call_bytes < GROWERS_SIZEABLE_BYTES || other_bytes < GROWERS_SIZEABLE_BYTES)
		return call_bytes < GROWERS_SIZEABLE_BYTES && other_bytes < GROWERS_SIZEABLE_BYTES;
	return __builtin_clzll(call_bytes) == __builtin_clzll(other_bytes);
}

/* Neighbours make one piece; sizeable ones if they came one soon after the other, as these are asked for a moment only. */
static bool may_join(const struct grower_piece *piece, const struct grower_piece *made)
{
	return growers_are_alike(piece->call_bytes, made->call_bytes) && growers_may_ask(piece, made->time_ns);
}

static void piece_add(struct grower *grower, const struct grower_piece *made)
{
	grower->bytes += made->length;
	/* An arena grows upwards, piece by piece; mappings come one below the other. */
	for (uint32_t i = 0; i < grower->n_pieces; i++) {
		struct grower_piece *piece = &grower->piece[i];

		if (!may_join(piece, made) ||
		    (piece->start + piece->length != made->start && made->start + made->length != piece->start))
			continue;
		piece->start = piece->start < made->start ? piece->start : made->start;
		piece->length += made->length;
		piece->call_bytes = piece->call_bytes > made->call_bytes ? piece->call_bytes : made->call_bytes;
		piece->time_ns = made->time_ns;
		return;
	}
	if (grower->n_pieces == GROWER_PIECES)
		piece_drop(grower, smallest_piece(grower));
	grower->piece[grower->n_pieces++] = *made;
}

/* What is no more, or another's. Of a piece that it cuts in two the front is kept. */
static void pieces_cut(struct grower *grower, uint64_t start, uint64_t length)
{
	uint64_t end = start + length;

	for (uint32_t i = grower->n_pieces; i--;) {
		struct grower_piece *piece = &grower->piece[i];
		uint64_t piece_end = piece->start + piece->length, before = piece->length;

		if (piece->start >= end || piece_end <= start)
			continue;
		if (start <= piece->start && end >= piece_end) {
			piece_drop(grower, i);
			continue;
		}
		if (start > piece->start) {
			piece->length = start - piece->start;
		} else {
			piece->length = piece_end - end;
			piece->start = end;
		}
		grower->bytes -= before - piece->length;
	}
}

/* What a mremap moves, or may move, is told as freed at its entry; and what munmap frees, too, which may fail. `fact`: of the
 * same thread, the next one; NULL: nobody waits for that. */
static void settle_freed(struct grower *grower, const struct fact *fact)
{
	bool has_stayed = fact && (fact->kind == FACT_RANGE_FREE_FAILED ||
				   (fact->kind == FACT_RANGE_MOVED && fact->range.old_start == grower->freed_start));

	if (grower->freed_length && !has_stayed)
		pieces_cut(grower, grower->freed_start, grower->freed_length);
	grower->freed_length = 0;
}

/* What a thread made, and was not asked for yet, it has made wherever it moves to. */
static void pieces_move(struct grower *grower, uint64_t start, uint64_t length, uint64_t to)
{
	struct grower_piece moved[GROWER_PIECES];
	uint32_t count = 0;

	for (uint32_t i = 0; i < grower->n_pieces; i++) {
		const struct grower_piece *piece = &grower->piece[i];
		uint64_t from = piece->start > start ? piece->start : start;
		uint64_t end = piece->start + piece->length < start + length ? piece->start + piece->length : start + length;

		if (from >= end)
			continue;
		moved[count] = *piece;
		moved[count].start = to + (from - start);
		moved[count++].length = end - from;
	}
	pieces_cut(grower, start, length);
	for (uint32_t i = 0; i < count; i++)
		piece_add(grower, &moved[i]);
}

bool growers_may_ask(const struct grower_piece *piece, uint64_t now_ns)
{
	return piece->call_bytes < GROWERS_SIZEABLE_BYTES || piece->time_ns + GROWERS_FRESH_NS >= now_ns;
}

static bool is_sizeable(const struct grower *grower, uint64_t now_ns)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < grower->n_pieces && bytes < GROWERS_SIZEABLE_BYTES; i++)
		bytes += growers_may_ask(&grower->piece[i], now_ns) ? grower->piece[i].length : 0;
	return bytes >= GROWERS_SIZEABLE_BYTES;
}

/* Of what it did before a pause the next call is no sample, but for a little that was made bit by bit. */
static void forget_before_pause(struct grower *grower, uint64_t now_ns)
{
	if (grower->time_ns + GROWERS_PAUSE_NS >= now_ns)
		return;
	if (grower->bytes > GROWERS_SAMPLE_BYTES)
		growers_forget(grower);
	for (uint32_t i = grower->n_pieces; i--;) {
		if (grower->piece[i].call_bytes >= GROWERS_SIZEABLE_BYTES)
			piece_drop(grower, i);
	}
}

static bool is_growth(const struct fact_range *range)
{
	return range->protection & PROT_WRITE && !(range->flags & (RANGE_FILE | RANGE_SHARED | RANGE_HUGETLB));
}

/* From where on the fact's range is new; its end: nothing is. */
static uint64_t new_from(struct growers *growers, const struct fact *fact)
{
	const struct fact_range *range = &fact->range;
	uint64_t end = range->start + range->length, before = growers->brk;

	if (fact->kind == FACT_RANGE_MOVED)
		return range->old_length && range->old_length < range->length ? range->start + range->old_length : end;
	if (fact->kind != FACT_BRK)
		return is_growth(range) ? range->start : end;
	growers->brk = end;
	/* How much is new is not known the first time, nor what its caller did when it made the rest. */
	return before && before < end ? before : end;
}

static bool note_growth(struct growers *growers, const struct fact *fact)
{
	const struct fact_range *range = &fact->range;
	uint64_t end = range->start + range->length, from = new_from(growers, fact);
	struct grower *grower;

	if (end < range->start || from >= end)
		return false;
	grower = find_or_make(growers, range->who);
	if (grower)
		settle_freed(grower, fact);
	if (!grower || grower->quiet_ns > fact->time_ns)
		return false;
	if (fact->kind == FACT_RANGE_MOVED && range->start != range->old_start) {
		pieces_cut(grower, range->start, range->length);
		pieces_move(grower, range->old_start, range->old_length, range->start);
	}
	forget_before_pause(grower, fact->time_ns);
	pieces_cut(grower, from, end - from);
	piece_add(grower, &(struct grower_piece){from, end - from, .call_bytes = end - from, .time_ns = fact->time_ns});
	grower->time_ns = fact->time_ns;
	return is_sizeable(grower, fact->time_ns);
}

bool growers_note(struct growers *growers, const struct fact *fact)
{
	struct grower *grower;

	switch (fact->kind) {
	case FACT_RANGE_PROTECTED:
		/* What a failed one made usable is nowhere told to the byte, and too rare to be asked about. */
		return fact->range.flags & RANGE_UP_TO_HOLE ? false : note_growth(growers, fact);
	case FACT_RANGE_MADE:
	case FACT_RANGE_MOVED:
	case FACT_BRK:
		return note_growth(growers, fact);
	case FACT_RANGE_FREED:
	case FACT_RANGE_FREE_FAILED:
		grower = find(growers, fact->range.who);
		if (!grower)
			return false;
		settle_freed(grower, fact);
		if (fact->kind == FACT_RANGE_FREED) {
			grower->freed_start = fact->range.start;
			grower->freed_length = fact->range.length;
		}
		return false;
	case FACT_THREAD_BORN: /* a stack is its thread's, though its creator made it usable */
		grower = find(growers, fact->thread.creator);
		if (grower)
			pieces_cut(grower, fact->thread.stack_start, fact->thread.stack_length);
		return false;
	case FACT_THREAD_EXITED:
		grower = find(growers, fact->thread.id);
		if (grower) {
			free(grower->piece); /* threads that come and go would leave room for as many as there is */
			*grower = (struct grower){.piece = NULL};
		}
		return false;
	default:
		return false;
	}
}

struct grower *growers_next(struct growers *growers, uint64_t now_ns)
{
	struct grower *largest = NULL;

	for (uint32_t i = 0; i < SETS * WAYS; i++) {
		struct grower *grower = &growers->grower[i / WAYS][i % WAYS];

		if (grower->who.tid)
			settle_freed(grower, NULL);
		if (grower->who.tid && !grower->is_seen_at_call && grower->time_ns + GROWERS_FRESH_NS >= now_ns &&
		    is_sizeable(grower, now_ns) && (!largest || grower->bytes > largest->bytes))
			largest = grower;
	}
	return largest;
}

struct grower *growers_of(struct growers *growers, struct thread_id who)
{
	return find(growers, who);
}

void growers_forget_part(struct grower *grower, uint64_t start, uint64_t length)
{
	pieces_cut(grower, start, length);
}

void growers_forget_alike(struct grower *grower, uint64_t call_bytes)
{
	for (uint32_t i = grower->n_pieces; i--;) {
		if (growers_are_alike(grower->piece[i].call_bytes, call_bytes))
			piece_drop(grower, i);
	}
}

void growers_forget(struct grower *grower)
{
	grower->n_pieces = 0;
	grower->bytes = 0;
}

void growers_quiet(struct grower *grower, uint64_t now_ns)
{
	growers_forget(grower);
	grower->quiet_ns = now_ns + QUIET_NS;
}

static double passed_since(uint64_t *filled_ns, uint64_t now_ns, double first)
{
	double passed = !*filled_ns ? first : now_ns > *filled_ns ? (double)(now_ns - *filled_ns) : 0;

	*filled_ns = now_ns;
	return passed;
}

/* What can be saved up, or owed, is a second's. */
static bool budget_allows(struct growers_budget *budget, uint64_t now_ns)
{
	double second = budget->share * NSEC_PER_SEC;

	budget->cpu_ns += passed_since(&budget->filled_ns, now_ns, NSEC_PER_SEC) * budget->share;
	if (budget->cpu_ns > second)
		budget->cpu_ns = second;
	return budget->share <= 0 || budget->cpu_ns > 0;
}

bool growers_may_read(struct growers *growers, uint64_t now_ns)
{
	growers->readings += passed_since(&growers->filled_ns, now_ns, 0) * GROWERS_READINGS_PER_SECOND / NSEC_PER_SEC;
	if (growers->readings > GROWERS_READINGS_PER_SECOND)
		growers->readings = GROWERS_READINGS_PER_SECOND;
	return growers->readings >= 1 && budget_allows(growers->budget, now_ns);
}

void growers_paid(struct growers *growers, uint64_t cost_ns)
{
	struct growers_budget *budget = growers->budget;
	double second = budget->share * NSEC_PER_SEC;

	growers->readings -= 1;
	budget->cpu_ns -= (double)cost_ns + GROWERS_WAKE_NS;
	/* A large file that is read once must not keep all others from being asked for long. */
	if (budget->cpu_ns < -second)
		budget->cpu_ns = -second;
}
