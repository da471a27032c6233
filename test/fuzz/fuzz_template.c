/*
 * Templates: whatever the text and whatever the values, an expansion into a field or a URL holds no
 * control character that the text does not hold, and a URL nothing that ends it. The input is a
 * form, the text, a NUL, and the octets that every variable and capture stands for.
 */
#include <stdlib.h>
#include "common/base/template.h"
#include "test/fuzz/fuzz.h"

static struct str
value_get(void *ctx, enum template_var var)
{
	const struct str *value = ctx;

	must(var < VAR_MAX);
	return *value;
}

static bool
is_clean(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return true;
}

static bool
is_url(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f || strchr("\\\"<>", s.p[i]))
			return false;
	return true;
}

static void
check_expansion(struct arena *a, struct str text, struct str value, enum template_form form)
{
	const char *why = NULL, *hint = NULL;
	struct str captures[10], out;
	const struct template_source src = { value_get, &value, captures };
	struct template t;

	for (int i = 0; i < 10; i++)
		captures[i] = value;
	if (!template_compile(&t, a, text, 9, &why, &hint)) {
		must(why && hint);
		return;
	}
	out = template_expand(&t, a, form, &src);
	must(form == TEMPLATE_PLAIN || !is_clean(text) || is_clean(out));
	must(form < TEMPLATE_PATH || !is_url(text) || is_url(out));
	must(!template_is_constant(&t) || out.n <= text.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	enum template_form form = fuzz_take(&data, &n) % 4;
	struct str text, value;
	struct arena arena;
	char *buf;

	if (n > 2000)
		return 0;
	buf = malloc(n > 0 ? n : 1);
	memcpy(buf, data, n);
	value = str_n(buf, n);
	text = str_split(&value, '\0');
	arena_init(&arena, NULL, 0);
	check_expansion(&arena, text, value, form);
	arena_fini(&arena);
	free(buf);
	return 0;
}
