#!/bin/sh
# The kernel's tests on a build with AddressSanitizer and UndefinedBehaviorSanitizer. From the root of the repository, in
# an environment with the tests' packages: PYTHON=.venv/bin/python kernel/sanitize.sh
set -eu
PYTHON=${PYTHON:-python3}
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
"$PYTHON" -m pip install --quiet --no-deps --target "$site" --config-settings=cmake.define.SANITIZE=ON ./kernel
# Leaks are not looked for: Python itself keeps what it has when it ends.
LD_PRELOAD="$(${CXX:-g++} -print-file-name=libasan.so) $(${CXX:-g++} -print-file-name=libstdc++.so)" \
    ASAN_OPTIONS=detect_leaks=0 PYTHONPATH="$site:.:client" \
    "$PYTHON" -m pytest -p no:cacheprovider tests/backends/test_kernel.py "$@"
