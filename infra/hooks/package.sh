#!/bin/sh
# Builds the package of `make package` and unpacks it into the folder that azure.yaml deploys.
# package.sh and package.ps1 do the same.
set -eu

package=.cache/azure
make --silent install
rm -rf "$package" "$package.zip"
mkdir -p "$package"
.venv/bin/python -m tools package --model "${MODEL_DIR:-models/shapes}" --output "$package.zip"
.venv/bin/python -m zipfile -e "$package.zip" "$package"
