# make test     install what is missing and run every test of this module; without a C compiler, no race detector
# make fuzz     each fuzz target for FUZZTIME (default 20s)
# make lint     go vet, gofmt, golangci-lint, and the check of who imports what
# make examples build every example
# make modules  test the modules that applications import beside this one
# make interop  the real Koa middleware and sess on one Redis (Node 18 or newer)
# make browser  a real Chromium against the examples, with screenshots
# make reliability  several nodes on one Redis, and faults; see docs/reliability.md
# make bench    see bench/README.md; make bench-quick runs everything there once (Node 20 or newer)
# make all      the whole gate, .ci/run
FUZZTIME ?= 20s
GOLANGCI_VERSION := v2.6.2
GOLANGCI := PATH="$$PATH:$$(go env GOPATH)/bin" golangci-lint run
# Modules that applications import. Those of tests alone have targets of their own.
PUBLIC := $(patsubst %/go.mod,%,$(wildcard fiberv3/go.mod otel/go.mod))

.PHONY: all test deps node fuzz lint modules examples interop browser reliability bench bench-quick

all:
	@bash .ci/run

test:
	@sh .ci/test

deps:
	@sh .ci/install redis-server

node:
	@sh .ci/install node

fuzz:
	@sh .ci/fuzz $(FUZZTIME)

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "gofmt: the files above are not formatted"; exit 1; }
	go vet ./... ./.ci/house ./.ci/progress
	go run ./.ci/house -imports
	@command -v golangci-lint >/dev/null || test -x "$$(go env GOPATH)/bin/golangci-lint" || go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	$(GOLANGCI) ./...
	@for m in $(PUBLIC); do (echo "lint $$m" && cd $$m && go vet ./... && $(GOLANGCI) -c ../.golangci.yml ./...) || exit 1; done

modules: deps
	@for m in $(PUBLIC); do (echo "test $$m" && cd $$m && go test -race -shuffle=on -timeout 10m ./... && go mod tidy -diff) || exit 1; done

examples:
	go build -o /dev/null ./examples/...

interop: deps node
	bash .ci/interop

browser: deps
	@sh .ci/install chromium
	cd browser && CI=1 go test -shuffle=on -timeout 10m ./... && go vet ./... && go mod tidy -diff

reliability: deps
	cd reliability && CI=1 go test -race -shuffle=on -timeout 15m ./...

bench: deps node
	$(MAKE) -C bench

bench-quick: deps node
	cd bench && go vet ./... && go mod tidy -diff
	$(MAKE) -C bench test quick
