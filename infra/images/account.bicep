// A new account for images, results and queues. It is created only if no existing account is named: an existing account
// keeps its redundancy, network rules, retention and lifecycle.
param name string
param location string
param tags object
param deadLetterContainer string

@description('Reachable only through private endpoints, by Azure\'s trusted services, and from allowedAddresses.')
param closed bool

@description('IPv4 addresses or ranges, with commas between.')
param allowedAddresses string

var addresses = empty(allowedAddresses) ? [] : split(replace(allowedAddresses, ' ', ''), ',')

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2' // Event Grid wants general purpose v2
  sku: { name: 'Standard_LRS' }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: 'Enabled' // what that means is for the rules to say
    networkAcls: {
      defaultAction: closed ? 'Deny' : 'Allow'
      bypass: 'AzureServices' // Event Grid writes its dead letters from outside
      ipRules: [for address in addresses: { value: address, action: 'Allow' }]
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {
  parent: account
  name: 'default'
  properties: {
    // Photos are often the only copy: a slip of the hand can be undone for a week.
    deleteRetentionPolicy: { enabled: true, days: 7 }
    containerDeleteRetentionPolicy: { enabled: true, days: 7 }
  }
}

resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2023-05-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'forget-dead-letters'
          type: 'Lifecycle'
          enabled: true
          definition: {
            filters: { blobTypes: ['blockBlob'], prefixMatch: ['${deadLetterContainer}/'] }
            // By then reconcile has long found the uploads that they name.
            actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: 30 } } }
          }
        }
      ]
    }
  }
  dependsOn: [blobs]
}
