# Everything needs Go and make only; what else a target wants it says.
# "make help" lists the targets.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO ?= go
BIN := build/bin
# What the boxes run.
AGENT := $(patsubst %,./%/...,$(wildcard agent buffer collector firmware uplink))
GOLANGCI_LINT := v2.15.0

# RUN_SECONDS ends "make run" by itself; 0 or nothing runs until Ctrl-C.
RUN_SECONDS ?=
export RUN_SECONDS
# LANES and PKG narrow "make test", PKG also "make fuzz" and "make bench":
# make test LANES=race,mips PKG=./buffer/...
LANES ?=
PKG ?=
# FUZZTIME is how long "make fuzz" spends on each target.
FUZZTIME ?= 10s
# REAL is how many real uplinks "make storm" connects, SOAK how long "make soak"
# runs.
REAL ?= 10000
SOAK ?= 1h
# ARGS are passed to the program behind a target: make budget ARGS=--json
ARGS ?=

.PHONY: help run test lint fmt cross budget budget-json wire detectors flash storm soak brokers brokers-table faults faults-table faults-long fuzz bench clean FORCE

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

run: ## the whole path on this machine: agent, broker, CEM (RUN_SECONDS=30 ends it by itself)
	@$(GO) run ./testbench/cmd/testbench up $(ARGS)

test: $(BIN)/runtests ## every test; LANES=race,plain,armv7,mips,mipsle and PKG=./buffer/... narrow it
	@$(BIN)/runtests -lanes '$(LANES)' $(PKG)

cross: $(BIN)/cross ## release binaries in dist/; ARGS=-verify builds each twice and compares
	@$(BIN)/cross $(ARGS)

budget: $(BIN)/budget ## measure the budgets and fail on what exceeds them (ARGS=--json for machines)
	@$(BIN)/budget $(ARGS)

budget-json: $(BIN)/budget ## the same as JSON
	@$(BIN)/budget --json

wire: ## bytes per reading on the reference trace, beside other encodings
	@$(GO) run ./testbench/cmd/testbench wire $(ARGS)

detectors: ## false alarms, delays and costs of the detectors and episodes on labelled traces (minutes)
	@$(GO) run ./testbench/cmd/testbench detectors $(ARGS)

flash: ## flash bytes per day, backend up and down
	@$(GO) run ./testbench/cmd/testbench flash $(ARGS)

storm: $(BIN)/testbench ## power returns to 12 million simulated boxes and to REAL=10000 real uplinks
	@$(BIN)/testbench storm --out build/storm --real $(REAL) $(ARGS)

soak: $(BIN)/testbench ## run the agent for SOAK=1h and see that nothing grows
	@$(BIN)/testbench soak --for $(SOAK) $(ARGS)

brokers: ## the delivery suite over NATS, Mosquitto, RabbitMQ and mochi-mqtt; fails on a report lost (minutes)
	@$(GO) run ./testbench/cmd/testbench brokers $(ARGS)

brokers-table: ## the same, and write testbench/BROKERS.md
	@$(GO) run ./testbench/cmd/testbench brokers --write

faults: ## what power, flash, networks and operators do to the agent, and what that costs (minutes; as root)
	@$(GO) run ./testbench/cmd/testbench faults $(ARGS)

faults-table: ## the same, and write testbench/FAULTS.md
	@$(GO) run ./testbench/cmd/testbench faults --write $(ARGS)

faults-long: ## the same with 2 000 kills and every cut of more workloads (hours)
	@$(GO) run ./testbench/cmd/testbench faults --long $(ARGS)

fuzz: ## each fuzz target for FUZZTIME
	@for pkg in $$($(GO) list $(or $(PKG),./...)); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

bench: ## the benchmarks
	@$(GO) test -run '^$$' -bench . -benchmem $(or $(PKG),./...)

lint: $(BIN)/golangci-lint ## golangci-lint, go vet for the boxes' processors, go fix -diff
	$(BIN)/golangci-lint run ./...
	GOOS=linux GOARCH=arm GOARM=7 CGO_ENABLED=0 $(GO) vet $(AGENT)
	GOOS=linux GOARCH=mips GOMIPS=softfloat CGO_ENABLED=0 $(GO) vet $(AGENT)
	GOOS=linux GOARCH=mipsle GOMIPS=softfloat CGO_ENABLED=0 $(GO) vet $(AGENT)
	$(GO) fix -diff ./...

fmt: $(BIN)/golangci-lint ## format the code
	@$(BIN)/golangci-lint fmt ./...

clean: ## remove what was built
	rm -rf build dist

# The go command knows what is stale better than make does.
$(BIN)/%: FORCE
	@$(GO) build -o $@ ./testbench/cmd/$*

$(BIN)/golangci-lint: Makefile
	@echo "installing golangci-lint $(GOLANGCI_LINT) in $(BIN) (minutes, once)"
	@GOBIN=$(CURDIR)/$(BIN) GOFLAGS= $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)
	@touch $@
