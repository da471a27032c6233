#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "common/base/must.h"
#include "common/config/regex.h"

/* Steps and memory of a match: enough for a rule that looks at each byte of a path of 8 KiB a few
   times; some milliseconds of the interpreter. The compiled code counts fewer of its steps, and its
   memory is its stack: what it refuses, the interpreter refuses too. */
enum { REGEX_STEPS = 100000, REGEX_KIB = 4096 };

static pcre2_match_data *regex_data;
static pcre2_match_context *regex_limits;
static struct {
	const struct cfg_regex *re;
	int err;
} regex_failure;

bool regex_is_interpreted;

static void
regex_init(void)
{
	pcre2_jit_stack *stack;

	if (regex_data)
		return;
	regex_data = pcre2_match_data_create(REGEX_CAPTURES, NULL);
	regex_limits = pcre2_match_context_create(NULL);
	must(regex_data && regex_limits);
	pcre2_set_match_limit(regex_limits, REGEX_STEPS);
	pcre2_set_depth_limit(regex_limits, REGEX_STEPS);
	pcre2_set_heap_limit(regex_limits, REGEX_KIB);
	stack = pcre2_jit_stack_create(32 << 10, REGEX_KIB << 10, NULL);
	if (stack) /* none: there is no compiled code either, or it has its own 32 KiB */
		pcre2_jit_stack_assign(regex_limits, NULL, stack);
}

bool
regex_compile(struct cfg_regex *re, struct str source, const char **why, size_t *offset)
{
	static char text[160];
	PCRE2_SIZE at = 0;
	int err;

	regex_init();
	re->source = source;
	/* NEVER_UTF: "(*UTF)" in an expression would make bytes that are no UTF-8 an error. */
	re->code = pcre2_compile((PCRE2_SPTR)source.p, source.n,
	    PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF, &err, &at, NULL);
	if (!re->code) {
		if (pcre2_get_error_message(err, (PCRE2_UCHAR *)text, sizeof(text)) < 0)
			text[0] = '\0';
		*why = text;
		*offset = at < source.n ? at : source.n;
		return false;
	}
	re->ends = regex_ends_of(source);
	/* Best effort: where memory must not be executable the interpreter serves. */
	if (!regex_is_interpreted)
		(void)pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE);
	return true;
}

void
regex_free(struct cfg_regex *re)
{
	regex_code_free(re->code);
	re->code = NULL;
	re->ends = (struct regex_ends){ 0 };
}

void
regex_code_free(void *code)
{
	pcre2_code_free(code);
}

unsigned
regex_groups(const struct cfg_regex *re)
{
	uint32_t n = 0;

	if (re->code)
		pcre2_pattern_info(re->code, PCRE2_INFO_CAPTURECOUNT, &n);
	return n;
}

static struct regex_result
regex_result(const struct cfg_regex *re, int err)
{
	if (err >= 0)
		return (struct regex_result){ REGEX_MATCH };
	if (err == PCRE2_ERROR_NOMATCH)
		return (struct regex_result){ REGEX_MISMATCH };
	regex_failure.re = re;
	regex_failure.err = err;
	return (struct regex_result){ REGEX_FAILED };
}

const struct cfg_regex *
regex_failed(const char **why)
{
	static char text[160];

	if (pcre2_get_error_message(regex_failure.err, (PCRE2_UCHAR *)text, sizeof(text)) < 0)
		text[0] = '\0';
	*why = text;
	return regex_failure.re;
}

struct regex_result
regex_search(const struct cfg_regex *re, struct str subject, struct str captures[REGEX_CAPTURES])
{
	const PCRE2_SIZE *v;
	int i, n;

	if (!re->code)
		return (struct regex_result){ REGEX_MISMATCH };
	regex_init();
	if (subject.n == 0)
		subject.p = "";
	n = pcre2_match(re->code, (PCRE2_SPTR)subject.p, subject.n, 0, 0, regex_data, regex_limits);
	if (n < 0 || !captures)
		return regex_result(re, n);
	v = pcre2_get_ovector_pointer(regex_data);
	if (n == 0) /* more groups than fit: the first ones are there */
		n = REGEX_CAPTURES;
	for (i = 0; i < REGEX_CAPTURES; i++) {
		/* \K in a look-ahead can put the start behind the end: counts as empty. */
		bool is_set = i < n && v[2 * i] != PCRE2_UNSET;
		size_t from = is_set ? v[2 * i] : 0, to = is_set ? v[2 * i + 1] : 0;

		captures[i] =
		    is_set ? str_n(subject.p + from, to > from ? to - from : 0) : str_n(NULL, 0);
	}
	return (struct regex_result){ REGEX_MATCH };
}
