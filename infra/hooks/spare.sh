#!/bin/sh
# Stops azd down where it would delete images that were there before this app: their resource group is one of those it
# takes for its own. spare.sh and spare.ps1 do the same.
set -eu

[ -n "${EXISTING_IMAGE_ACCOUNT:-}" ] || exit 0
echo "Nothing was deleted: azd down would take ${EXISTING_IMAGE_RESOURCE_GROUP:-the resource group} with it, where $EXISTING_IMAGE_ACCOUNT and your images are." >&2
echo "Delete the app's own group instead, az group delete --name ${AZURE_RESOURCE_GROUP:-<group>}, and what docs/deploy.md lists under \"Delete the deployment\"." >&2
exit 1
