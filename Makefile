# What a person types. `make test` is all that CI runs.

GO    ?= go
TOOL  := $(GO) tool -modfile=internal/tools/go.mod
# One package must not hang the run; the whole stays under 20 minutes on two cores.
LIMIT ?= 10m
COUNT ?= 6
FUZZTIME ?= 30s

.PHONY: test servers lint vuln tidy benchonce seeds race soak bench fuzz demo

# Static checks first, since they are quick; the tests last, so that what a
# reader sees at the end of the output is the verdict of each package.
test: servers lint vuln tidy benchonce seeds race

# Installs the servers and clients that the tests talk to where they are missing
# (Debian, as root); elsewhere it says what to install.
servers:
	sh internal/testservers/install.sh </dev/null

lint:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(TOOL) staticcheck ./...

# A finding fails. A database out of reach does not, since it says nothing about
# this code; but nobody shall take the silence for a clean bill.
vuln:
	@out=$$($(TOOL) govulncheck ./... 2>&1) && { echo "$$out"; exit 0; }; \
	echo "$$out"; \
	case "$$out" in \
	*"govulncheck: fetching vulnerabilities:"*) \
		echo "*** WARNING: govulncheck did NOT run: its database is out of reach."; \
		echo "*** WARNING: nothing is known about vulnerabilities; run 'make vuln' where it can be reached." ;; \
	*) exit 1 ;; \
	esac

tidy:
	$(GO) mod tidy -diff
	cd internal/tools && $(GO) mod tidy -diff

# Each benchmark once: it must run, its figure means nothing here.
benchonce:
	$(GO) test -timeout $(LIMIT) -run '^$$' -bench . -benchtime 1x ./...

seeds:
	$(GO) test -timeout $(LIMIT) -run '^Fuzz' -v ./... >seeds.out 2>&1; awk -f .ci/seeds.awk seeds.out

race:
	$(GO) test -race -timeout $(LIMIT) ./...

# What counts in thousands, whole: internal/soak reads GATEHOUSE_SOAK, and such
# tests run a twentieth without it.
soak: servers
	GATEHOUSE_SOAK=1 $(GO) test -count 1 -timeout 3h ./...

# Figures worth quoting: several rounds, summed up by benchstat.
bench:
	$(GO) test -run '^$$' -bench . -count $(COUNT) ./... >bench.txt || { cat bench.txt; exit 1; }
	$(TOOL) benchstat bench.txt

# Searches for new inputs, every target in turn.
fuzz:
	@for dir in $$($(GO) list -f '{{.Dir}}' ./...); do \
		for name in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go 2>/dev/null | cut -c6-); do \
			$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) $$dir || exit 1; \
		done; \
	done

demo:
	$(GO) run ./example
