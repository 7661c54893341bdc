#!/bin/sh
# Refuses azd down if the app uses an existing image account, whose resource group azd would delete too.
# spare.sh and spare.ps1 do the same.
set -eu

[ -n "${EXISTING_IMAGE_ACCOUNT:-}" ] || exit 0
echo "Nothing was deleted: azd down would also delete ${EXISTING_IMAGE_RESOURCE_GROUP:-the resource group} with $EXISTING_IMAGE_ACCOUNT and your images." >&2
echo "Delete only the app's group: az group delete --name ${AZURE_RESOURCE_GROUP:-<group>}. Then delete the resources that docs/deploy.md lists under \"Delete the deployment\"." >&2
exit 1
