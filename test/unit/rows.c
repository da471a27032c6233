#include <stdio.h>
#include <stdlib.h>
#include "common/base/must.h"
#include "test/unit/rows.h"
#include "test/unit/unit.h"

static char *
rows_conf(const char *server, const char *site)
{
	char *text = NULL;
	int n =
	    asprintf(&text, "%s\nsites = ( { host = \"*\"; %s } );\n", server ? server : "", site);

	ck_assert_int_gt(n, 0);
	return text;
}

struct loopback *
rows_open(const char *server, const char *site)
{
	char *text = rows_conf(server, site);
	struct loopback *lo = lo_open(text);

	free(text);
	return lo;
}

void
rows_send(struct loopback *lo, const struct row *row)
{
	struct lo_request q = { .method = row->method,
		.target = row->target ? row->target : "/",
		.host = row->host,
		.peer = row->peer,
		.fields = row->fields,
		.turn_ms = 1 };
	struct lo_response *s = lo_send(lo, &q);

	ck_assert_msg(s->status == row->status, "%s %s: %d, not %d (%.*s)", row->conf, q.target,
	    s->status, row->status, STR_FMT(s->why));
	if (row->name && !row->value)
		ck_assert_msg(!lo_field(s, row->name).p, "%s %s: %s: %.*s", row->conf, q.target,
		    row->name, STR_FMT(lo_field(s, row->name)));
	if (row->value)
		ck_assert_msg(
		    lo_field(s, row->name).p && str_eq(lo_field(s, row->name), str_of(row->value)),
		    "%s %s: \"%s: %.*s\", not \"%s\"", row->conf, q.target, row->name,
		    STR_FMT(lo_field(s, row->name)), row->value);
	if (row->body)
		unit_str_eq(s->body, row->body);
}

void
rows_check(const char *server, const struct row *row)
{
	struct loopback *lo = rows_open(server, row->conf);

	rows_send(lo, row);
	lo_close(lo);
}

void
rows_refuse(const char *site, bool is_error, const char *text, const char *more)
{
	char *conf_text = rows_conf(NULL, site), *said = NULL;
	struct cfg_errors *errors;
	struct conf *conf = conf_load_text(conf_text, "test.conf", &errors);
	size_t n = 0;
	FILE *f = open_memstream(&said, &n);

	cfg_errors_print(errors, f, false);
	fclose(f);
	ck_assert_msg((conf == NULL) == is_error, "%s: %s", site, said);
	ck_assert_msg(strstr(said, text) != NULL, "%s: no \"%s\" in: %s", site, text, said);
	ck_assert_msg(
	    !more || strstr(said, more) != NULL, "%s: no \"%s\" in: %s", site, more, said);
	conf_free(conf);
	cfg_errors_free(errors);
	free(said);
	free(conf_text);
}
