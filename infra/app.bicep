// The function app: a Flex Consumption plan, its scale, and every setting the app and its host read.
//
// Memory of an instance: process + files + decoding (docs/settings.md, "Memory"). The maximum with DECODE_BUDGET_MIB below and
// a file of MAX_IMAGE_BYTES:
//     125 + 128 + 672 = 925 MiB of 1,953 MiB (2,048 MB). The remaining 1,028 MiB are for larger models and the host.
// A single image may exceed the budget when it is alone: 125 + 128 + 16 bytes x 90 megapixels (WebP) = 1,627 MiB.
// 512 MB would leave 235 MiB for decoding, model and host together, and a quarter of a core, so it is not offered.
//
// Speed of an instance: 2,048 MB have about one core and 4,096 MB two, at the same price per core, so the smaller size
// scales in finer steps. An image needs 27 ms (2 megapixels) to 62 ms (12) of CPU, including its storage requests
// (ADR 7): 37 to 16 images/s per core. An image also waits for storage for 50 to 100 ms, so 4 or 5 concurrent images keep
// a core busy. host.json allows 8 (blobs.maxDegreeOfParallelism), which is also Flex Consumption's target for scaling.
param name string
param planName string

@description('Decides the name of the host\'s internal queue. Fixed, so that it is known and survives a renamed app.')
@maxLength(32)
param hostId string
param location string
param tags object
param identityId string
param identityClientId string
param applicationInsightsName string
param hostAccountName string
param packageContainer string
param imageBlobUri string
param imageQueueUri string
param imageTableUri string
param incomingContainer string
param resultsContainer string
param resultsTable string
param requestsQueue string
param modelDir string
param modelBlob string
param decisionBlob string
param shadowModelDir string
param shadowModelBlob string
param shadowShare string
param topK int
param minScore string
param damagedImages string
param tagImages string
param notifyQueue string
param notifyLabels string
param maximumInstanceCount int
param alwaysReadyInstances int
param instanceMemoryMB int

@description('Where the instances go out through; empty for no virtual network.')
param subnetId string

resource applicationInsights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

resource hostAccount 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: hostAccountName
}

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true } // Linux
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: name
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    // Event Grid delivers to the app's public webhook, private network or not: the app has no private endpoint of its own.
    publicNetworkAccess: 'Enabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: { minTlsVersion: '1.2' }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${hostAccount.properties.primaryEndpoints.blob}${packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: { name: 'python', version: '3.13' }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        // All blob functions scale as one group of this name. (Concurrency set here would be for HTTP: there is none.)
        alwaysReady: alwaysReadyInstances > 0 ? [{ name: 'blob', instanceCount: alwaysReadyInstances }] : []
      }
    }
  }
}

resource settings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: app
  name: 'appsettings'
  properties: {
    AzureWebJobsStorage__blobServiceUri: hostAccount.properties.primaryEndpoints.blob
    AzureWebJobsStorage__queueServiceUri: hostAccount.properties.primaryEndpoints.queue
    AzureWebJobsStorage__tableServiceUri: hostAccount.properties.primaryEndpoints.table
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: identityClientId
    AzureFunctionsWebHost__hostid: hostId

    APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsights.properties.ConnectionString
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'

    // One process (FUNCTIONS_WORKER_PROCESS_COUNT stays 1): each would hold a model and a memory budget of its own, and
    // decoding and inference leave Python's lock alone. As many threads as host.json lets images in; its queue trigger
    // has fewer at once, and on Flex runs on instances of its own.
    PYTHON_THREADPOOL_THREAD_COUNT: '8'
    ORT_DISABLE_TELEMETRY: '1' // the code sets it too; here it can be seen

    ImageStorage__blobServiceUri: imageBlobUri
    ImageStorage__queueServiceUri: imageQueueUri
    ImageStorage__tableServiceUri: imageTableUri
    ImageStorage__credential: 'managedidentity'
    ImageStorage__clientId: identityClientId

    INCOMING_CONTAINER: incomingContainer
    RESULTS_CONTAINER: resultsContainer
    RESULTS_TABLE: resultsTable
    REQUESTS_QUEUE: requestsQueue
    BLOB_TRIGGER_SOURCE: 'EventGrid' // the only one that Flex Consumption has
    MODEL_DIR: modelDir
    MODEL_BLOB: modelBlob
    DECISION_BLOB: decisionBlob
    SHADOW_MODEL_DIR: shadowModelDir
    SHADOW_MODEL_BLOB: shadowModelBlob
    SHADOW_SHARE: shadowShare
    TOP_K: string(topK)
    MIN_SCORE: minScore
    DAMAGED_IMAGES: damagedImages
    TAG_IMAGES: tagImages
    NOTIFY_QUEUE: notifyQueue
    NOTIFY_LABELS: notifyLabels
    // Explicit, not derived: containers do not all show their limit in the same way. 384 MiB a core, two at least.
    DECODE_BUDGET_MIB: '768'
    RETRY_DELAYS_SECONDS: '60,300,900,1800,3600'
    RECONCILE_SCHEDULE: '0 0 * * * *'
  }
}

// Deployment needs no password either: azd and Core Tools publish with the caller's token.
resource noScmPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

resource noFtpPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
}

output name string = app.name
output hostName string = app.properties.defaultHostName
