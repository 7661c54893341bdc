// The app's containers, queues and tables in the image account. The app would create most of them on first use. Created
// here, they exist before the first upload, and for the tools and alerts.
param accountName string
param incomingContainer string
param resultsContainer string
param deadLetterContainer string
param resultsTable string
param requestsQueue string

@description('The queue of messages about results; empty for none.')
param notifyQueue string

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: accountName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' existing = {
  parent: account
  name: 'default'
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices@2023-05-01' existing = {
  parent: account
  name: 'default'
}

resource tables 'Microsoft.Storage/storageAccounts/tableServices@2023-05-01' existing = {
  parent: account
  name: 'default'
}

resource incoming 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: incomingContainer
  properties: { publicAccess: 'None' }
}

resource results 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: resultsContainer
  properties: { publicAccess: 'None' }
}

// For MODEL_BLOB=models/<name>, so that publishing a model is one command. An empty container costs nothing.
resource models 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: 'models'
  properties: { publicAccess: 'None' }
}

// Events that Event Grid could not deliver in a day.
resource deadLetters 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: deadLetterContainer
  properties: { publicAccess: 'None' }
}

resource requests 'Microsoft.Storage/storageAccounts/queueServices/queues@2023-05-01' = {
  parent: queues
  name: requestsQueue
}

resource requestsPoison 'Microsoft.Storage/storageAccounts/queueServices/queues@2023-05-01' = {
  parent: queues
  name: '${requestsQueue}-poison'
}

// Messages that no function can process; no function reads it.
resource requestsRefused 'Microsoft.Storage/storageAccounts/queueServices/queues@2023-05-01' = {
  parent: queues
  name: '${requestsQueue}-refused'
}

// The host's fixed name: all apps on one image account read it, and each leaves the others' messages there.
resource uploadsPoison 'Microsoft.Storage/storageAccounts/queueServices/queues@2023-05-01' = {
  parent: queues
  name: 'webjobs-blobtrigger-poison'
}

// Messages about results: another program reads them, and needs a role of its own, such as Storage Queue Data Message
// Processor. The app's role on the account lets it send.
resource notifications 'Microsoft.Storage/storageAccounts/queueServices/queues@2023-05-01' = if (!empty(notifyQueue)) {
  parent: queues
  name: notifyQueue
}

resource rows 'Microsoft.Storage/storageAccounts/tableServices/tables@2023-05-01' = {
  parent: tables
  name: resultsTable
}

resource index 'Microsoft.Storage/storageAccounts/tableServices/tables@2023-05-01' = {
  parent: tables
  name: '${resultsTable}index'
}

output accountId string = account.id
output location string = account.location
output blobUri string = account.properties.primaryEndpoints.blob
output queueUri string = account.properties.primaryEndpoints.queue
output tableUri string = account.properties.primaryEndpoints.table
