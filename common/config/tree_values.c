/*
 * libconfig reads a file that has no mistakes, and its values are taken over into the tree. Numbers
 * are an exception: it wraps those that do not fit, so that they are read from the digits in the
 * text.
 */
#include <libconfig.h>

#include "common/base/must.h"
#include "common/config/tree.h"

static bool values_take(struct cfg_node *, config_setting_t *, struct arena *);

static bool
values_children(struct cfg_node *node, config_setting_t *s, struct arena *arena)
{
	struct cfg_node *child;
	unsigned i = 0;

	if ((unsigned)config_setting_length(s) != node->n)
		return false;
	for (child = node->first; child; child = child->next)
		if (!values_take(child, config_setting_get_elem(s, i++), arena))
			return false;
	return true;
}

static bool
values_take(struct cfg_node *node, config_setting_t *s, struct arena *arena)
{
	static const int types[] = {
		[NODE_GROUP] = CONFIG_TYPE_GROUP,
		[NODE_LIST] = CONFIG_TYPE_LIST,
		[NODE_ARRAY] = CONFIG_TYPE_ARRAY,
		[NODE_STRING] = CONFIG_TYPE_STRING,
		[NODE_INT] = CONFIG_TYPE_INT,
		[NODE_FLOAT] = CONFIG_TYPE_FLOAT,
		[NODE_BOOL] = CONFIG_TYPE_BOOL,
	};
	const char *name = s ? config_setting_name(s) : NULL;

	if (!s || node->kind >= NODE_WORD || config_setting_type(s) != types[node->kind])
		return false;
	if (name ? !str_eq(str_of(name), node->name) : node->name.n > 0)
		return false;
	switch (node->kind) {
	case NODE_STRING:
		node->text = arena_str(arena, str_of(config_setting_get_string(s)));
		return true;
	case NODE_BOOL:
		node->boolean = config_setting_get_bool(s);
		return true;
	case NODE_INT:
	case NODE_FLOAT:
		return true;
	default:
		return values_children(node, s, arena);
	}
}

int
tree_values(struct cfg_tree *tree, struct arena *arena, struct str text)
{
	/* libconfig wants the end of a line behind the last comment. */
	struct str lines = arena_printf(arena, "%.*s\n", STR_FMT(text));
	config_t config;
	int line = 0;

	config_init(&config);
	if (config_read_string(&config, lines.p) != CONFIG_TRUE)
		line = config_error_line(&config) > 0 ? config_error_line(&config) : 1;
	else if (!values_take(tree->root, config_root_setting(&config), arena))
		line = 1;
	config_destroy(&config);
	return line;
}
