/*
 * What parsing costs: runs one case COUNT times, for callgrind to count instructions
 *     valgrind --tool=callgrind --toggle-collect=bench_one ./bench_parse CASE COUNT
 * or, without, prints nanoseconds per turn. Cases: scan and parse of a small and a browser's head,
 * and the normalisation of a target.
 */
#include <stdio.h>
#include <stdlib.h>
#include "common/base/clock.h"
#include "worker/h1_parse.h"
#include "worker/uri.h"

static const char bench_small[] = "GET /1k.txt HTTP/1.1\r\nHost: 127.0.0.1:21000\r\n\r\n";

static const char bench_browser[] =
    "GET /assets/js/application-5f3a.js?v=17 HTTP/1.1\r\n"
    "Host: www.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-GB,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Referer: https://www.example.com/index.html\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "If-None-Match: \"5f3a-6541c0de\"\r\n"
    "Cache-Control: max-age=0\r\n\r\n";

static const struct h1_limits bench_limits = { .line = 8192, .head = 32768, .fields = 100 };
static char bench_room[8192];

static struct str bench_seen;

__attribute__((noinline)) int bench_one(const char *buf, size_t n);

int
bench_one(const char *buf, size_t n)
{
	static struct field fields[32];
	static uint8_t known[HF_MAX];
	static struct h1_head head;
	static struct h1_scan scan;
	static struct arena arena;
	const char *why;
	size_t skip;

	/* The Host of the request before was the same. */
	head.seen = bench_seen;
	head.seen_host_n = bench_seen.n;
	head.fields = (struct fields){ fields, 0, 32 };
	head.known = known;
	if (h1_scan(&scan, &bench_limits, buf, n, &skip) != (ssize_t)n)
		return -1;
	return h1_parse(&head, &bench_limits, &arena, buf, n, &why);
}

__attribute__((noinline)) int bench_target(const char *buf, size_t n);

int
bench_target(const char *buf, size_t n)
{
	struct arena arena;
	struct uri uri;

	arena_init(&arena, bench_room, sizeof(bench_room));
	return uri_parse(str_n(buf, n), M_GET, &arena, &uri);
}

static const struct bench {
	const char *name, *text;
	int (*fn)(const char *, size_t);
} benches[] = {
	{ "small", bench_small, bench_one },
	{ "browser", bench_browser, bench_one },
	{ "target", "/assets/js/application-5f3a.js?v=17", bench_target },
	{ "target-small", "/1k.txt", bench_target },
	{ "target-odd", "/assets/../js//caf%C3%A9/x.js", bench_target },
};

int
main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++) {
		const struct bench *b = &benches[i];
		long count = argc > 2 ? atol(argv[2]) : 1000000;
		uint64_t start;

		if (argc > 1 && strcmp(argv[1], b->name) != 0)
			continue;
		bench_seen = str_of(i == 0 ? "127.0.0.1:21000" : "www.example.com");
		start = clock_ns();
		for (long k = 0; k < count; k++) {
			if (b->fn(b->text, strlen(b->text)) != 0)
				return 1;
		}
		printf("%-14s %6zu octets %8.1f ns\n", b->name, strlen(b->text),
		    (double)(clock_ns() - start) / (double)count);
	}
	return 0;
}
