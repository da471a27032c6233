/*
 * What is true whenever the master waits, whatever has happened.
 */
#ifndef TEST_MASTER_RULES_H
#define TEST_MASTER_RULES_H

struct proc;

/* Before a run: it is looked at. */
void rules_begin(void);
/* For world.look and world.struck: fail the test when a rule is broken. */
void rules_look(void);
void rules_struck(const struct proc *, int signal);

#endif
