# ---- tests ----

# Built against the library; kept out of the Makefile's first page.
$(BUILD)/tests/%: tests/%.c $(BUILD)/libshoal.a $(BUILD)/tests/support.o
	@mkdir -p $(@D)
	$(COMPILE) $< -o $@ $(BUILD)/tests/support.o $(BUILD)/libshoal.a $(LDFLAGS) $(LDLIBS) \
	    $(shell pkg-config --libs check)

# make unit T=tests/unit/test_row.c builds and runs one test program
unit: $(BUILD)/tests/$(patsubst tests/%.c,%,$(T))
	$<
