// All resources of the app, except its code and the Event Grid subscription, which needs a key that only a running app has
// (infra/hooks/subscribe.sh). Names are derived from the environment's name, so one subscription can hold many environments.
targetScope = 'subscription'

@minLength(1)
@maxLength(64)
@description('Name of the azd environment; every name is made from it.')
param environmentName string

@minLength(1)
@description('Region of everything new. An existing image account should be in the same one.')
@metadata({ azd: { type: 'location' } })
param location string

@description('The person who deploys and uploads: gets data roles in the image account. Empty assigns no role.')
param principalId string = ''

@description('An existing storage account to take images from; empty creates one.')
param existingImageAccount string = ''

@description('Its resource group, where that is another one than this environment\'s.')
param existingImageResourceGroup string = ''

@description('Its Event Grid system topic, if it has one: an account can have only one. It needs a system-assigned identity.')
param existingSystemTopic string = ''

@description('Where photos are uploaded.')
param incomingContainer string = 'incoming'

@description('Where sidecars go; never the incoming container.')
param resultsContainer string = 'results'

@description('The table of results; its index is the same name and index.')
param resultsTable string = 'classifications'

@minLength(3)
@maxLength(55)
@description('The queue of requests. Each app on one image account needs another name.')
param requestsQueue string = 'classify-requests'

@description('Folder of the model in the package.')
param modelDir string = 'models/shapes'

@description('container/prefix of a model in the image account, instead of modelDir.')
param modelBlob string = ''

@description('container/name of a decision.json in the image account, instead of one in the model folder.')
param decisionBlob string = ''

@description('Folder in the package of a candidate that answers a share of the images beside the model.')
param shadowModelDir string = ''

@description('container/prefix of the candidate in the image account, instead of shadowModelDir.')
param shadowModelBlob string = ''

@description('The share of the images that the candidate answers, 0 to 1.')
param shadowShare string = '0.1'

@minValue(1)
@maxValue(1000)
@description('Predictions kept per image.')
param topK int = 5

@description('Below it the label is unknown, from 0 to 1; empty keeps every label.')
param minScore string = ''

@allowed(['reject', 'classify'])
@description('A truncated or damaged picture is rejected, or classified by the part that can be decoded.')
param damagedImages string = 'reject'

@allowed(['yes', 'no'])
@description('yes writes each result as index tags on the image, and lets the person who deploys do so too.')
param tagImages string = 'no'

@description('A queue in the image account that gets a message for each result; empty sends none.')
param notifyQueue string = ''

@description('With notifyQueue: only results with one of these labels, with commas between; empty for every result.')
param notifyLabels string = ''

@minValue(1)
@maxValue(1000)
@description('The app never runs on more instances than this: the bound of the bill, and of the load on storage.')
param maximumInstanceCount int = 100

@minValue(0)
@description('Instances that wait for uploads and are paid for always; 0 has the first upload wait for a cold start.')
param alwaysReadyInstances int = 0

@allowed([2048, 4096])
@description('Memory of an instance, in MB; infra/app.bicep has the arithmetic.')
param instanceMemoryMB int = 2048

@description('Reach both storage accounts through private endpoints in a virtual network, and close them to all others.')
param vnetEnabled bool = false

@description('With a virtual network: the addresses that may still reach the image account from outside, IPv4 addresses or ranges with commas between.')
param allowedAddresses string = ''

@description('The recipient of alerts; empty shows alerts in the portal only.')
param alertEmail string = ''

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName }
var deadLetterContainer = 'dead-letters'
var imageAccount = empty(existingImageAccount) ? 'stimages${token}' : existingImageAccount
var imageGroup = empty(existingImageResourceGroup) ? 'rg-${environmentName}' : existingImageResourceGroup

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'identity.bicep' = {
  name: 'identity'
  scope: group
  params: { name: 'id-${token}', location: location, tags: tags }
}

module monitoring 'monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    workspaceName: 'log-${token}'
    applicationInsightsName: 'appi-${token}'
    location: location
    tags: tags
    appPrincipalId: identity.outputs.principalId
  }
}

module imageStorage 'images/account.bicep' = if (empty(existingImageAccount)) {
  name: 'image-storage'
  scope: group
  params: {
    name: imageAccount
    location: location
    tags: tags
    deadLetterContainer: deadLetterContainer
    closed: vnetEnabled
    allowedAddresses: allowedAddresses
  }
}

module imageContents 'images/contents.bicep' = {
  name: 'image-contents'
  scope: resourceGroup(imageGroup)
  params: {
    accountName: imageAccount
    incomingContainer: incomingContainer
    resultsContainer: resultsContainer
    deadLetterContainer: deadLetterContainer
    resultsTable: resultsTable
    requestsQueue: requestsQueue
    notifyQueue: notifyQueue
  }
  dependsOn: [group, imageStorage]
}

module imageAccess 'images/access.bicep' = {
  name: 'image-access'
  scope: resourceGroup(imageGroup)
  params: {
    accountName: imageAccount
    appPrincipalId: identity.outputs.principalId
    userPrincipalId: principalId
    tagImages: tagImages
  }
  dependsOn: [imageStorage]
}

module imageEvents 'images/events.bicep' = {
  name: 'image-events'
  scope: resourceGroup(imageGroup)
  params: {
    accountName: imageAccount
    existingTopicName: existingSystemTopic
    topicName: 'evgt-${token}'
    deadLetterContainer: deadLetterContainer
    location: imageContents.outputs.location
    tags: tags
  }
}

module hostStorage 'host-storage.bicep' = {
  name: 'host-storage'
  scope: group
  params: {
    name: 'sthost${token}'
    location: location
    tags: tags
    appPrincipalId: identity.outputs.principalId
    userPrincipalId: principalId
    closed: vnetEnabled
  }
}

module network 'network.bicep' = if (vnetEnabled) {
  name: 'network'
  scope: group
  params: { name: 'vnet-${token}', location: location, tags: tags }
}

module imageEndpoints 'private-endpoints.bicep' = if (vnetEnabled) {
  name: 'image-endpoints'
  scope: group
  params: {
    accountId: imageContents.outputs.accountId
    accountName: imageAccount
    subnetId: network!.outputs.endpointSubnetId
    location: location
    tags: tags
  }
}

module hostEndpoints 'private-endpoints.bicep' = if (vnetEnabled) {
  name: 'host-endpoints'
  scope: group
  params: {
    accountId: hostStorage.outputs.accountId
    accountName: hostStorage.outputs.accountName
    subnetId: network!.outputs.endpointSubnetId
    location: location
    tags: tags
  }
}

module app 'app.bicep' = {
  name: 'app'
  scope: group
  params: {
    name: 'func-${token}'
    planName: 'plan-${token}'
    hostId: token
    location: location
    tags: union(tags, { 'azd-service-name': 'classifier' })
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    applicationInsightsName: monitoring.outputs.applicationInsightsName
    hostAccountName: hostStorage.outputs.accountName
    packageContainer: hostStorage.outputs.packageContainer
    imageBlobUri: imageContents.outputs.blobUri
    imageQueueUri: imageContents.outputs.queueUri
    imageTableUri: imageContents.outputs.tableUri
    incomingContainer: incomingContainer
    resultsContainer: resultsContainer
    resultsTable: resultsTable
    requestsQueue: requestsQueue
    modelDir: modelDir
    modelBlob: modelBlob
    decisionBlob: decisionBlob
    shadowModelDir: shadowModelDir
    shadowModelBlob: shadowModelBlob
    shadowShare: shadowShare
    topK: topK
    minScore: minScore
    damagedImages: damagedImages
    tagImages: tagImages
    notifyQueue: notifyQueue
    notifyLabels: notifyLabels
    maximumInstanceCount: maximumInstanceCount
    alwaysReadyInstances: alwaysReadyInstances
    instanceMemoryMB: instanceMemoryMB
    subnetId: vnetEnabled ? network!.outputs.appSubnetId : ''
  }
  // An app that starts before its roles and routes are there fails until it is restarted.
  dependsOn: [imageAccess, imageEndpoints, hostEndpoints]
}

module alerts 'alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    location: location
    tags: tags
    applicationInsightsId: monitoring.outputs.applicationInsightsId
    imageStorageId: imageContents.outputs.accountId
    eventGridTopicId: imageEvents.outputs.topicId
    alertEmail: alertEmail
  }
}

// For azd and infra/hooks. An output may have the name of an input of main.parameters.json only if both mean the same.
output AZURE_RESOURCE_GROUP string = group.name
output FUNCTION_APP_NAME string = app.outputs.name
output FUNCTION_HOST_NAME string = app.outputs.hostName
output SYSTEM_TOPIC_ID string = imageEvents.outputs.topicId
output IMAGE_STORAGE_ID string = imageContents.outputs.accountId
output DEAD_LETTER_CONTAINER string = deadLetterContainer

// For `python -m tools`, with the names of its settings: `azd env get-values` prints an environment file for it.
output ImageStorage__blobServiceUri string = imageContents.outputs.blobUri
output ImageStorage__queueServiceUri string = imageContents.outputs.queueUri
output ImageStorage__tableServiceUri string = imageContents.outputs.tableUri
output AzureWebJobsStorage__accountName string = hostStorage.outputs.accountName
output INCOMING_CONTAINER string = incomingContainer
output RESULTS_CONTAINER string = resultsContainer
output RESULTS_TABLE string = resultsTable
output REQUESTS_QUEUE string = requestsQueue
output MODEL_DIR string = modelDir
output MODEL_BLOB string = modelBlob
output TAG_IMAGES string = tagImages
output NOTIFY_QUEUE string = notifyQueue
output NOTIFY_LABELS string = notifyLabels
output BLOB_TRIGGER_SOURCE string = 'EventGrid'
