#include "common/base/fold.h"
#include "common/base/http.h"
#include "common/base/utf8.h"
#include "modules/gateway/codec/formpart.h"
#include "modules/gateway/codec/params.h"

struct formpart_seen {
	struct str disposition, type, coding;
};

static bool
formpart_has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	}
	return false;
}

/* One field line. NULL, or why not. */
static const char *
formpart_line(struct formpart_seen *seen, struct str line)
{
	struct str value = line, name = str_split(&value, ':');
	struct str *into = NULL;

	if (!value.p || !http_is_token(name)) /* also a folded line */
		return "multipart: a malformed line in the head of a part";
	value = str_trim(value);
	for (size_t i = 0; i < value.n; i++) {
		if (((unsigned char)value.p[i] < 0x20 && value.p[i] != '\t') || value.p[i] == 0x7f)
			return "multipart: a control character in the head of a part";
	}
	if (str_caseeq(name, STR("Content-Disposition")))
		into = &seen->disposition;
	else if (str_caseeq(name, STR("Content-Type")))
		into = &seen->type;
	else if (str_caseeq(name, STR("Content-Transfer-Encoding")))
		into = &seen->coding;
	if (into && into->p)
		return "multipart: a field twice in the head of a part";
	if (into)
		*into = value;
	return NULL;
}

/* RFC 7578 4.7: obsolete, and nobody decodes it alike. */
static bool
formpart_is_coded(struct str coding)
{
	return coding.p && !str_caseeq(coding, STR("binary")) && !str_caseeq(coding, STR("8bit")) &&
	       !str_caseeq(coding, STR("7bit"));
}

/* The parameters of "form-data": each at most once. */
static const char *
formpart_params(struct formpart *f, struct arena *a, struct str rest)
{
	struct str extended = { NULL, 0 };
	struct param p;
	int got;

	while ((got = params_next(&rest, &p)) > 0) {
		struct str *into = str_caseeq(p.name, STR("name"))       ? &f->name
				   : str_caseeq(p.name, STR("filename")) ? &f->filename
									 : NULL;

		if (str_caseeq(p.name, STR("filename*"))) {
			if (extended.p)
				return "multipart: a parameter twice in Content-Disposition";
			extended = params_extended(a, p.value);
			if (!extended.p)
				return "multipart: filename* is not UTF-8 (RFC 8187)";
		}
		if (!into)
			continue;
		if (into->p)
			return "multipart: a parameter twice in Content-Disposition";
		*into = params_text(a, &p);
	}
	if (got < 0)
		return "multipart: Content-Disposition is malformed";
	if (extended.p)
		f->filename = extended;
	f->is_file = f->filename.p != NULL;
	return NULL;
}

int
formpart_read(
    struct formpart *f, struct arena *a, struct str head, size_t max_name, const char **why)
{
	struct formpart_seen seen = { 0 };

	*f = (struct formpart){ 0 };
	*why = NULL;
	while (head.n > 0 && !*why) {
		struct str line = str_split(&head, '\n');

		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		*why = formpart_line(&seen, line);
	}
	if (*why)
		return 400;
	if (!seen.disposition.p ||
	    !str_caseeq(str_trim(str_split(&seen.disposition, ';')), STR("form-data")))
		*why = "multipart: a part without Content-Disposition: form-data";
	else if (formpart_is_coded(seen.coding))
		*why = "multipart: a part with a Content-Transfer-Encoding";
	else
		*why = formpart_params(f, a, seen.disposition.p ? seen.disposition : STR(""));
	if (*why)
		return 400;
	f->type = seen.type;
	if (f->name.n == 0)
		*why = "multipart: a part without a name";
	else if (f->name.n > max_name || f->filename.n > max_name)
		*why = "multipart: a name is too long";
	else if (formpart_has_control(f->name))
		*why = "multipart: a control character in the name of a field";
	else if (formpart_is_ours(f->name))
		*why = "multipart: a field's name is one of the server's own";
	if (*why)
		return 400;
	if (f->is_file)
		f->filename = formpart_safe(a, f->filename);
	return 0;
}

struct str
formpart_filename(struct arena *a, struct str disposition)
{
	struct formpart f = { 0 };

	str_split(&disposition, ';');
	if (!disposition.p || formpart_params(&f, a, disposition))
		return str_n(NULL, 0);
	return f.filename;
}

struct str
formpart_safe(struct arena *a, struct str name)
{
	const unsigned char *p, *end;
	char *dst;
	size_t n = 0;

	for (size_t i = name.n; i > 0; i--) {
		if (name.p[i - 1] == '/' || name.p[i - 1] == '\\') {
			name = str_n(name.p + i, name.n - i);
			break;
		}
	}
	if (name.n == 0)
		return STR("");
	dst = arena_alloc(a, name.n);
	p = (const unsigned char *)name.p;
	end = p + name.n;
	while (p < end) {
		unsigned len = utf8_plain(p, end);

		if (len == 0 || (n == 0 && *p == '.')) {
			dst[n++] = '_';
			p += 1;
			continue;
		}
		memcpy(dst + n, p, len);
		n += len;
		p += len;
	}
	return str_n(dst, n);
}

bool
formpart_is_ours(struct str name)
{
	while (name.n > 0 && fold_octet(*name.p) == '-') {
		name.p++;
		name.n--;
	}
	return fold_has_prefix(name, STR(FORMPART_OURS));
}

/* As readers of forms do: "+" is a blank, "%" with two digits an octet, else itself. */
static struct str
formpart_decoded(struct arena *a, struct str s)
{
	char *dst = arena_alloc(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *high = NULL, *low = NULL;

		if (s.p[i] == '%' && s.n - i > 2 && s.p[i + 1] && s.p[i + 2]) {
			high = strchr(digits, str_lower((unsigned char)s.p[i + 1]));
			low = strchr(digits, str_lower((unsigned char)s.p[i + 2]));
		}
		if (high && low) {
			dst[n++] = (char)((high - digits) << 4 | (low - digits));
			i += 2;
		} else {
			dst[n++] = s.p[i] == '+' ? ' ' : s.p[i];
		}
	}
	return str_n(dst, n);
}

bool
formpart_query_has_ours(struct arena *a, struct str query)
{
	/* Some take ";" for "&". */
	while (query.p && query.n > 0) {
		struct str pair = str_split(&query, '&');

		while (pair.p && pair.n > 0) {
			struct str value = str_split(&pair, ';'), name = str_split(&value, '=');

			if (formpart_is_ours(formpart_decoded(a, name)))
				return true;
		}
	}
	return false;
}
