# tenantgate: `make help` lists the targets. Each is what CI runs.

GOLANGCI_LINT_VERSION := v2.15.0
GOLANGCI_LINT         := bin/golangci-lint-$(GOLANGCI_LINT_VERSION)

VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZTIME  ?= 30s
BENCHTIME ?= 1s
ORACLE_STATEMENTS ?= 100000
ORACLE_SEED       ?= $(shell date +%s)
COPY_MIB  ?= 1024
CLIENTS   ?= all
FAULTS    ?= 10
IMAGE     ?= tenantgate:$(VERSION)

# The parser and the race detector are C.
export CGO_ENABLED := 1

.DEFAULT_GOAL := build

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## bin/tenantgate
	go build -ldflags '-X main.version=$(VERSION)' -o bin/tenantgate ./cmd/tenantgate

.PHONY: test
test: postgresql ## all tests, with the race detector, on a PostgreSQL of their own
	go test -race -timeout 19m ./proxy ./... # what takes longest begins first
	go test ./internal/socket ./pool # what they do otherwise without the race detector
	go test -run LinearTime ./rewrite # times, of which the detector would be the most

.PHONY: oracle
oracle: postgresql ## ORACLE_STATEMENTS random statements, each against the tenant's own database
	ORACLE_STATEMENTS=$(ORACLE_STATEMENTS) ORACLE_SEED=$(ORACLE_SEED) \
		go test -timeout 9h -count 1 -v -run TestGeneratedStatementsAnswerAsForTheTenantAlone ./proxy

.PHONY: copy
copy: postgresql ## COPY of COPY_MIB through the proxy, both ways, and a slow reader's result, with the memory they took
	COPY_MIB=$(COPY_MIB) go test -timeout 1h -count 1 -v -run 'TestCopyStreamsThroughLittleMemory|TestSlowReaderTakesLittleMemory' ./cmd/tenantgate

.PHONY: faults
faults: postgresql ## servers killed and restarted, networks that stall: FAULTS times as long as in make test
	FAULTS=$(FAULTS) go test -race -timeout 2h -count 1 -v \
		-run 'ServerProcess|Restarted|ServerIsGone|HostThat|Network|Stalled|WithoutConnections|FileDescriptors|Storm|AskedWhether' ./pool ./proxy ./cmd/tenantgate

.PHONY: clients
clients: postgresql ## client libraries of other languages, with and without the proxy; CLIENTS=psycopg,jdbc runs these alone
	.ci/clients
	CLIENTS="$(CLIENTS)" go test -timeout 2h -count 1 -v -run TestClientsWorkAsWithoutTheProxy ./cmd/tenantgate

.PHONY: demo
demo: build postgresql ## two tenants on a throw-away PostgreSQL, seen with psql
	bin/tenantgate demo

.PHONY: lint
lint: $(GOLANGCI_LINT) ## linters, formatting and the rules on imports
	$(GOLANGCI_LINT) run ./...

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## format all Go files
	$(GOLANGCI_LINT) fmt ./...

.PHONY: fuzz
fuzz: ## every fuzz target in turn, each for FUZZTIME
	.ci/fuzz $(FUZZTIME)

.PHONY: bench
bench: build postgresql ## throughput and latency beside pgbouncer's, written to docs/performance.md
	@.ci/pgbouncer
	go run ./internal/bench

.PHONY: microbench
microbench: ## benchmarks of single functions, with allocations
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...

.PHONY: image
image: ## the container image, IMAGE
	docker build --build-arg VERSION=$(VERSION) -t $(IMAGE) .

.PHONY: clean
clean: ## remove what was built
	rm -rf bin

.PHONY: postgresql
postgresql: # PostgreSQL's programs: installed if they are missing and root may
	@.ci/postgresql

$(GOLANGCI_LINT):
	GOBIN=$(CURDIR)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv bin/golangci-lint $@
