# make test    install what the tests need (Debian packages) and run them all
# make lint    vet, format, lint
# make fuzz    each fuzz target for MINUTES (default 1), or up to INPUTS inputs
# make bench   speed and memory against peers

MINUTES ?= 1
INPUTS ?= 0

.PHONY: test tools lint fuzz bench build

test: tools lint
	DOORWARD_NEED_TOOLS=1 go test -timeout 30m ./...

tools:
	./testdata/install-tools.sh

lint:
	test -z "$$(gofmt -l $$(git ls-files '*.go'))"
	go vet ./...

build:
	CGO_ENABLED=0 go build -trimpath -o doorward ./cmd/doorward

fuzz:
	go run ./bench/fuzz -minutes $(MINUTES) -inputs $(INPUTS)

bench:
	go run ./bench/inspect
