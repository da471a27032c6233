/* The suites of the engine, as test/unit/main.c runs those of the units. */
#define UNIT_SUITES "test/engine/suites.def"
#include "test/unit/main.c"
