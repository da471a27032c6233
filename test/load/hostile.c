/*
 * A worker that was taken over: maps the shared segment of a server and writes into all its tables
 * what hurts, in bursts, until its standard input ends. Then it prints how often it wrote.
 *     hostile /proc/PID/fd/N SEED [PID...]
 * The processes named are those that it wants the master to take for workers.
 *
 * What it writes: 0, 1, -1, the largest and smallest numbers, noise, single bits, near misses of
 * what stands there, in all widths; texts without an end; a row copied over others, or over all;
 * rows that name other processes; claims that are kept. The directory of tables is read once,
 * before it is damaged too.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HOSTILE_TABLES = 32, HOSTILE_PIDS = 16, HOSTILE_BURST = 200, HOSTILE_PAUSE_NS = 500000 };

struct table { /* struct shm_entry of common/segment/shm_map.c */
	char name[12];
	uint32_t version, row, rows;
	uint64_t offset;
};

static struct {
	unsigned char *base;
	size_t size;
	struct table tables[HOSTILE_TABLES];
	unsigned ntables;
	struct {
		int32_t pid;
		uint64_t started;
	} pids[HOSTILE_PIDS];
	unsigned npids;
	uint64_t seed, writes;
} self;

static uint64_t
random_next(void)
{
	self.seed += 0x9e3779b97f4a7c15u;
	uint64_t x = self.seed;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static uint64_t
random_below(uint64_t n)
{
	return random_next() % n;
}

static uint64_t
clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint64_t
value_next(uint64_t was)
{
	static const uint64_t values[] = { 0, 1, UINT64_MAX, INT64_MAX, (uint64_t)1 << 63,
		UINT32_MAX, INT32_MAX, (uint64_t)1 << 31, 255, 256, 257, 1023, 1024, 1025, 2, 3, 4,
		5 };

	switch (random_below(6)) {
	case 0:
		return random_next();
	case 1:
		return was ^ (uint64_t)1 << random_below(64);
	case 2:
		return was + random_below(3) - 1;
	case 3:
		return self.npids ? (uint64_t)self.pids[random_below(self.npids)].pid : 1;
	default:
		return values[random_below(sizeof(values) / sizeof(values[0]))];
	}
}

/* The octets of a row. */
static unsigned char *
row_any(const struct table *t)
{
	return self.base + t->offset + (size_t)random_below(t->rows) * t->row;
}

static void
write_number(const struct table *t)
{
	size_t width = (size_t)1 << random_below(4);
	unsigned char *p = row_any(t) + random_below(t->row / width) * width;
	uint64_t v = 0;

	memcpy(&v, p, width);
	v = value_next(v);
	memcpy(p, &v, width);
}

static void
write_text(const struct table *t)
{
	static const char *const texts[] = { "A", "\033[2J",
		"\x9b"
		"31m",
		"<script>", "\"\\\n", "\xc3", "../", "%n%s" };
	const char *text = texts[random_below(sizeof(texts) / sizeof(texts[0]))];
	unsigned char *row = row_any(t);
	size_t at = random_below(t->row), n = random_below(512), len = strlen(text);

	for (size_t i = 0; i < n && at + i < t->row; i++)
		row[at + i] = (unsigned char)text[i % len];
}

static void
write_copy(const struct table *t)
{
	unsigned char *from = row_any(t);
	unsigned n = random_below(8) ? 1 + (unsigned)random_below(8) : t->rows;

	for (unsigned i = 0; i < n; i++)
		memmove(n == t->rows ? self.base + t->offset + (size_t)i * t->row : row_any(t),
		    from, t->row);
}

static void
write_row(const struct table *t)
{
	unsigned char *row = row_any(t);
	uint64_t v = value_next(0);

	for (size_t at = 0; at + 8 <= t->row; at += 8, v = random_below(4) ? v : random_next())
		memcpy(row + at, &v, 8);
}

/* A worker's row as the master writes it, for somebody else; see struct shm_worker. */
static void
write_process(const struct table *t)
{
	unsigned char *row = row_any(t);
	uint32_t words[4] = { 0, (uint32_t)random_below(6), (uint32_t)random_below(12), 0 };
	uint64_t times[3] = { clock_now(), clock_now(), 0 };
	unsigned i = self.npids ? (unsigned)random_below(self.npids) : 0;

	words[0] = (uint32_t)self.pids[i].pid;
	times[2] = self.pids[i].started;
	memcpy(row, words, sizeof(words));
	memcpy(row + sizeof(words), times, sizeof(times));
}

/* The claim, in the name of a process that lives, for as long as is believed. */
static void
write_claim(const struct table *t)
{
	uint64_t v = (uint64_t)getppid() << 32 | (uint32_t)(clock_now() + 99);

	if (self.npids)
		v = (uint64_t)self.pids[random_below(self.npids)].pid << 32 |
		    (uint32_t)(clock_now() + 99);
	memcpy(row_any(t), &v, sizeof(v));
}

static void
write_once(void)
{
	const struct table *t = &self.tables[random_below(self.ntables)];

	self.writes++;
	if (strcmp(t->name, "workers") == 0 && random_below(2) == 0)
		write_process(t);
	else if (strcmp(t->name, "rooms") == 0 && random_below(2) == 0)
		write_claim(t);
	else if (random_below(5000) == 0)
		self.base[random_below(1100)] = (unsigned char)random_next(); /* the header */
	else if (random_below(3))
		write_number(t);
	else if (random_below(2))
		write_text(t);
	else if (random_below(2))
		write_copy(t);
	else
		write_row(t);
}

/* False: this cannot be the segment. */
static int
segment_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st) < 0)
		return 0;
	self.size = (size_t)st.st_size;
	p = mmap(NULL, self.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return 0;
	self.base = p;
	for (unsigned i = 0; i < HOSTILE_TABLES; i++) {
		struct table t;

		memcpy(&t, self.base + 32 + i * sizeof(t), sizeof(t));
		if (t.row && t.rows && t.offset < self.size &&
		    (uint64_t)t.row * t.rows <= self.size - t.offset)
			self.tables[self.ntables++] = t;
	}
	return self.ntables > 0;
}

static void
process_add(const char *text)
{
	char path[64], stat[1024], *p;
	FILE *f;

	if (self.npids == HOSTILE_PIDS)
		return;
	self.pids[self.npids].pid = (int32_t)strtol(text, NULL, 10);
	snprintf(path, sizeof(path), "/proc/%s/stat", text);
	f = fopen(path, "r");
	if (f && fgets(stat, sizeof(stat), f) && (p = strrchr(stat, ')')) != NULL) {
		for (int field = 2; p && field < 22; field++)
			p = strchr(p + 1, ' ');
		self.pids[self.npids].started = p ? strtoull(p, NULL, 10) : 0;
	}
	if (f)
		fclose(f);
	self.npids++;
}

int
main(int argc, char **argv)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	struct timespec pause = { 0, HOSTILE_PAUSE_NS };

	if (argc < 3 || !segment_open(argv[1])) {
		fprintf(stderr, "hostile: no segment: %s\n", strerror(errno));
		return 1;
	}
	self.seed = strtoull(argv[2], NULL, 10);
	for (int i = 3; i < argc; i++)
		process_add(argv[i]);
	while (poll(&in, 1, 0) == 0) {
		for (unsigned i = 0, n = (unsigned)random_below(HOSTILE_BURST); i < n; i++)
			write_once();
		nanosleep(&pause, NULL);
	}
	printf("%llu\n", (unsigned long long)self.writes);
	return 0;
}
