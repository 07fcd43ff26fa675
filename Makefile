# make test     install what is missing and run every test of this module
# make fuzz     each fuzz target for FUZZTIME (default 20s)
# make lint     go vet, gofmt and golangci-lint
# make examples build every example
# make interop  the real Koa middleware and sess on one Redis (Node 18 or newer)
# make reliability  several nodes on one Redis, and faults; see docs/reliability.md
# make bench    see bench/README.md; make bench-quick runs everything there once (Node 20 or newer)
FUZZTIME ?= 20s
GOLANGCI_VERSION := v2.6.2

.PHONY: test deps node fuzz lint examples interop reliability bench bench-quick

test: deps
	go test -race -shuffle=on -timeout 20m ./...

deps:
	@command -v redis-server >/dev/null || sh .ci/install-redis

node:
	@sh .ci/install-node

fuzz:
	@sh .ci/fuzz $(FUZZTIME)

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "gofmt: the files above are not formatted"; exit 1; }
	go vet ./...
	@command -v golangci-lint >/dev/null || go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	PATH="$$PATH:$$(go env GOPATH)/bin" golangci-lint run ./...

examples:
	go build -o /dev/null ./examples/...

interop: deps node
	bash .ci/interop

reliability: deps
	cd reliability && CI=1 go test -race -shuffle=on -timeout 15m ./...

bench: deps node
	$(MAKE) -C bench

bench-quick: deps node
	cd bench && go vet ./... && go mod tidy -diff
	$(MAKE) -C bench test quick
