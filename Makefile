# All of these run without asking, from a fresh clone on Debian or Ubuntu with a Rust toolchain.
#
#   make demo          the whole story once; KEEP=1 leaves it running, PROFILE=release for real speed
#   make demo-canary   strategies behind HAProxy under load; KEEP=1 and PROFILE=release as above
#   make demo-stop     ends a demo that was kept, and leaves nothing behind
#   make test          every test
#   make check         format, lints, tidy
#   make sim           the deployment engine against a virtual fleet; SEEDS=20000 says how often
#   make fuzz          looks for files the readers get wrong; SECONDS=60 for each format
#   make bench         the figures, as ratios to a baseline
#   make setup         what demo and test install

.PHONY: demo demo-canary demo-stop test check sim fuzz bench setup

demo:
	@KEEP='$(KEEP)' PROFILE='$(PROFILE)' scripts/demo.sh

demo-canary:
	@KEEP='$(KEEP)' PROFILE='$(PROFILE)' scripts/demo-canary.sh

demo-stop:
	@scripts/demo.sh stop

test:
	@scripts/test.sh

check:
	@scripts/check.sh

sim:
	@SEEDS='$(SEEDS)' scripts/sim.sh

# SECONDS is a variable of the shell's own: it goes as an argument.
fuzz:
	@scripts/fuzz.sh '$(SECONDS)'

bench:
	@scripts/bench.sh

setup:
	@scripts/setup.sh
