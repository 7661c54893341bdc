#!/usr/bin/env pwsh
# Refuses azd down if the app uses an existing image account, whose resource group azd would delete too.
# spare.sh and spare.ps1 do the same.

if (-not $env:EXISTING_IMAGE_ACCOUNT) { exit 0 }
$images = if ($env:EXISTING_IMAGE_RESOURCE_GROUP) { $env:EXISTING_IMAGE_RESOURCE_GROUP } else { 'the resource group' }
$group = if ($env:AZURE_RESOURCE_GROUP) { $env:AZURE_RESOURCE_GROUP } else { '<group>' }
[Console]::Error.WriteLine("Nothing was deleted: azd down would also delete $images with $env:EXISTING_IMAGE_ACCOUNT and your images.")
[Console]::Error.WriteLine("Delete only the app's group: az group delete --name $group. Then delete the resources that docs/deploy.md lists under `"Delete the deployment`".")
exit 1
