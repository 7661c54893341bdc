// The system topic of the image account. An account can have only one, in its own subscription and region. It is created
// in the account's resource group, as Event Grid would do.
param accountName string

@description('The account\'s topic, if it has one. It stays as it is, but must have a system-assigned identity.')
param existingTopicName string

@description('What to call a new one.')
param topicName string
param deadLetterContainer string

@description('The account\'s own region.')
param location string
param tags object

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: accountName

  resource blobs 'blobServices' existing = {
    name: 'default'

    resource deadLetters 'containers' existing = {
      name: deadLetterContainer
    }
  }
}

resource made 'Microsoft.EventGrid/systemTopics@2025-02-15' = if (empty(existingTopicName)) {
  name: topicName
  location: location
  tags: tags
  // System-assigned: behind a storage firewall Event Grid may write dead letters with no other kind.
  identity: { type: 'SystemAssigned' }
  properties: {
    source: account.id
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: empty(existingTopicName) ? topicName : existingTopicName
}

// Storage Blob Data Contributor, on this container: Event Grid writes dead letters with its own identity, because keys
// are disabled.
resource deadLettering 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: account::blobs::deadLetters
  name: guid(account.id, deadLetterContainer, topic.name, 'ba92f5b4-2d11-453d-a403-e96b0029c9fe')
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'ba92f5b4-2d11-453d-a403-e96b0029c9fe')
    principalId: topic.identity.principalId
    principalType: 'ServicePrincipal'
  }
  dependsOn: [made]
}

output topicId string = topic.id
