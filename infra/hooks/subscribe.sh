#!/bin/sh
# Subscribes the app to the uploads. azd runs this after each deployment; by hand: azd hooks run postdeploy
# It may run any number of times with the same result. The key is never printed, nor passed on a command line where ps shows it.
# subscribe.sh and subscribe.ps1 are the same, line by line.
set -u

wait_seconds=${SUBSCRIBE_WAIT_SECONDS:-900}
pause_seconds=${SUBSCRIBE_PAUSE_SECONDS:-10}
again='then run: azd hooks run postdeploy'
key=''
answer=''
failure=''
reported=''
state=''

report() { printf '%s\n' "$1"; }

stop() {
    printf '%s\n' "Not subscribed. $1" >&2
    exit 1
}

# Replaces the key, should a message quote the webhook's address.
without_key() {
    tail=$1
    head=''
    while [ -n "$key" ] && [ "$tail" != "${tail#*"$key"}" ]; do
        head="$head${tail%%"$key"*}***"
        tail=${tail#*"$key"}
    done
    printf '%s' "$head$tail"
}

# Runs az. Its output is the answer; each error is printed once, and ends the script where waiting cannot help.
ask() {
    failure=''
    answer=$(az "$@" --only-show-errors 2>"$work/failure") && return 0
    failure=$(without_key "$(grep '^ERROR' "$work/failure" || cat "$work/failure")")
    case $failure in
        *'az login'* | *AADSTS* | *AuthenticationToken*) stop "You are not logged in to the Azure CLI: az login, $again" ;;
        *AuthorizationFailed*) stop "Your role is not sufficient. Contributor on the app's resource group and on the images' is enough: ask for it, $again: $failure" ;;
        *NotFound* | *'not found. Check'*) stop "A resource is missing, or az uses another subscription: azd provision, $again: $failure" ;;
    esac
    [ "$failure" = "$reported" ] || report "Trying again: $failure"
    reported=$failure
    return 1
}

# Waits a moment, or ends the script when the time is up.
wait_or_stop() {
    [ "$(date +%s)" -lt "$deadline" ] || stop "$1, $again${failure:+: $failure}"
    sleep "$pause_seconds"
}

for name in AZURE_SUBSCRIPTION_ID AZURE_RESOURCE_GROUP FUNCTION_APP_NAME FUNCTION_HOST_NAME SYSTEM_TOPIC_ID IMAGE_STORAGE_ID INCOMING_CONTAINER DEAD_LETTER_CONTAINER; do
    eval "value=\${$name:-}"
    [ -n "$value" ] || stop "$name is not set; azd sets it when it provisions: azd provision, $again"
done
command -v az >/dev/null 2>&1 || stop "The Azure CLI is not installed: install it (https://aka.ms/azure-cli), az login, $again"

umask 077
work=$(mktemp -d) || stop 'No temporary folder can be created.'
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

deadline=$(($(date +%s) + wait_seconds))
subscription="$SYSTEM_TOPIC_ID/eventSubscriptions/$FUNCTION_APP_NAME?api-version=2025-02-15"

until ask account show --subscription "$AZURE_SUBSCRIPTION_ID" --output none; do
    wait_or_stop 'The Azure CLI does not answer: see its error'
done

report "Waiting up to $wait_seconds s for $FUNCTION_APP_NAME to start and create its webhook's key."
while [ -z "$key" ]; do
    if ask functionapp keys list --subscription "$AZURE_SUBSCRIPTION_ID" --resource-group "$AZURE_RESOURCE_GROUP" --name "$FUNCTION_APP_NAME" --query systemKeys.blobs_extension --output tsv; then
        key=$answer
        [ "$key" != None ] || key=''
    fi
    [ -n "$key" ] || wait_or_stop 'There is no system key blobs_extension: the app has not started, or not with the function classify_uploaded. See its log stream in the portal'
done

cat >"$work/subscription.json" <<JSON
{
  "properties": {
    "destination": {
      "endpointType": "WebHook",
      "properties": {
        "endpointUrl": "https://$FUNCTION_HOST_NAME/runtime/webhooks/blobs?functionName=Host.Functions.classify_uploaded&code=$key"
      }
    },
    "eventDeliverySchema": "EventGridSchema",
    "filter": {
      "subjectBeginsWith": "/blobServices/default/containers/$INCOMING_CONTAINER/blobs/",
      "includedEventTypes": ["Microsoft.Storage.BlobCreated"],
      "advancedFilters": [
        {
          "operatorType": "StringIn",
          "key": "data.api",
          "values": ["CopyBlob", "PutBlob", "PutBlockList", "FlushWithClose", "SftpCommit"]
        }
      ]
    },
    "retryPolicy": { "eventTimeToLiveInMinutes": 1440, "maxDeliveryAttempts": 30 },
    "deadLetterWithResourceIdentity": {
      "identity": { "type": "SystemAssigned" },
      "deadLetterDestination": {
        "endpointType": "StorageBlob",
        "properties": { "resourceId": "$IMAGE_STORAGE_ID", "blobContainerName": "$DEAD_LETTER_CONTAINER" }
      }
    }
  }
}
JSON

report "Subscribing it to uploads to $INCOMING_CONTAINER."
while [ "$state" != Succeeded ]; do
    if [ "$state" = '' ] || [ "$state" = Failed ] || [ "$state" = Canceled ]; then
        state=''
        if ask rest --method put --url "$subscription" --body "@$work/subscription.json" --output none; then state=Asked; fi
    elif ask rest --method get --url "$subscription" --query properties.provisioningState --output tsv; then
        state=$answer
    fi
    [ "$state" = Succeeded ] || wait_or_stop 'Event Grid has not accepted the subscription. Check that the app runs, that its webhook can be reached from the internet and that the system topic has an identity'
done
report "Subscribed: uploads to $INCOMING_CONTAINER go to $FUNCTION_APP_NAME."
