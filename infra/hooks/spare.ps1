#!/usr/bin/env pwsh
# Stops azd down where it would delete images that were there before this app: their resource group is one of those it
# takes for its own. spare.sh and spare.ps1 do the same.

if (-not $env:EXISTING_IMAGE_ACCOUNT) { exit 0 }
$images = if ($env:EXISTING_IMAGE_RESOURCE_GROUP) { $env:EXISTING_IMAGE_RESOURCE_GROUP } else { 'the resource group' }
$group = if ($env:AZURE_RESOURCE_GROUP) { $env:AZURE_RESOURCE_GROUP } else { '<group>' }
[Console]::Error.WriteLine("Nothing was deleted: azd down would take $images with it, where $env:EXISTING_IMAGE_ACCOUNT and your images are.")
[Console]::Error.WriteLine("Delete the app's own group instead, az group delete --name $group, and what docs/deploy.md lists under `"Delete the deployment`".")
exit 1
