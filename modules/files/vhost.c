#include "modules/files/vhost.h"

#include <stdlib.h>
#include <sys/stat.h>
#include "common/base/log.h"
#include "common/base/must.h"

enum { FILES_VHOST_BUCKETS = 1024 /* a power of two */ };

/* Only hosts whose directory was there are kept, so their number is the operator's and not the
   clients'; one that goes away keeps its place. */
struct files_vhost {
	struct files_vhost *next;
	const struct files_route *base;
	struct files_route fr;
	size_t n; /* of host */
	char host[];
};

static struct files_vhost *files_vhosts[FILES_VHOST_BUCKETS];
static unsigned files_nvhosts;

bool
files_vhost_is_safe(struct str host)
{
	if (host.n == 0 || host.n > 253)
		return false;
	for (size_t i = 0; i < host.n; i++) {
		char c = host.p[i], before = i > 0 ? host.p[i - 1] : '.';
		bool is_letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (!is_letter && ((c != '-' && c != '.') || before == '.'))
			return false;
	}
	return true;
}

static struct str
files_vhost_value(void *host, enum template_var var)
{
	(void)var; /* files_conf lets no other one in */
	return *(struct str *)host;
}

/* The bucket's new first element, or NULL when there is no directory. */
static struct files_vhost *
files_vhost_new(const struct files_route *base, struct str host, const char *path)
{
	struct files_vhost *v;
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return NULL;
	if (files_nvhosts >= FILES_VHOSTS) {
		log_warnx(
		    "files: %s is not served: there are %u hosts already", path, files_nvhosts);
		return NULL;
	}
	files_nvhosts++;
	v = must_malloc(sizeof(*v) + host.n);
	v->base = base;
	v->n = host.n;
	memcpy(v->host, host.p, host.n);
	files_route_at(&v->fr, base, path);
	return v;
}

static const struct files_route *
files_vhost_open(const struct files_route *base, struct str host, struct files_vhost **bucket)
{
	const struct template_source src = { files_vhost_value, &host, NULL };
	char room[1024];
	struct arena arena;
	struct files_vhost *v;

	arena_init(&arena, room, sizeof(room));
	v = files_vhost_new(
	    base, host, template_expand(&base->conf->root_of_host, &arena, TEMPLATE_PLAIN, &src).p);
	arena_fini(&arena);
	if (!v)
		return NULL;
	v->next = *bucket;
	*bucket = v;
	return &v->fr;
}

const struct files_route *
files_vhost_get(const struct files_route *base, struct str host)
{
	struct files_vhost **bucket;

	if (!files_vhost_is_safe(host))
		return NULL;
	bucket = &files_vhosts[str_hash(host) % FILES_VHOST_BUCKETS];
	for (struct files_vhost *v = *bucket; v; v = v->next)
		if (v->base == base && str_eq(str_n(v->host, v->n), host))
			return &v->fr;
	return files_vhost_open(base, host, bucket);
}

void
files_vhost_stop(void)
{
	for (size_t i = 0; i < FILES_VHOST_BUCKETS; i++)
		while (files_vhosts[i]) {
			struct files_vhost *v = files_vhosts[i];

			files_vhosts[i] = v->next;
			free(v);
		}
	files_nvhosts = 0;
}
