# The port of Airflow's UI in `make demo`, and how many seconds `make demo-check`, `make e2e-openstack` and
# `make vm-boot` may take.
PORT ?= 8080
DEADLINE ?= 900
# For how long things befall the fleet in `make soak`.
MINUTES ?= 10

# One after the other, also under -j: they share .venv, and demo-check wants the machine for itself.
.NOTPARALLEL:
.DEFAULT_GOAL := help
# With PYTHONDONTWRITEBYTECODE Airflow would be compiled anew at each start.
unexport PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

.PHONY: setup
setup: ## Make the virtual environment .venv (the other targets do it when they need it)
	@tools/setup_environment.sh run

.PHONY: setup-dev
setup-dev:
	@tools/setup_environment.sh dev

.PHONY: demo
demo: setup ## Run a whole Airflow with vmdirac and 40 jobs on this machine, until Ctrl-C (PORT=8080)
	@exec .venv/bin/python -m demo run --port "$(PORT)"

.PHONY: demo-check
demo-check: setup ## The same without staying: ends by itself and says how it went
	@exec .venv/bin/python -m demo check --deadline "$(DEADLINE)"

# All workers must collect the same tests in the same order, those made from sets too: one seed for their hashes.
test test-fast: export PYTHONHASHSEED = 0

.PHONY: test
# A file's tests go to one worker, for they share servers; files in their order, for the longest are among the first.
test: setup-dev ## The whole test suite
	.venv/bin/python -m tests.servers.install
	.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: test-openstack
test-openstack: setup-dev ## Its part against a real OpenStack
	.venv/bin/python -m tests.servers.install openstack
	.venv/bin/python -m pytest -m openstack tests/hooks

.PHONY: e2e-openstack
e2e-openstack: setup-dev ## Jobs on servers of a real OpenStack that boot: ends by itself and says how it went
	.venv/bin/python -m tests.servers.install openstack
	.venv/bin/python -m tests.servers.install light-vm
	@exec .venv/bin/python -m tests.end_to_end.on_openstack --deadline "$(DEADLINE)"

.PHONY: vm-boot
vm-boot: setup-dev ## A real VM boots with our user data, does a job and halts: ends by itself and says how it went
	.venv/bin/python -m tests.servers.install qemu
	@exec .venv/bin/python -m tests.end_to_end.vm_boot --deadline "$(DEADLINE)"

.PHONY: soak
soak: setup-dev ## Hundreds of agents on a real API server, with deaths, outages and drains (MINUTES=10)
	.venv/bin/python -m tests.servers.install
	@exec .venv/bin/python -m tests.soak --minutes "$(MINUTES)"

.PHONY: crash-suite
crash-suite: setup-dev ## Kill the loops at each point, lose answers of 1000 launches, and count what became of it
	.venv/bin/python -m tests.servers.install
	.venv/bin/python -m tests.crash_suite

.PHONY: test-fast
test-fast: setup-dev ## Its quick part: no servers, no browser, no running Airflow, nothing about the test servers
	.venv/bin/python -m pytest -n auto --ignore tests/servers -m "not slow and not server and not browser and not airflow and not openstack"

.PHONY: bench
bench: setup-dev ## Measure speed: a table, and JSON lines in benchmarks/results.jsonl
	.venv/bin/python -m benchmarks

.PHONY: lint
lint: setup-dev ## Formatting, linting, types
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy plugins/vmdirac dags demo benchmarks tests

# What `make requirements` writes: its own name into the files, and no address of a package index.
COMPILE = uv pip compile --universal --python-version 3.11 --no-emit-index-url \
	--custom-compile-command "make requirements"

.PHONY: requirements
requirements: ## Pin all requirements anew (needs uv)
	$(COMPILE) --extra postgres --extra mariadb pyproject.toml -o requirements.txt
	$(COMPILE) --group dev -c requirements.txt -o requirements-dev.txt
	$(COMPILE) --no-annotate tests/servers/openstack_requirements.in -o tests/servers/openstack_requirements.txt

.PHONY: clean
clean: ## Delete everything that the above have made, .venv and the demos' data included
	@for home in .demo .demo-check .e2e-openstack; do \
		if [ -e $$home/demo.lock ] && ! flock --nonblock $$home/demo.lock true; then \
			echo "A demo is running in $$home: stop it first." >&2; exit 2; \
		fi; \
	done
	rm -rf .venv .demo .demo-check .e2e-openstack .pytest_cache .mypy_cache .ruff_cache .hypothesis dist
	find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
