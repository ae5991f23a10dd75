# fuzz.mk - builds each target with a fuzzer in it, and all of the programs' sources with its instruments; runs it. For GNU make;
# tests/Makefile.am calls it, and gives top_srcdir, farm_cflags and farm_libs.
#
#     fuzz        each of $(FUZZ) for $(FUZZ_SECONDS)
#     coverage    how much of its parsers the inputs of each reach

top_srcdir ?= .
FUZZ_CC ?= clang
FUZZ_SECONDS ?= 60
source := $(top_srcdir)/tests/fuzz
targets := $(patsubst $(source)/fuzz_%.c,%,$(wildcard $(source)/fuzz_*.c))
FUZZ ?= $(targets)

# Objects of each way to build stand in a folder of their own.
sanitize := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
ifeq ($(MAKECMDGOALS),coverage)
tree := fuzz/tree-coverage
instruments := -fprofile-instr-generate -fcoverage-mapping
fuzzer :=
else
tree := fuzz/tree-$(notdir $(FUZZ_CC))
instruments := $(sanitize) -fsanitize=fuzzer-no-link
fuzzer := $(sanitize) -fsanitize=fuzzer
endif
defines := -DFARM_LIBEXECDIR='"/usr/libexec"' -DSOURCE_DIR='"$(top_srcdir)"'
flags := -O1 -g -std=gnu17 $(defines) $(farm_cflags) $(instruments)

# The archives that the tests link with, in their order: what two of them have is found in the first.
parts := farmctl worker coordinator common
programs := main helper imagetools
objects_of = $(patsubst $(top_srcdir)/%.c,$(tree)/%.o,$(filter-out $(addprefix $(top_srcdir)/$1/,$(addsuffix .c,$(programs))),$(wildcard $(top_srcdir)/$1/*.c)))
archives := $(patsubst %,$(tree)/%.a,$(parts))

fuzz: $(patsubst %,$(tree)/fuzz_%,$(FUZZ))
	@sh $(source)/run $(FUZZ_CC) $(tree) $(source) $(FUZZ_SECONDS) $(FUZZ)

coverage: $(tree)/replay
	@sh $(source)/coverage $(tree)/replay $(top_srcdir) $(FUZZ)

$(tree)/%.o: $(top_srcdir)/%.c
	@mkdir -p $(@D)
	@echo "  $(FUZZ_CC)  $*.c"
	@$(FUZZ_CC) $(flags) -MMD -c -o $@ $<

$(tree)/embedded.c: $(top_srcdir)/schema/embed.sh $(wildcard $(top_srcdir)/schema/*)
	@mkdir -p $(@D)
	@sh $(top_srcdir)/schema/embed.sh $(top_srcdir)/schema > $@

$(tree)/common/embedded.o: $(tree)/embedded.c
	@mkdir -p $(@D)
	@$(FUZZ_CC) $(flags) -c -o $@ $<

$(tree)/alone/%.o: $(source)/fuzz_%.c
	@mkdir -p $(@D)
	@$(FUZZ_CC) $(flags) -DFUZZ_ALONE -MMD -c -o $@ $<

define archive
$(tree)/$1.a: $(call objects_of,$1) $(if $(filter common,$1),$(tree)/common/embedded.o)
	@rm -f $$@
	@$(AR) cr $$@ $$^
endef
$(foreach part,$(parts),$(eval $(call archive,$(part))))

# Its registry is its own.
wrapped := -Wl,--wrap=registry_open_blob,--wrap=registry_read_blob
$(tree)/fuzz_layer: fuzzer += $(wrapped)

$(tree)/fuzz_%: $(tree)/alone/%.o $(tree)/tests/fuzz/fuzz.o $(archives)
	@$(FUZZ_CC) $(fuzzer) -g -o $@ $^ $(farm_libs)

$(tree)/replay: $(tree)/tests/fuzz/replay.o $(tree)/tests/fuzz/fuzz.o $(patsubst %,$(tree)/tests/fuzz/fuzz_%.o,$(targets)) $(archives)
	@$(FUZZ_CC) $(instruments) $(wrapped) -g -o $@ $^ $(farm_libs)

.SECONDARY:
.PHONY: fuzz coverage
-include $(shell find $(tree) -name '*.d' 2> /dev/null)
