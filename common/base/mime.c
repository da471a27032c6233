/*
 * Media types by extension. One open-addressed table per mime.types file, filled once when a worker
 * starts and only read afterwards; the few rules of a route are searched one by one, which happens
 * when a file enters the cache, not per request.
 *
 * Invariants: extensions in the table are in lower case; the first row for an extension stays.
 */
#include "common/base/mime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/must.h"

enum { MIME_MAX_FILE = 4 << 20, MIME_MAX_EXT = 32 };

struct mime {
	struct mime_rule *slots; /* size is a power of two, at most half full */
	size_t size, n;
	char **texts; /* what mime_load_text copied, n_texts of them */
	size_t n_texts;
};

/* type, then its extensions: what browsers care about, and what mime.types has wrong or not at all.
 */
static const struct {
	const char *type, *exts;
} mime_builtin[] = {
	{ "text/html", "html htm shtml" },
	{ "text/css", "css" },
	{ "text/javascript", "js mjs cjs" },
	{ "text/plain",
	    "txt text log conf cfg ini asc diff patch sh py c h cc cpp hpp go rs java" },
	{ "text/csv", "csv" },
	{ "text/calendar", "ics ifb" },
	{ "text/markdown", "md markdown mkd" },
	{ "text/vcard", "vcf vcard" },
	{ "text/vtt", "vtt" },
	{ "text/x-component", "htc" },
	{ "application/json", "json map" },
	{ "application/ld+json", "jsonld" },
	{ "application/geo+json", "geojson" },
	{ "application/manifest+json", "webmanifest" },
	{ "application/toml", "toml" },
	{ "application/yaml", "yaml yml" },
	{ "application/xml", "xml xsl xsd rng" },
	{ "application/xhtml+xml", "xhtml xht" },
	{ "application/atom+xml", "atom" },
	{ "application/rss+xml", "rss" },
	{ "application/xslt+xml", "xslt" },
	{ "application/wasm", "wasm" },
	{ "application/pdf", "pdf" },
	{ "application/postscript", "ps eps ai" },
	{ "application/rtf", "rtf" },
	{ "application/epub+zip", "epub" },
	{ "application/zip", "zip" },
	{ "application/gzip", "gz tgz" },
	{ "application/zstd", "zst" },
	{ "application/x-bzip2", "bz2 tbz2" },
	{ "application/x-xz", "xz txz" },
	{ "application/x-tar", "tar" },
	{ "application/x-7z-compressed", "7z" },
	{ "application/vnd.rar", "rar" },
	{ "application/java-archive", "jar war ear" },
	{ "application/vnd.debian.binary-package", "deb udeb" },
	{ "application/x-rpm", "rpm" },
	{ "application/vnd.android.package-archive", "apk" },
	{ "application/sql", "sql" },
	{ "application/x-httpd-php-source", "phps" },
	{ "application/octet-stream", "br bin img iso dmg exe msi dll so" },
	{ "application/msword", "doc dot" },
	{ "application/vnd.ms-excel", "xls" },
	{ "application/vnd.ms-powerpoint", "ppt" },
	{ "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx" },
	{ "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx" },
	{ "application/vnd.openxmlformats-officedocument.presentationml.presentation", "pptx" },
	{ "application/vnd.oasis.opendocument.text", "odt" },
	{ "application/vnd.oasis.opendocument.spreadsheet", "ods" },
	{ "application/vnd.oasis.opendocument.presentation", "odp" },
	{ "application/vnd.oasis.opendocument.graphics", "odg" },
	{ "application/vnd.apple.mpegurl", "m3u8" },
	{ "application/dash+xml", "mpd" },
	{ "application/x-x509-ca-cert", "crt pem der" },
	{ "application/pgp-signature", "sig" },
	{ "image/png", "png" },
	{ "image/apng", "apng" },
	{ "image/jpeg", "jpg jpeg jpe jfif" },
	{ "image/gif", "gif" },
	{ "image/webp", "webp" },
	{ "image/avif", "avif avifs" },
	{ "image/heic", "heic" },
	{ "image/heif", "heif" },
	{ "image/jxl", "jxl" },
	{ "image/jp2", "jp2" },
	{ "image/svg+xml", "svg svgz" },
	{ "image/tiff", "tif tiff" },
	{ "image/bmp", "bmp" },
	{ "image/x-icon", "ico cur" },
	{ "audio/mpeg", "mp3" },
	{ "audio/mp4", "m4a m4b" },
	{ "audio/aac", "aac" },
	{ "audio/ogg", "ogg oga opus spx" },
	{ "audio/wav", "wav" },
	{ "audio/flac", "flac" },
	{ "audio/midi", "mid midi" },
	{ "audio/webm", "weba" },
	{ "video/mp4", "mp4 m4v" },
	{ "video/webm", "webm" },
	{ "video/ogg", "ogv" },
	{ "video/mp2t", "ts m2ts" },
	{ "video/mpeg", "mpg mpeg" },
	{ "video/quicktime", "mov qt" },
	{ "video/x-matroska", "mkv" },
	{ "video/x-msvideo", "avi" },
	{ "video/x-flv", "flv" },
	{ "video/3gpp", "3gp 3gpp" },
	{ "font/woff2", "woff2" },
	{ "font/woff", "woff" },
	{ "font/ttf", "ttf" },
	{ "font/otf", "otf" },
	{ "font/collection", "ttc" },
	{ "application/vnd.ms-fontobject", "eot" },
	{ "model/gltf-binary", "glb" },
	{ "model/gltf+json", "gltf" },
	{ "multipart/related", "mht mhtml" },
};

static size_t
mime_hash(struct str ext)
{
	uint32_t h = 2166136261u; /* FNV-1a: the keys are the operator's, no client chooses them */

	for (size_t i = 0; i < ext.n; i++)
		h = (h ^ (unsigned char)ext.p[i]) * 16777619u;
	return h;
}

/* The slot where ext is, or where it would go. */
static struct mime_rule *
mime_slot(const struct mime *m, struct str ext)
{
	size_t i = mime_hash(ext) & (m->size - 1);

	while (m->slots[i].ext.p && !str_eq(m->slots[i].ext, ext))
		i = (i + 1) & (m->size - 1);
	return &m->slots[i];
}

static void
mime_grow(struct mime *m)
{
	struct mime_rule *old = m->slots;
	size_t n = m->size;

	m->size = n ? n * 2 : 512;
	m->slots = must_calloc(m->size, sizeof(*m->slots));
	for (size_t i = 0; i < n; i++)
		if (old[i].ext.p)
			*mime_slot(m, old[i].ext) = old[i];
	free(old);
}

static void
mime_add(struct mime *m, struct str ext, struct str type)
{
	struct mime_rule *slot;

	if (ext.n > MIME_MAX_EXT)
		return;
	if (m->n * 2 >= m->size)
		mime_grow(m);
	slot = mime_slot(m, ext);
	if (slot->ext.p)
		return;
	*slot = (struct mime_rule){ ext, type };
	m->n++;
}

/* The next word of *s that blanks separate; n 0 at the end. */
static struct str
mime_word(struct str *s)
{
	size_t i = 0, from;

	while (i < s->n && (s->p[i] == ' ' || s->p[i] == '\t' || s->p[i] == '\r'))
		i++;
	from = i;
	while (i < s->n && s->p[i] != ' ' && s->p[i] != '\t' && s->p[i] != '\r')
		i++;
	struct str word = str_n(s->p + from, i - from);
	*s = str_n(s->p + i, s->n - i);
	return word;
}

struct mime *
mime_new(void)
{
	struct mime *m = must_calloc(1, sizeof(*m));

	mime_grow(m);
	for (size_t i = 0; i < sizeof(mime_builtin) / sizeof(*mime_builtin); i++) {
		struct str rest = str_of(mime_builtin[i].exts), ext;

		while (ext = mime_word(&rest), ext.n)
			mime_add(m, ext, str_of(mime_builtin[i].type));
	}
	return m;
}

void
mime_free(struct mime *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n_texts; i++)
		free(m->texts[i]);
	free(m->texts);
	free(m->slots);
	free(m);
}

/* Whether s can stand in a Content-Type field: a slash inside, no control characters. */
static bool
mime_is_type(struct str s)
{
	ptrdiff_t slash = str_find(s, '/');

	if (slash <= 0 || (size_t)slash + 1 == s.n || s.n > 255)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || (unsigned char)s.p[i] >= 0x7f)
			return false;
	return true;
}

static void
mime_load_line(struct mime *m, struct str line)
{
	ptrdiff_t hash = str_find(line, '#');
	struct str type, ext;

	if (hash >= 0)
		line.n = (size_t)hash;
	type = mime_word(&line);
	if (!mime_is_type(type))
		return;
	while (ext = mime_word(&line), ext.n)
		mime_add(m, ext, type);
}

void
mime_load_text(struct mime *m, struct str text)
{
	char *copy = must_malloc(text.n + 1);

	for (size_t i = 0; i < text.n; i++)
		copy[i] = (char)str_lower((unsigned char)text.p[i]);
	copy[text.n] = '\0';
	m->texts = must_realloc(m->texts, (m->n_texts + 1) * sizeof(*m->texts));
	m->texts[m->n_texts++] = copy;
	for (struct str rest = str_n(copy, text.n); rest.p;)
		mime_load_line(m, str_split(&rest, '\n'));
}

/* All bytes of fd, at most MIME_MAX_FILE; NULL with errno. */
static char *
mime_read(int fd, size_t *n)
{
	char *text = must_malloc(MIME_MAX_FILE);
	ssize_t got = 0;

	*n = 0;
	while (*n < MIME_MAX_FILE && (got = read(fd, text + *n, MIME_MAX_FILE - *n)) > 0)
		*n += (size_t)got;
	if (got >= 0)
		return text;
	free(text);
	return NULL;
}

int
mime_load(struct mime *m, const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err;
	size_t n;
	char *text;

	if (fd < 0)
		return -1;
	text = mime_read(fd, &n);
	err = errno;
	close(fd);
	if (text)
		mime_load_text(m, str_n(text, n));
	free(text);
	errno = err;
	return text ? 0 : -1;
}

static void
mime_rules_put(struct mime_rules *rules, struct arena *a, struct str ext, struct str type)
{
	struct mime_rule *v = arena_alloc(a, (rules->n + 1) * sizeof(*v));
	char *low = arena_alloc(a, ext.n + 1);

	if (rules->n)
		memcpy(v, rules->v, rules->n * sizeof(*v));
	if (ext.n > 1 && ext.p[0] == '.')
		ext = str_n(ext.p + 1, ext.n - 1);
	for (size_t i = 0; i < ext.n; i++)
		low[i] = (char)str_lower((unsigned char)ext.p[i]);
	v[rules->n] = (struct mime_rule){ str_n(low, ext.n), arena_str(a, type) };
	rules->v = v;
	rules->n++;
}

bool
mime_rules_add(struct mime_rules *rules, struct arena *a, struct str text, const char **why)
{
	struct str rest = str_trim(text), first = mime_word(&rest), second, word;

	rest = str_trim(rest);
	*why = "an extension and its media type, such as \"md text/markdown\" or \"* text/plain\"";
	if (!first.n || !rest.n)
		return false;
	if (!mime_is_type(first)) {
		if (first.n > MIME_MAX_EXT || !mime_is_type(rest))
			return false;
		mime_rules_put(rules, a, first, rest);
		return true;
	}
	for (second = rest; word = mime_word(&second), word.n;) {
		if (word.n > MIME_MAX_EXT || str_find(word, '/') >= 0)
			return false;
		mime_rules_put(rules, a, word, first);
	}
	return true;
}

static struct str
mime_rules_find(const struct mime_rules *rules, struct str ext)
{
	for (size_t i = 0; i < rules->n; i++)
		if (str_eq(rules->v[i].ext, ext))
			return rules->v[i].type;
	return (struct str){ NULL, 0 };
}

/* The extension of the last component in lower case, in low; n 0: none. */
static struct str
mime_ext(struct str path, char low[MIME_MAX_EXT])
{
	size_t n = 0;

	while (n < path.n && n <= MIME_MAX_EXT && path.p[path.n - 1 - n] != '.' &&
	       path.p[path.n - 1 - n] != '/')
		n++;
	/* A name that only begins with a dot has no extension. */
	if (n == 0 || n > MIME_MAX_EXT || n + 1 >= path.n || path.p[path.n - 1 - n] != '.' ||
	    path.p[path.n - 2 - n] == '/')
		return (struct str){ low, 0 };
	for (size_t i = 0; i < n; i++)
		low[i] = (char)str_lower((unsigned char)path.p[path.n - n + i]);
	return str_n(low, n);
}

struct str
mime_type_of(const struct mime *m, const struct mime_rules *rules, struct str path)
{
	char low[MIME_MAX_EXT];
	struct str ext = mime_ext(path, low), type = { NULL, 0 };

	if (ext.n)
		type = mime_rules_find(rules, ext);
	if (!type.p && ext.n)
		type = mime_slot(m, ext)->type;
	if (!type.p)
		type = mime_rules_find(rules, STR("*"));
	return type.p ? type : STR("application/octet-stream");
}
