/* SPDX-License-Identifier: GPL-2.0-only */
/* The symbols of one object file through libelf, bounded in size and number: one index of a file, whoever has it mapped.
 * It must not know processes. */
#include "symbols_elf.h"

#include <errno.h>
#include <gelf.h>
#include <string.h>
#include <sys/stat.h>

/* The largest files in wide use (libtorch_cpu with its symbols) have 0.5 GiB and 0.4 million symbols. */
#define FILE_BYTES_MAX (4ULL << 30)
#define TABLE_BYTES_MAX (128ULL << 20)
#define SYMBOLS_MAX 2000000U
#define SEGMENTS_MAX 256U

struct symbol {
	uint64_t address, size;
	uint32_t name; /* offset in `names` */
	uint32_t hash : 31;
	uint32_t function : 1;
};

struct segment {
	uint64_t offset, length, address;
};

struct symbol_file {
	struct symbol *symbols; /* by address, then the larger first */
	size_t n_symbols, room;
	char *names;
	size_t names_size, names_room;
	struct segment *segments;
	size_t n_segments;
	struct stat stat; /* tells it from other files, and from what it was before it was written to */
	size_t users;
	struct symbol_file *next;
};

/* Those of all targets, and a few that were let go of, the latest used first. A parent and its children map the same
 * files, and what short-lived children run comes again. */
static struct symbol_file *all_files;
#define UNUSED_BYTES_MAX (1ULL << 20)

static struct symbol_file *files_take(const struct stat *stat)
{
	for (struct symbol_file **at = &all_files; *at; at = &(*at)->next) {
		struct symbol_file *file = *at;
		const struct stat *of = &file->stat;

		if (of->st_dev == stat->st_dev && of->st_ino == stat->st_ino && of->st_size == stat->st_size &&
		    of->st_mtim.tv_sec == stat->st_mtim.tv_sec && of->st_mtim.tv_nsec == stat->st_mtim.tv_nsec &&
		    of->st_ctim.tv_sec == stat->st_ctim.tv_sec && of->st_ctim.tv_nsec == stat->st_ctim.tv_nsec) {
			*at = file->next;
			return file;
		}
	}
	return NULL;
}

static void files_put(struct symbol_file *file)
{
	file->next = all_files;
	all_files = file;
}

static void file_drop(struct symbol_file *file)
{
	if (!file)
		return;
	free(file->symbols);
	free(file->names);
	free(file->segments);
	free(file);
}

DEFINE_CLEANUP(struct symbol_file *, file_drop)

void symbol_file_free(struct symbol_file *file)
{
	uint64_t bytes = 0;

	if (!file || --file->users)
		return;
	files_put(files_take(&file->stat));
	for (struct symbol_file **at = &all_files; *at;) {
		struct symbol_file *unused = *at;

		if (!unused->users)
			bytes += sizeof(*unused) + unused->n_symbols * sizeof(*unused->symbols) + unused->names_size;
		if (unused->users || bytes <= UNUSED_BYTES_MAX) {
			at = &unused->next;
			continue;
		}
		*at = unused->next;
		file_drop(unused);
	}
}

static int compare_symbols(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;
	int order = compare_u64(x->address, y->address);

	return order ? order : compare_u64(y->size, x->size);
}

static int names_add(struct symbol_file *file, const char *name, size_t length, uint32_t *ret_offset)
{
	if (file->names_room - file->names_size <= length) {
		size_t room = (file->names_room ? file->names_room * 2 : 4096) + length;
		char *grown = room > 2 * TABLE_BYTES_MAX ? NULL : realloc(file->names, room);

		if (!grown)
			return -ENOMEM;
		file->names = grown;
		file->names_room = room;
	}
	*ret_offset = (uint32_t)file->names_size;
	memcpy(file->names + file->names_size, name, length);
	file->names[file->names_size + length] = '\0';
	file->names_size += length + 1;
	return 0;
}

static uint32_t name_hash(const char *name)
{
	return (uint32_t)(text_hash(name) >> 33);
}

static int symbols_add(struct symbol_file *file, const GElf_Sym *sym, const char *name, size_t length)
{
	int type = GELF_ST_TYPE(sym->st_info), r;
	struct symbol symbol = {.address = sym->st_value, .size = sym->st_size};

	symbol.function = type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE;
	if (sym->st_shndx == SHN_UNDEF || !sym->st_value || !length || (!symbol.function && type != STT_OBJECT))
		return 0;
	if (file->n_symbols == SYMBOLS_MAX)
		return -EFBIG;
	if (TABLE_GROW(file->symbols, file->n_symbols, file->room, 256))
		return -ENOMEM;
	r = names_add(file, name, length, &symbol.name);
	if (r < 0)
		return r;
	symbol.hash = name_hash(file->names + symbol.name);
	file->symbols[file->n_symbols++] = symbol;
	return 0;
}

/* The section's bytes, if it has any and they lie in the file. */
static Elf_Data *section_data(Elf_Scn *section, const GElf_Shdr *header, uint64_t file_size)
{
	if (header->sh_type == SHT_NOBITS || !header->sh_size || header->sh_size > TABLE_BYTES_MAX ||
	    header->sh_offset > file_size || header->sh_size > file_size - header->sh_offset)
		return NULL;
	return elf_getdata(section, NULL);
}

static int read_table(Elf *elf, Elf_Scn *section, const GElf_Shdr *header, uint64_t file_size,
		      struct symbol_file *file)
{
	Elf_Scn *names_section = elf_getscn(elf, header->sh_link);
	const Elf_Data *table, *names;
	GElf_Shdr names_header;

	if (!names_section || !gelf_getshdr(names_section, &names_header) || names_header.sh_type != SHT_STRTAB)
		return 0;
	table = section_data(section, header, file_size);
	names = section_data(names_section, &names_header, file_size);
	if (!table || !names || !table->d_buf || !names->d_buf)
		return 0;
	for (size_t i = 0; i < table->d_size / sizeof(Elf64_Sym) && i < INT32_MAX; i++) {
		const char *name;
		GElf_Sym sym;
		int r;

		if (!gelf_getsym((Elf_Data *)table, (int)i, &sym) || sym.st_name >= names->d_size)
			continue;
		name = (const char *)names->d_buf + sym.st_name;
		r = symbols_add(file, &sym, name, strnlen(name, names->d_size - sym.st_name));
		if (r == -EFBIG)
			return 0;
		if (r < 0)
			return r;
	}
	return 0;
}

/* .symtab holds what .dynsym holds and more, where it was not stripped. */
/* They are kept for long; what they had room for beside that is not. */
static int symbols_fit(struct symbol_file *file)
{
	struct symbol *symbols = reallocarray(file->symbols, file->n_symbols, sizeof(*symbols));
	char *names = realloc(file->names, file->names_size);

	file->symbols = symbols ? symbols : file->symbols;
	file->names = names ? names : file->names;
	if (!symbols || !names)
		return -ENOMEM;
	file->room = file->n_symbols;
	file->names_room = file->names_size;
	return 0;
}

static int read_symbols(Elf *elf, uint64_t file_size, struct symbol_file *file)
{
	static const uint32_t types[] = {SHT_SYMTAB, SHT_DYNSYM};

	for (size_t i = 0; i < ARRAY_SIZE(types) && !file->n_symbols; i++) {
		for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
			GElf_Shdr header;
			int r;

			if (!gelf_getshdr(section, &header) || header.sh_type != types[i])
				continue;
			r = read_table(elf, section, &header, file_size, file);
			if (r < 0)
				return r;
		}
	}
	if (!file->n_symbols)
		return 0;
	qsort(file->symbols, file->n_symbols, sizeof(*file->symbols), compare_symbols);
	return symbols_fit(file);
}

static int read_segments(Elf *elf, struct symbol_file *file)
{
	size_t count;

	if (elf_getphdrnum(elf, &count) < 0 || !count || count > SEGMENTS_MAX)
		return -ENOEXEC;
	file->segments = calloc(count, sizeof(*file->segments));
	if (!file->segments)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr header;

		if (gelf_getphdr(elf, (int)i, &header) && header.p_type == PT_LOAD)
			file->segments[file->n_segments++] =
				(struct segment){header.p_offset, header.p_filesz, header.p_vaddr};
	}
	return file->n_segments ? 0 : -ENOEXEC;
}

static void elf_endp(Elf **elf)
{
	elf_end(*elf);
}

static int file_read(int fd, struct symbol_file *file)
{
	_cleanup_(elf_endp) Elf *elf = NULL;
	int r;

	if (!S_ISREG(file->stat.st_mode))
		return -ENOEXEC;
	if ((uint64_t)file->stat.st_size > FILE_BYTES_MAX)
		return -EFBIG;
	elf_version(EV_CURRENT);
	/* Read, not mapped: a file that shrinks under a mapping would kill the agent with SIGBUS. */
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf || elf_kind(elf) != ELF_K_ELF || gelf_getclass(elf) != ELFCLASS64)
		return -ENOEXEC;
	r = read_segments(elf, file);
	return r < 0 ? r : read_symbols(elf, (uint64_t)file->stat.st_size, file);
}

int symbol_file_new(int fd, struct symbol_file **ret_file)
{
	_cleanup_(file_dropp) struct symbol_file *file = NULL;
	struct stat stat;
	int r;

	if (fstat(fd, &stat) < 0)
		return -errno;
	file = files_take(&stat);
	if (!file) {
		file = calloc(1, sizeof(*file));
		if (!file)
			return -ENOMEM;
		file->stat = stat;
		r = file_read(fd, file);
		if (r < 0)
			return r;
	}
	file->users++;
	files_put(file);
	*ret_file = TAKE_PTR(file);
	return 0;
}

int symbol_file_address(const struct symbol_file *file, uint64_t offset, uint64_t *ret_address)
{
	for (size_t i = 0; i < file->n_segments; i++) {
		const struct segment *segment = &file->segments[i];

		if (offset >= segment->offset && offset - segment->offset < segment->length) {
			*ret_address = offset - segment->offset + segment->address;
			return 0;
		}
	}
	return -ENOENT;
}

const char *symbol_file_at(const struct symbol_file *file, uint64_t address)
{
	size_t low = 0, high = file->n_symbols;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (file->symbols[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	/* Aliases share an address and inner labels lie in a function: look back a little for one that covers. */
	for (size_t back = 0; low > 0 && back < 16; low--, back++) {
		const struct symbol *symbol = &file->symbols[low - 1];

		if (symbol->function && (address - symbol->address < symbol->size || address == symbol->address))
			return file->names + symbol->name;
	}
	return NULL;
}

int symbol_file_find(const struct symbol_file *file, const char *name, uint64_t *ret_address)
{
	uint32_t hash = name_hash(name);

	for (size_t i = 0; i < file->n_symbols; i++) {
		if (file->symbols[i].hash != hash || strcmp(file->names + file->symbols[i].name, name) != 0)
			continue;
		*ret_address = file->symbols[i].address;
		return 0;
	}
	return -ENOENT;
}
