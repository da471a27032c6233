/*
 * What clients of uploads say of themselves. The first octet chooses a parser; a name that passes
 * is one segment that nobody has to fear, whatever it was decoded from.
 */
#include "modules/receive/name.h"
#include "modules/receive/value.h"
#include "test/fuzz/fuzz.h"

static void
name_is_safe(struct str name)
{
	if (receive_name_refuse(name))
		return;
	must(name.n > 0 && name.n <= RECEIVE_NAME_MAX && name.p[0] != '.');
	must(!memchr(name.p, '/', name.n) && !memchr(name.p, '\\', name.n));
	for (size_t i = 0; i < name.n; i++)
		must((unsigned char)name.p[i] >= ' ' && name.p[i] != 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t which = fuzz_take(&data, &n);
	struct str s = str_n((const char *)data, n), out;
	struct receive_digest digest;
	struct arena a;
	int64_t v = -1;
	bool is;

	arena_init(&a, NULL, 0);
	switch (which % 6) {
	case 0:
		if (receive_value_bool(s, &is))
			must(s.p[0] == '?' && is == (s.p[1] == '1'));
		break;
	case 1:
		if (receive_value_int(s, &v))
			must(v >= 0 && v <= INT64_C(999999999999999));
		break;
	case 2:
		if (receive_value_metadata(s, STR("filename"), &a, &out) > 0)
			name_is_safe(out);
		break;
	case 3:
		if (receive_value_filename(s, &a, &out) > 0)
			name_is_safe(out);
		break;
	case 4:
		if (receive_value_digest(s, &digest))
			must(digest.n >= 16 && digest.n <= RECEIVE_DIGEST_MAX);
		break;
	default:
		if (receive_value_number(s, &v))
			must(v >= 0);
		name_is_safe(s);
	}
	arena_fini(&a);
	return 0;
}
