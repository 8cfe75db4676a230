# What a newcomer types. Interpreters are kept outside of this checkout (`weir config` says where), so
# that `cargo clean` costs no download.

CARGO ?= cargo
WEIR = ./target/release/weir

.PHONY: help run setup build test bench lint fmt doctor

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: build ## build, then serve on 127.0.0.1:8080; the first time fetches and compiles Python
	$(WEIR) serve

setup: build ## fetch and compile the interpreters without serving
	$(WEIR) setup

build: ## the release binary
	$(CARGO) build --release

test: setup ## every test; those with a guest need the interpreters
	$(CARGO) test --release

bench: setup ## measure what the README promises
	$(CARGO) bench --bench promises

lint: ## formatting, clippy, and cargo-deny where it is installed
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --release --all-targets -- -D warnings
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny check bans licenses sources; \
	else echo 'cargo-deny is not installed: bans, licenses and sources were not checked'; fi

fmt: ## format the code
	$(CARGO) fmt --all

doctor: build ## what this machine lacks
	$(WEIR) doctor
