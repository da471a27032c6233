#include <stdio.h>

#include "common/base/fold.h"
#include "modules/gateway/codec/formpart.h"
#include "modules/gateway/uploadform.h"

static const struct str uploadform_names[] = {
	STR_INIT("X-Upload-Files"),
	STR_INIT("X-Upload-Path"),
	STR_INIT("X-Upload-Size"),
	STR_INIT("X-Upload-Sha256"),
	STR_INIT("X-Upload-Type"),
	STR_INIT("X-Upload-Name"),
};

enum { UPLOADFORM_NAMES = sizeof(uploadform_names) / sizeof(*uploadform_names) };

/* --- the form --- */

void
uploadform_encode(struct text *t, struct str s)
{
	static const char digits[] = "0123456789ABCDEF";
	char *p = text_room(t, 3 * s.n), *start = p;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((unsigned)(c | 0x20) - 'a' < 26 || (unsigned)c - '0' < 10 || c == '-' ||
		    c == '.' || c == '_' || c == '~') {
			*p++ = (char)c;
			continue;
		}
		*p++ = '%';
		*p++ = digits[c >> 4];
		*p++ = digits[c & 15];
	}
	t->n += (size_t)(p - start);
}

void
uploadform_name(struct text *t, struct str name)
{
	if (t->n > 0)
		text_add_str(t, STR("&"));
	uploadform_encode(t, name);
	text_add_str(t, STR("="));
}

static void
uploadform_member(struct text *t, unsigned i, const char *member, struct str value)
{
	char name[64];
	int n = snprintf(name, sizeof(name), FORMPART_OURS "[%u][%s]", i, member);

	uploadform_name(t, str_n(name, (size_t)n));
	uploadform_encode(t, value);
}

void
uploadform_file(struct text *t, unsigned i, const struct uploadfile *f)
{
	char size[20];

	uploadform_member(t, i, "field", f->field);
	uploadform_member(t, i, "name", f->name);
	uploadform_member(t, i, "type", f->type);
	uploadform_member(t, i, "size", str_n(size, str_from_u64(size, (uint64_t)f->size)));
	uploadform_member(t, i, "sha256", str_of(f->sha256));
	uploadform_member(t, i, "path", str_of(f->path));
}

/* --- the fields --- */

bool
uploadform_is_reserved(struct str name)
{
	for (size_t i = 0; i < UPLOADFORM_NAMES; i++) {
		if (fold_eq(name, uploadform_names[i]))
			return true;
	}
	return false;
}

static void
uploadform_pair(struct arena *a, struct cfg_records *set, struct str name, struct str value)
{
	struct gateway_pair *p = (struct gateway_pair *)set->v + set->n++;
	struct template_part *part = arena_calloc(a, sizeof(*part));

	part->literal = value;
	part->var = VAR_MAX;
	*p = (struct gateway_pair){ .name = name, .value = value };
	p->text = (struct template){ .v = part, .n = 1 };
}

/* A copy of what the route sets, but for the names that are ours; with room for all of these. */
static struct cfg_records
uploadform_set(struct arena *a, const struct cfg_records *from, bool is_form)
{
	const struct gateway_pair *old = from->v;
	struct gateway_pair *v = arena_calloc(a, (from->n + UPLOADFORM_NAMES + 1) * sizeof(*v));
	struct cfg_records set = { v, 0 };

	for (size_t i = 0; i < from->n; i++) {
		if (!uploadform_is_reserved(old[i].name) &&
		    !(is_form && fold_eq(old[i].name, STR("Content-Type"))))
			v[set.n++] = old[i];
	}
	return set;
}

void
uploadform_reserve(struct arena *a, struct gateway_conf *c)
{
	struct cfg_records set = uploadform_set(a, &c->set, false);

	for (size_t i = 0; i < UPLOADFORM_NAMES; i++)
		uploadform_pair(a, &set, uploadform_names[i], STR(""));
	c->set = set;
}

static struct str
uploadform_number(struct arena *a, uint64_t v)
{
	return arena_printf(a, "%llu", (unsigned long long)v);
}

const struct gateway_conf *
uploadform_conf(
    struct arena *a, const struct gateway_conf *conf, unsigned n, const struct uploadfile *raw)
{
	struct gateway_conf *c = arena_alloc(a, sizeof(*c));
	struct str values[UPLOADFORM_NAMES] = { uploadform_number(a, n) };
	struct text name = { 0 };

	*c = *conf;
	c->set = uploadform_set(a, &conf->set, !raw);
	if (raw) {
		uploadform_encode(&name, raw->name);
		values[1] = str_of(raw->path);
		values[2] = uploadform_number(a, (uint64_t)raw->size);
		values[3] = str_of(raw->sha256);
		values[4] = raw->type;
		values[5] = arena_str(a, text_str(&name));
		text_free(&name);
	} else {
		uploadform_pair(
		    a, &c->set, STR("Content-Type"), STR("application/x-www-form-urlencoded"));
	}
	for (size_t i = 0; i < UPLOADFORM_NAMES; i++)
		uploadform_pair(a, &c->set, uploadform_names[i], values[i].p ? values[i] : STR(""));
	return c;
}
