# Interim; configure and the full set of targets follow.
B ?= build
CC ?= gcc
CPPFLAGS += -I. -D_GNU_SOURCE
CFLAGS ?= -O2 -g
WARN = -std=gnu17 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Werror
LIBS = -levent_core -lconfig -lpcre2-8 -lcrypt -lcrypto -lpthread
SRC = $(wildcard common/*.c master/*.c worker/*.c modules/*.c)
OBJ = $(SRC:%.c=$(B)/%.o)
all: argand
argand: $(OBJ)
	$(CC) $(CFLAGS) -o $@ $^ $(LIBS)
$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(WARN) -MMD -MP -c -o $@ $<
-include $(OBJ:.o=.d)
