#!/bin/sh
# Makes .venv from requirements.lock: every package by its hash, k8slab itself editable. Called by `make setup`.
#
# PYTHON names the interpreter to take; otherwise the first of python3, python3.14 ... 3.11 that is new enough.
set -eu

say() { printf '%s\n' "$*" >&2; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

python=
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if command -v "$candidate" >/dev/null 2>&1 && new_enough "$candidate"; then
        python=$(command -v "$candidate")
        break
    fi
done
if [ -z "$python" ]; then
    say "No Python 3.11 or newer was found (looked for: ${PYTHON:-python3, python3.14, 3.13, 3.12, 3.11})."
    say "Install one, or name it: make setup PYTHON=/path/to/python3.12"
    exit 1
fi

# An environment that another interpreter made, or that was cut off half way, is made again.
if [ -e .venv ] && ! { [ -x .venv/bin/python ] && new_enough .venv/bin/python; }; then
    say "environment: .venv holds no working Python 3.11; making it again"
    rm -rf .venv
fi
if [ ! -e .venv ]; then
    say "environment: .venv with $("$python" --version)"
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv .venv
    elif command -v uv >/dev/null 2>&1; then
        uv venv --quiet --python "$python" .venv
    else
        say "$python cannot make environments: its module ensurepip is not installed."
        say "On Debian and Ubuntu: sudo apt install python3-venv. Elsewhere install uv. Then run the same command again."
        exit 1
    fi
fi

# uv comes first, by its own lines in the lock, and installs the rest in seconds; pip alone takes twenty times
# as long and does it where there is no uv for a machine.
pip="env PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip install"
uv=.venv/bin/uv
if [ ! -x $uv ]; then
    .venv/bin/python -c 'import pip' 2>/dev/null || .venv/bin/python -m ensurepip >/dev/null 2>&1 || :
    if .venv/bin/python -c 'import pip' 2>/dev/null; then
        say "environment: uv, by its hash in the lock"
        awk '/^[A-Za-z0-9]/ { uv = /^uv==/ } uv' requirements.lock >.venv/uv.lock
        $pip --quiet --only-binary :all: --require-hashes -r .venv/uv.lock ||
            say "environment: there is no uv for this machine; pip takes about two minutes"
    else
        uv=$(command -v uv) || { say "environment: .venv has no pip; remove it and run the same command"; exit 1; }
    fi
fi

say "environment: packages of requirements.lock"
if [ -x "$uv" ]; then
    export VIRTUAL_ENV="$PWD/.venv"
    # On a terminal uv shows its progress; in a log the list of 150 packages helps nobody.
    [ -t 2 ] && quiet= || quiet=--quiet
    "$uv" pip sync $quiet --require-hashes requirements.lock
    "$uv" pip install --quiet --no-deps --no-build-isolation --editable .
else
    $pip --require-hashes -r requirements.lock
    $pip --quiet --no-deps --no-build-isolation --editable .
fi
say "environment: ready"
