#!/usr/bin/env pwsh
# Subscribes the app to the uploads. azd runs this after each deployment; by hand: azd hooks run postdeploy
# It may run any number of times with the same result. The key is never printed, nor passed on a command line where ps shows it.
# subscribe.sh and subscribe.ps1 are the same, line by line.
Set-StrictMode -Version Latest

$wait_seconds = if ($env:SUBSCRIBE_WAIT_SECONDS) { [int]$env:SUBSCRIBE_WAIT_SECONDS } else { 900 }
$pause_seconds = if ($env:SUBSCRIBE_PAUSE_SECONDS) { [int]$env:SUBSCRIBE_PAUSE_SECONDS } else { 10 }
$again = 'then run: azd hooks run postdeploy'
$key = ''
$answer = ''
$failure = ''
$reported = ''
$state = ''; $finished = $false

function report($text) { Write-Host $text }

function stop($text) {
    [Console]::Error.WriteLine("Not subscribed. $text")
    $script:finished = $true; exit 1
}

# Replaces the key, should a message quote the webhook's address.
function without_key($text) {
    if (-not $key) {
        return $text
    }
    # String.Replace, not -replace: a key is no pattern.

    return $text.Replace($key, '***')

}

# Runs az. Its output is the answer; each error is printed once, and ends the script where waiting cannot help.
function ask {
    $script:failure = ''
    $script:answer = (az @args --only-show-errors 2>"$work/failure") -join "`n"; if ($LASTEXITCODE -eq 0) { return $true }
    $lines = @(Get-Content "$work/failure"); $errors = @($lines -clike 'ERROR*'); $script:failure = without_key ($(if ($errors) { $errors } else { $lines }) -join "`n")
    switch -Wildcard -CaseSensitive ($failure) {
        { $_ -clike '*az login*' -or $_ -clike '*AADSTS*' -or $_ -clike '*AuthenticationToken*' } { stop "You are not logged in to the Azure CLI: az login, $again" }
        '*AuthorizationFailed*' { stop "Your role is not sufficient. Contributor on the app's resource group and on the images' is enough: ask for it, ${again}: $failure" }
        { $_ -clike '*NotFound*' -or $_ -clike '*not found. Check*' } { stop "A resource is missing, or az uses another subscription: azd provision, ${again}: $failure" }
    }
    if ($failure -cne $reported) { report "Trying again: $failure" }
    $script:reported = $failure
    return $false
}

# Waits a moment, or ends the script when the time is up.
function wait_or_stop($text) {
    if ((Get-Date) -ge $deadline) { stop "$text, $again$(if ($failure) { ": $failure" })" }
    Start-Sleep -Seconds $pause_seconds
}

foreach ($name in 'AZURE_SUBSCRIPTION_ID', 'AZURE_RESOURCE_GROUP', 'FUNCTION_APP_NAME', 'FUNCTION_HOST_NAME', 'SYSTEM_TOPIC_ID', 'IMAGE_STORAGE_ID', 'INCOMING_CONTAINER', 'DEAD_LETTER_CONTAINER') {
    $value = [Environment]::GetEnvironmentVariable($name)
    if (-not $value) { stop "$name is not set; azd sets it when it provisions: azd provision, $again" }
}
if (-not (Get-Command az -ErrorAction SilentlyContinue)) { stop "The Azure CLI is not installed: install it (https://aka.ms/azure-cli), az login, $again" }

$PSNativeCommandUseErrorActionPreference = $false
$work = [IO.Directory]::CreateTempSubdirectory('subscribe-').FullName; if (-not $work) { stop 'No temporary folder can be created.' }
try {


$deadline = (Get-Date).AddSeconds($wait_seconds)
$subscription = "${env:SYSTEM_TOPIC_ID}/eventSubscriptions/${env:FUNCTION_APP_NAME}?api-version=2025-02-15"

while (-not (ask account show --subscription $env:AZURE_SUBSCRIPTION_ID --output none)) {
    wait_or_stop 'The Azure CLI does not answer: see its error'
}

report "Waiting up to $wait_seconds s for $env:FUNCTION_APP_NAME to start and create its webhook's key."
while (-not $key) {
    if (ask functionapp keys list --subscription $env:AZURE_SUBSCRIPTION_ID --resource-group $env:AZURE_RESOURCE_GROUP --name $env:FUNCTION_APP_NAME --query systemKeys.blobs_extension --output tsv) {
        $key = $answer.Trim()
        if ($key -ceq 'None') { $key = '' }
    }
    if (-not $key) { wait_or_stop 'There is no system key blobs_extension: the app has not started, or not with the function classify_uploaded. See its log stream in the portal' }
}
New-Item -ItemType File -Path "$work/subscription.json" | ForEach-Object { if (-not $IsWindows) { [IO.File]::SetUnixFileMode($_.FullName, [IO.UnixFileMode]'UserRead, UserWrite') } }
Set-Content -Path "$work/subscription.json" -Value @"
{
  "properties": {
    "destination": {
      "endpointType": "WebHook",
      "properties": {
        "endpointUrl": "https://${env:FUNCTION_HOST_NAME}/runtime/webhooks/blobs?functionName=Host.Functions.classify_uploaded&code=$key"
      }
    },
    "eventDeliverySchema": "EventGridSchema",
    "filter": {
      "subjectBeginsWith": "/blobServices/default/containers/${env:INCOMING_CONTAINER}/blobs/",
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
        "properties": { "resourceId": "${env:IMAGE_STORAGE_ID}", "blobContainerName": "${env:DEAD_LETTER_CONTAINER}" }
      }
    }
  }
}
"@

report "Subscribing it to uploads to $env:INCOMING_CONTAINER."
while ($state -cne 'Succeeded') {
    if ($state -ceq '' -or $state -ceq 'Failed' -or $state -ceq 'Canceled') {
        $state = ''
        if (ask rest --method put --url $subscription --body "@$work/subscription.json" --output none) { $state = 'Asked' }
    } elseif (ask rest --method get --url $subscription --query properties.provisioningState --output tsv) {
        $state = $answer.Trim()
    }
    if ($state -cne 'Succeeded') { wait_or_stop 'Event Grid has not accepted the subscription. Check that the app runs, that its webhook can be reached from the internet and that the system topic has an identity' }
}
report "Subscribed: uploads to $env:INCOMING_CONTAINER go to $env:FUNCTION_APP_NAME."; $finished = $true
} catch { $finished = $true; throw } finally { Remove-Item -Recurse -Force $work; if (-not $finished) { [Environment]::Exit(130) } } # only Ctrl+C passes catch by
