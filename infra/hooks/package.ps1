#!/usr/bin/env pwsh
# Builds the package of `make package` and unpacks it into the folder that azure.yaml deploys.
# package.sh and package.ps1 do the same.
$ErrorActionPreference = 'Stop'; $PSNativeCommandUseErrorActionPreference = $true

$package = '.cache/azure'
$model = if ($env:MODEL_DIR) { $env:MODEL_DIR } else { 'models/shapes' }
if (-not (Test-Path .venv)) { py -3 -m venv .venv }
.venv/Scripts/python -m pip install --quiet --disable-pip-version-check -r requirements-tools.txt
Remove-Item -Recurse -Force -ErrorAction SilentlyContinue $package, "$package.zip"
New-Item -ItemType Directory -Force $package | Out-Null
.venv/Scripts/python -m tools package --model $model --output "$package.zip"
.venv/Scripts/python -m zipfile -e "$package.zip" $package
