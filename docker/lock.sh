#!/bin/sh
# Make the locks anew, from pyproject.toml, the trainer's recipes and constraints.txt: exact versions for every Python
# that is supported, with the sha256 of each of their files. Needs `pip install uv`. Read the difference before it is
# committed, and run the tests with these versions.
set -eu
cd "$(dirname "$0")/.."

lock() {
    name=$1
    shift
    {
        echo "# What the images install, each file by its sha256; made by docker/lock.sh."
        uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
            --no-emit-index-url --no-emit-package equipot-client --no-emit-package equipot-kernel --quiet "$@"
    } > "docker/requirements-$name.lock.new"
    mv "docker/requirements-$name.lock.new" "docker/requirements-$name.lock"
}

lock cpu pyproject.toml --extra serve --extra postgres --extra cpu --extra kernel --constraint constraints.txt
lock gpu pyproject.toml --extra serve --extra postgres --extra gpu --constraint constraints.txt
lock cluster pyproject.toml --extra serve --extra cpu --extra kernel --extra cluster --extra parquet --extra molecules --constraint constraints.txt
lock trainer pyproject.toml --extra train --extra cpu recipes/organic-xtb/requirements.txt --constraint constraints.txt
lock tables --no-deps recipes/organic-xtb/tables.txt
sed -n 's/^requires = \["\(.*\)"\]$/\1/p' pyproject.toml kernel/pyproject.toml | lock build -
