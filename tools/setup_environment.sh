#!/usr/bin/env bash
# Makes .venv, the virtual environment that everything here runs in, or brings it up to date.
#
#     tools/setup_environment.sh run|dev
#
# "run" is what vmdirac needs, "dev" also what its tests and linters need. PYTHON names the Python to make it with.
# A stamp in .venv says that an installation came to its end, and of what; so one that was broken off is done again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# With PYTHONDONTWRITEBYTECODE Airflow would be compiled anew at each start.
unset PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH

fail() {
    printf '%s\n' "$@" >&2
    exit 2
}

fingerprint() {
    {
        pwd # scripts and the editable installation hold the path
        cat -- "$@"
    } | sha256sum
}

works() { # a Python of a version that we support
    "$@" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1
}

find_python() {
    local candidate incomplete=""
    if [[ -n ${PYTHON:-} ]]; then
        works "$PYTHON" || fail "PYTHON=$PYTHON is not a Python from 3.11 to 3.13." "Name another one, or none: make setup PYTHON="
    fi
    # By running them: pyenv has shims for versions that are not there.
    for candidate in ${PYTHON:+"$PYTHON"} python3.13 python3.12 python3.11 python3; do
        works "$candidate" || continue
        if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            printf '%s' "$candidate"
            return
        fi
        incomplete=${incomplete:-$candidate}
    done
    if [[ -n $incomplete ]]; then
        fail "$incomplete can't make virtual environments: its module ensurepip is missing." \
            "On Debian and Ubuntu it comes with: apt-get install python3-venv"
    fi
    fail "No Python from 3.11 to 3.13 found (looked for python3.13, python3.12, python3.11 and python3)." \
        "Install one, or say where it is: make setup PYTHON=/path/to/python3.12"
}

install() { # install NAME FINGERPRINT PIP-ARGUMENTS...: once for each fingerprint
    local stamp=.venv/.installed-$1 wanted=$2
    shift 2
    if [[ -f $stamp && $(<"$stamp") == "$wanted" ]]; then
        return
    fi
    rm -f "$stamp"
    .venv/bin/python -m pip --quiet --disable-pip-version-check --no-input install "$@" ||
        fail "" "The installation failed, see above. Once that is mended, run the same command again: it goes on."
    printf '%s' "$wanted" >"$stamp"
}

[[ ${1:-} == run || ${1:-} == dev ]] || fail "usage: tools/setup_environment.sh run|dev"
run=$(fingerprint requirements.txt pyproject.toml)
dev=$(fingerprint requirements.txt requirements-dev.txt)

up_to_date() {
    works .venv/bin/python && [[ -f .venv/.installed-run && $(<.venv/.installed-run) == "$run" ]] &&
        { [[ $1 == run ]] || [[ -f .venv/.installed-dev && $(<.venv/.installed-dev) == "$dev" ]]; }
}

if up_to_date "$1"; then
    exit
fi
[[ -w . ]] || fail "$PWD can't be written, and the virtual environment is to be made there." \
    "Make the checkout writable for you, or take a clone that is."
[[ ! -e .venv || -w .venv ]] || fail "$PWD/.venv can't be written: it is another user's. Delete it, or become that user."
if command -v flock >/dev/null; then
    # Two at once would spoil each other's installation.
    exec 9<.
    flock 9
fi
moved() { [[ -f .venv/.made-in && $(<.venv/.made-in) != "$PWD" ]]; }
if moved || ! works .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    echo "Making a virtual environment in .venv with $("$python" --version) …"
    "$python" -m venv --clear .venv || fail "The virtual environment could not be made, see above."
    pwd >.venv/.made-in
fi
if ! up_to_date "$1"; then
    echo "Installing what it needs into .venv (the first time this takes a minute or two) …"
    install packages "$run" --requirement requirements.txt
    install run "$run" --no-deps --editable .
    [[ $1 == run ]] || install dev "$dev" --requirement requirements-dev.txt
fi
