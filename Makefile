# coracle: build, test, install. `make help` lists the targets.

PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo
# Where cargo builds: target/<triple>/<profile>.
TARGET := $(or $(CARGO_TARGET_DIR),target)
# The release binary; found by pattern, so that `sudo make install` needs no toolchain.
BINARY ?= $(firstword $(wildcard $(TARGET)/*-linux-*/release/coracle))

# libseccomp is linked statically; where its archive is depends on the architecture.
LIBSECCOMP_LIB_PATH ?= $(shell pkg-config --variable=libdir libseccomp 2>/dev/null)
export LIBSECCOMP_LIB_PATH

# For how long `make fuzz-guided` runs each of its targets, in seconds, and which; all of them when there are none.
FUZZ_SECONDS ?= 60
TARGETS ?=

# Words of the rows that `make bench` measures; all of them when there are none.
ROWS ?=

# Kernels 6.1 and 6.12: both sides of overlay's new mount interface, before layers by descriptor.
RELEASE ?= bookworm trixie

.PHONY: all build check fmt clippy test generated bench vm crash networks soak fuzz fuzz-guided deny install uninstall hello help

all: build

build: ## build the release binary
	$(CARGO) build --release --locked

check: fmt clippy test ## check formatting and lints, run all tests

fmt: ## check formatting
	$(CARGO) fmt --check

clippy: ## run the lints; warnings are errors
	$(CARGO) clippy --locked --all-targets -- -D warnings

test: ## run all tests
	$(CARGO) test --locked --no-fail-fast

generated: ## regenerate completions/, man/ and docs/kernel-features.md
	CORACLE_TEST_AS=root CORACLE_UPDATE=1 $(CARGO) test --locked --test generated

# As installed: what a linker wrote lies in the page cache in small pieces, which every start pays for.
bench: build ## measure the README's table, against podman and a C program
	install -D -m 0755 $(TARGET)/*-linux-*/release/coracle $(TARGET)/bench/coracle
	CORACLE_TEST_BINARY=$(abspath $(TARGET))/bench/coracle $(CARGO) bench --locked --bench speed -- $(ROWS)

vm: ## smoke tests in QEMU guests of the Debian releases in RELEASE
	$(CARGO) build --locked
	for release in $(RELEASE); do RELEASE=$$release scripts/vm.sh $(TARGET)/*-linux-*/debug/coracle || exit 1; done

# CRASH=rename, or CRASH=rename:settings.written#1, plays one scenario or one case.
crash: ## kill commands at each step that changes the store; as root, also cut the power at each flush of the disk
	CORACLE_TEST_CRASH=$(or $(CRASH),all) $(CARGO) test --locked --test cli -- --nocapture --exact crash::a_command_killed_at_any_step_leaves_a_store_that_works
	CORACLE_TEST_AS=root $(CARGO) test --locked --test powercut

networks: ## 200 containers at once on one network, and 1,000 rounds of connecting and disconnecting
	CORACLE_TEST_NETWORKS=long $(CARGO) test --locked --test cli -- --nocapture networks_scale

soak: ## sixteen workers that compete for names, with random kills, for SOAK seconds (120); then 1,500 runs
	CORACLE_TEST_SOAK=$(or $(SOAK),120) $(CARGO) test --locked --test cli -- --nocapture --exact soak::workers_that_fight_over_names_and_are_killed_leave_a_store_that_works

fuzz: ## read broken files, names and archives, FUZZ (100,000) of each kind
	PROPTEST_CASES=$(or $(FUZZ),100000) $(CARGO) test --locked --lib -- build::language::tests::arbitrary build::files::ignore build::files::pattern build::files::glob build::files::mode image::arbitrary registry::arbitrary storage::archive::arbitrary storage::unpack::peers storage::whiteout

fuzz-guided: ## run the targets in fuzz/ (TARGETS) for FUZZ_SECONDS (60) each
	scripts/fuzz.sh $(FUZZ_SECONDS) $(TARGETS)

deny: ## check licences, bans and sources, and advisories if their database can be fetched
	cargo-deny check licenses bans sources
	cargo-deny fetch db && cargo-deny check advisories || echo "advisories: not checked, the database could not be fetched"

install: ## install what `make` built in PREFIX (below DESTDIR)
	@test -n "$(BINARY)" || { echo "no release binary: run make first" >&2; exit 1; }
	install -D -m 0755 "$(BINARY)" "$(DESTDIR)$(PREFIX)/bin/coracle"
	install -d "$(DESTDIR)$(PREFIX)/share/man/man1"
	install -m 0644 man/*.1 "$(DESTDIR)$(PREFIX)/share/man/man1/"
	install -d "$(DESTDIR)$(PREFIX)/share/man/man5"
	install -m 0644 man/*.5 "$(DESTDIR)$(PREFIX)/share/man/man5/"
	install -d "$(DESTDIR)$(PREFIX)/lib/systemd/user"
	install -m 0644 contrib/systemd/user/* "$(DESTDIR)$(PREFIX)/lib/systemd/user/"
	install -D -m 0644 completions/coracle.bash "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/coracle"
	install -D -m 0644 completions/_coracle "$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_coracle"
	install -D -m 0644 completions/coracle.fish "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/coracle.fish"

uninstall: ## remove what `make install` installed
	rm -f "$(DESTDIR)$(PREFIX)/bin/coracle"
	rm -f "$(DESTDIR)$(PREFIX)"/share/man/man1/coracle.1 "$(DESTDIR)$(PREFIX)"/share/man/man1/coracle-*.1
	rm -f "$(DESTDIR)$(PREFIX)/share/man/man5/coracle.toml.5"
	rm -f "$(DESTDIR)$(PREFIX)"/lib/systemd/user/coracle-*
	rm -f "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/coracle"
	rm -f "$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_coracle"
	rm -f "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/coracle.fish"

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile
