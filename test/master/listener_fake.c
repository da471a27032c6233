#include "master/base/inherit.h"
#include "test/master/listener_fake.h"
#include "test/master/world.h"

struct listener_fake listener_fake;

static struct link listener_none;

void
listener_init(void)
{
	list_init(&listener_none);
	listener_fake.is_open = false;
}

int
listener_open(const struct conf *conf, struct text *report)
{
	(void)conf;
	world_must(!listener_fake.is_open, "addresses are opened twice");
	listener_fake.opens++;
	if (listener_fake.fails) {
		text_printf(report, "cannot listen\n");
		return listener_fake.fails;
	}
	listener_fake.is_open = true;
	return 0;
}

void
listener_rollback(void)
{
	world_must(listener_fake.is_open, "what is not open is taken back");
	listener_fake.is_open = false;
	listener_fake.rollbacks++;
}

void
listener_commit(const struct conf *conf)
{
	(void)conf;
	world_must(listener_fake.is_open, "what is not open is made final");
	listener_fake.is_open = false;
	listener_fake.commits++;
	inherit_close_rest();
}

void
listener_steer(unsigned n)
{
	listener_fake.steered = n;
}

struct listener *
listener_find(struct str text)
{
	(void)text;
	return NULL;
}

unsigned
listener_slots(void)
{
	return 8;
}

unsigned
listener_count(void)
{
	return 0;
}

const struct link *
listener_list(void)
{
	return &listener_none;
}

void
listener_name(const struct listener *l, unsigned slot, char *name, size_t len)
{
	(void)l;
	(void)slot;
	(void)len;
	name[0] = '\0';
}

void
listener_unlink(void)
{
}
