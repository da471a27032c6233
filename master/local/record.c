#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <fcntl.h>

#include "master/local/record.h"
#include "master/local/sock.h"

static struct local_pool *reading; /* whose processes follow */

static void
local_record_keep(int fd, bool is_kept)
{
	if (fd > 2)
		fcntl(fd, F_SETFD, is_kept ? 0 : FD_CLOEXEC);
}

/* Incomplete lines of the processes' logs are logged now: the next binary begins with a new
   line. */
static void
local_record_write_one(FILE *f, struct local_pool *l, bool is_kept)
{
	local_record_keep(l->sock, is_kept);
	fprintf(f, "local %d %d %llx %u %lu %lu %d %lld %u %s %s\n", (int)l->state, l->sock,
	    (unsigned long long)l->digest, l->scale.wanted, l->starts, l->deaths, l->last_status,
	    (long long)l->last_death, l->leaving, l->name, l->path ? l->path : "-");
	LIST_EACH(it, &l->procs)
	{
		struct localproc *p = localproc_of(it);

		localproc_flush(p);
		local_record_keep(p->log, is_kept);
		fprintf(f, "process %d %llx %llu %d %d\n", (int)p->pid,
		    (unsigned long long)p->digest, (unsigned long long)p->born, (int)p->state,
		    p->log);
	}
}

void
local_record_write(FILE *f, bool is_kept)
{
	LIST_EACH(it, local_list())
	local_record_write_one(f, container_of(it, struct local_pool, link), is_kept);
}

static bool
local_record_is_listener(int fd)
{
	socklen_t len = sizeof(int);
	int listens = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens;
}

/* One that has not taken its place yet stands where it was bound. */
static void
local_record_know(struct local_pool *l)
{
	char bound[128];

	localsock_bound(l->sock, bound, sizeof(bound));
	sockfile_know(&l->file, l->sock, l->state == LOCAL_COMING ? bound : l->path);
}

bool
local_record_read(const char *values)
{
	char name[256];
	struct local_pool it = { 0 }, *l;
	unsigned long long digest;
	long long when;
	int at = 0, state;

	if (sscanf(values, "%d %d %llx %u %lu %lu %d %lld %u %255s %n", &state, &it.sock, &digest,
		&it.scale.wanted, &it.starts, &it.deaths, &it.last_status, &when, &it.leaving, name,
		&at) != 10 ||
	    !at || !values[at] || state < 0 || state >= LOCAL_STATES)
		return false;
	if (it.sock >= 0 && !local_record_is_listener(it.sock))
		return false;
	l = local_new(
	    name, strcmp(values + at, "-") == 0 ? NULL : values + at, (enum local_state)state);
	l->sock = it.sock;
	if (it.sock >= 0 && l->path)
		local_record_know(l);
	l->digest = digest;
	l->scale.wanted = it.scale.wanted;
	l->starts = it.starts;
	l->deaths = it.deaths;
	l->last_status = it.last_status;
	l->last_death = when;
	l->leaving = it.leaving;
	l->is_stored = (state == LOCAL_SERVING || state == LOCAL_LEAVING) && it.sock >= 0;
	reading = l;
	return true;
}

bool
local_record_read_process(const char *values)
{
	unsigned long long digest, born;
	int pid, state, log;

	if (!reading ||
	    sscanf(values, "%d %llx %llu %d %d", &pid, &digest, &born, &state, &log) != 5 ||
	    pid <= 1 || state < 0 || state >= PROC_STATES || (log >= 0 && fcntl(log, F_GETFD) < 0))
		return false;
	localproc_adopt(reading, (enum localproc_state)state, pid, digest, born, log);
	return true;
}
