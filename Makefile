# make test     install what is missing and run every test of this module; without a C compiler, no race detector
# make fuzz     each fuzz target for FUZZTIME (default 20s)
# make lint     go vet, gofmt, golangci-lint, and the check of who imports what and how long things are
# make examples build every example
# make modules  test the modules that applications import beside this one, and the examples that are modules
# make interop  the real Koa middleware and sess on one Redis (Node 18 or newer)
# make browser  a real Chromium against the examples, with screenshots
# make streams  WebSockets and body streams that end with their session
# make reliability  several nodes on one Redis, and faults; see docs/reliability.md
# make bench    see bench/README.md; make bench-quick runs everything there once (Node 20 or newer)
# make factors BASE=DIR   the figures that count, of this checkout and of the one in DIR, measured in turns
# make shared   64 users of one session on Redis, in half a minute; BASE=DIR compares
# make instructions   instructions per request, which noise does not touch (valgrind); BASE=DIR compares
# make figures BASE=DIR   all of these, into docs/benchmarks.md
# make all      the whole gate, .ci/run
FUZZTIME ?= 20s
GOLANGCI_VERSION := v2.6.2
GOLANGCI := PATH="$$PATH:$$(go env GOPATH)/bin" golangci-lint run
# Modules that applications import. Those of tests alone have targets of their own.
PUBLIC := $(patsubst %/go.mod,%,$(wildcard fiberv3/go.mod otel/go.mod))
# Examples with dependencies of their own, modules too.
EXAMPLES := $(patsubst %/go.mod,%,$(wildcard examples/*/go.mod))

.PHONY: all test deps node fuzz lint modules examples interop browser streams reliability reliability-faults reliability-rest bench bench-quick factors shared instructions figures

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
	go run ./.ci/house
	@command -v golangci-lint >/dev/null || test -x "$$(go env GOPATH)/bin/golangci-lint" || go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	$(GOLANGCI) ./...
	@for m in $(PUBLIC) $(EXAMPLES); do (echo "lint $$m" && cd $$m && go vet ./... && $(GOLANGCI) -c $(CURDIR)/.golangci.yml ./...) || exit 1; done

modules: deps
	@sh .ci/install promtool
	@for m in $(PUBLIC) $(EXAMPLES); do (echo "test $$m" && cd $$m && go test -race -shuffle=on -timeout 10m ./... && go mod tidy -diff) || exit 1; done
	@for m in $(PUBLIC); do (cd $$m && go test -count=1 -run Alloc ./...) || exit 1; done # which the race detector would change

examples:
	go build -o /dev/null ./examples/...

interop: deps node
	bash .ci/interop

browser: deps
	@sh .ci/install chromium
	cd browser && CI=1 go test -shuffle=on -timeout 10m ./... && go vet ./... && go mod tidy -diff

streams: deps
	cd streams && CI=1 go test -race -shuffle=on -timeout 10m ./... && go vet ./... && go mod tidy -diff

# The faults and everything else are two processes beside each other: both mostly wait, and each looks after its own
# goroutines and heap.
FAULTS := CostNoData|GoesBack|ServerLost|SlotsThatMove|AddressThatMoves
reliability: deps
	cd reliability && go test -race -run '^$$' ./...
	+@$(MAKE) --no-print-directory -j2 --output-sync=target reliability-faults reliability-rest
reliability-faults:
	cd reliability && CI=1 go test -race -shuffle=on -timeout 15m -run '$(FAULTS)' .
reliability-rest:
	cd reliability && CI=1 go test -race -shuffle=on -timeout 15m -skip '$(FAULTS)' ./...

bench: deps node
	$(MAKE) -C bench

bench-quick: deps node
	cd bench && go vet ./... && go mod tidy -diff
	$(MAKE) -C bench test quick

factors shared: deps
	$(MAKE) -C bench $@ BASE=$(abspath $(BASE))

instructions:
	@sh .ci/install valgrind
	$(MAKE) -C bench $@ BASE=$(abspath $(BASE))

figures: deps node
	@sh .ci/install valgrind
	$(MAKE) -C bench $@ BASE=$(abspath $(BASE))
