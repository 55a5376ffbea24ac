# make help lists the targets.
.DEFAULT_GOAL := help
.PHONY: help setup build survey test check format bench bench-kernels bench-peers docs fuzz setup-cuda check-cuda clean
.NOTPARALLEL:

PROGRAM := .build/release/filigree
SOURCES := Package.swift Sources Tests Examples
TEST_BUILD := .build-tests
FUZZ ?= 1000000

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing beside git, make and Swift: gnuplot for pictures, OpenBLAS as the dense baseline
	@Tools/setup.sh

build: ## compile the program: .build/release/filigree
	swift build -c release --product filigree

survey: setup build ## the whole job in its quick form: benchmark, train, report, in survey/
	$(PROGRAM) survey --preset quick --out survey

test: setup ## cheap checks, then every test, in release
	@Tools/check.sh cheap
	@Tools/test.sh

check: setup build ## format, C kernels of every instruction set, lengths of files, the README's table
	@Tools/check.sh

format: ## format the Swift sources in place
	swift format --in-place --recursive --parallel --configuration .swift-format $(SOURCES)

bench: setup build ## time the three products of some structures at the MLP's shapes, beside dense
	$(PROGRAM) bench --structures 'dense,csr,bsr-32,blockdiagonal-*,monarch-*,lowrank-*' \
	  --shapes 3072x768,768x3072 --tokens 512 --densities 0.5,0.25,0.1

bench-kernels: ## time the C kernels alone, beside those of another revision with REVISION=...
	@Benchmarks/bench-kernels.sh $(REVISION)

bench-peers: ## install the peers into .build-peers and time everything beside them: hours; see docs/Performance.md
	@Benchmarks/bench-peers.sh

docs: setup ## documentation of the library, in .build/docs
	@Tools/docs.sh

fuzz: ## a million damaged inputs for every parser of files from outside; FUZZ=10000 for fewer
	swift build -c release --product fuzz
	.build/release/fuzz $(FUZZ)

setup-cuda: ## install NVRTC and the CUDA headers into .build-cuda, to check the CUDA kernels; no GPU needed
	@Tools/setup-cuda.sh

check-cuda: setup setup-cuda ## compile every CUDA kernel for sm_80 and sm_90a and run its numerics on the host; no GPU needed
	@Tools/check-cuda.sh

clean: ## remove everything that was built; results stay
	rm -rf .build $(TEST_BUILD)
