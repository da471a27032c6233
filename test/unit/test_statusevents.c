/* Events in words and as JSON: who, how often, whose word it is; hostile text harmless. */
#include <stdlib.h>
#include <time.h>

#include "common/segment/shm.h"
#include "common/status/events.h"
#include "test/unit/unit.h"

Suite *suite_statusevents(void);

static struct text out;

static void
teardown(void)
{
	text_free(&out);
}

static const struct {
	struct history_entry entry;
	const char *words;
} words_rows[] = {
	{ { .event = { .kind = HISTORY_RELOAD, .times = 1, .text = "generation 2 serves" } },
	    "generation 2 serves" },
	{ { .event = { .kind = HISTORY_START, .times = 1, .pid = 7, .text = "it serves" } },
	    "pid 7: it serves" },
	{ { .event = { .kind = HISTORY_WORKER_DEATH,
		.times = 3,
		.first = 86400000,
		.pid = 7,
		.worker = 1,
		.text = "killed by SIGKILL" } },
	    "worker 0 (pid 7) killed by SIGKILL, 3 times since 1970-01-02 00:00:00" },
	{ { .by = HISTORY_BY_WORKER,
	      .event = { .kind = HISTORY_HOST_UP,
		  .times = 1,
		  .pid = 7,
		  .worker = 5,
		  .text = "a" } },
	    "a (said by worker 4 (pid 7))" },
	{ { .by = HISTORY_BY_WORKER,
	      .event = { .kind = HISTORY_HOST_UP, .times = 1, .text = "a" } },
	    "a (said by a worker)" },
};

START_TEST(test_words)
{
	setenv("TZ", "UTC", 1);
	tzset();
	statusevents_words(&out, &words_rows[_i].entry);
	unit_str_eq(text_str(&out), words_rows[_i].words);
}
END_TEST

START_TEST(test_json)
{
	static const struct history_entry v[] = {
		{ .sequence = 9,
		    .event = { .kind = HISTORY_STOP, .times = 1, .time = 5, .first = 5 } },
		{ .by = HISTORY_BY_WORKER,
		    .sequence = 2,
		    .event = { .kind = HISTORY_HOST_DOWN,
			.times = 4,
			.time = 8,
			.first = 6,
			.pid = 77,
			.worker = 1,
			.text = "\"<b>" } },
	};
	struct json j;

	json_init(&j, &out);
	json_object(&j, NULL);
	statusevents_json(&j, v, 2);
	json_object_end(&j);
	unit_str_eq(text_str(&out),
	    "{\"events\":[{\"severity\":\"plain\",\"sequence\":9,\"by\":\"master\",\"kind\":"
	    "\"stop\","
	    "\"time_ms\":5,\"first_ms\":5,\"times\":1,\"pid\":null,\"worker\":null,\"text\":\"\"},"
	    "{\"severity\":\"bad\",\"sequence\":2,\"by\":\"worker\",\"kind\":\"host-down\","
	    "\"time_ms\":8,\"first_ms\":6,\"times\":4,\"pid\":77,\"worker\":0,\"text\":\"\\\"<b>\"}"
	    "]}");
}
END_TEST

/* What a worker has written reaches no terminal as it is. */
START_TEST(test_hostile)
{
	struct shm *shm = shm_create();

	ck_assert_ptr_nonnull(shm);
	statusevents_doc(shm, false, &out);
	unit_str_eq(text_str(&out), "nothing has happened yet\n");
	out.n = 0;
	history_say(shm, HISTORY_HOST_DOWN, 1, "%s", "a\033[2J\nexit 0\xff\xe2\x80\xae");
	statusevents_doc(shm, false, &out);
	text_add(&out, "", 1);
	ck_assert_ptr_nonnull(strstr(out.p, "  host-down        a?[2J?exit 0??"));
	ck_assert_ptr_null(strchr(out.p, '\033'));
	shm_close(shm);
}
END_TEST

Suite *
suite_statusevents(void)
{
	Suite *s = suite_create("statusevents");
	TCase *tc = tcase_create("statusevents");

	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_loop_test(tc, test_words, 0, UNIT_COUNT(words_rows));
	tcase_add_test(tc, test_json);
	tcase_add_test(tc, test_hostile);
	suite_add_tcase(s, tc);
	return s;
}
