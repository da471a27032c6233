/*
 * Doubly linked intrusive lists. A head is a link that points at itself when empty; an element
 * that is on no list has link.next == NULL, so "is it on a list" needs no flag.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct link {
	struct link *prev, *next;
};

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Safe against removal of the current element. */
#define LIST_EACH(it, head)                                                                        \
	for (struct link *it = (head)->next, *it##_next = it->next; it != (head);                  \
	     it = it##_next, it##_next = it->next)

static inline void
list_init(struct link *head)
{
	head->prev = head->next = head;
}

static inline bool
list_is_empty(const struct link *head)
{
	return head->next == head;
}

static inline bool
link_is_on(const struct link *l)
{
	return l->next != NULL;
}

static inline void
list_add_tail(struct link *head, struct link *l)
{
	l->prev = head->prev;
	l->next = head;
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a list has no loose ends */
	head->prev->next = l;
	head->prev = l;
}

static inline void
list_add_head(struct link *head, struct link *l)
{
	l->next = head->next;
	l->prev = head;
	head->next->prev = l;
	head->next = l;
}

/* Takes l off whatever list it is on; harmless when it is on none. */
static inline void
list_del(struct link *l)
{
	if (!l->next)
		return;
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a linked one has neighbours */
	l->prev->next = l->next;
	l->next->prev = l->prev;
	l->prev = l->next = NULL;
}

/* The first element, or NULL. */
static inline struct link *
list_first(const struct link *head)
{
	return head->next == head ? NULL : head->next;
}

/* Takes the first element off, or returns NULL. */
static inline struct link *
list_pop(struct link *head)
{
	struct link *l = list_first(head);

	if (l)
		list_del(l);
	return l;
}

/* A stack of free things, each kept by its link: last in, first out, so that what is handed out is
   still in the processor's cache. */
struct pool {
	struct link *top;
	unsigned n;
};

static inline void
pool_push(struct pool *p, struct link *l)
{
	l->next = p->top;
	p->top = l;
	p->n++;
}

/* NULL when it is empty. The link of what comes out is on no list. */
static inline struct link *
pool_pop(struct pool *p)
{
	struct link *l = p->top;

	if (l) {
		p->top = l->next;
		p->n--;
		l->next = NULL;
	}
	return l;
}

#endif
