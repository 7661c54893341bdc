// The alerts and their recipients. docs/operations.md explains each alert and the response to it.
//
// Azure has no metric of one queue's length (QueueMessageCount covers the whole account, once an hour), and none that
// distinguishes uploads from the app's sidecars. So most alerts query the app's log; undelivered events come from Event
// Grid's metrics.
param location string
param tags object
param applicationInsightsId string
param imageStorageId string

@description('The Event Grid system topic of the uploads; empty watches no deliveries.')
param eventGridTopicId string = ''

@description('The recipient of alerts; empty shows alerts in the portal only.')
param alertEmail string = ''

@description('Fires if the reconciliation has logged nothing for this long; more than two periods of RECONCILE_SCHEDULE.')
param silentAfter string = 'PT3H'

@description('Fires above this number of messages in all queues of the account, delayed retries included.')
param maxMessages int = 10000

var recipients = empty(alertEmail) ? [] : [people.id]
var metricRecipients = empty(alertEmail) ? [] : [{ actionGroupId: people.id }]

// Each alert fires when its query returns more rows than the threshold in the window; app-silent fires when it returns none.
var rules = [
  {
    name: 'images-failed'
    title: 'The app gave up images'
    query: loadTextContent('queries/alert_failed.kql')
    severity: 2
    every: 'PT15M'
    window: 'PT15M'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'poison-grows'
    title: 'More than ten images went through a poison queue'
    query: loadTextContent('queries/alert_poison.kql')
    severity: 2
    every: 'PT15M'
    window: 'PT15M'
    operator: 'GreaterThan'
    threshold: 10
  }
  {
    name: 'messages-refused'
    title: 'The app cannot process a message, or fails on the same one again and again'
    query: loadTextContent('queries/alert_refused.kql')
    severity: 2
    every: 'PT15M'
    window: 'PT1H'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'nothing-committed'
    title: 'Uploads arrive, but no row is written'
    query: loadTextContent('queries/alert_stalled.kql')
    severity: 1
    every: 'PT10M'
    window: 'PT30M'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'deployment-broken'
    title: 'The model cannot be loaded, or storage denies access'
    query: loadTextContent('queries/alert_deployment.kql')
    severity: 1
    every: 'PT15M'
    window: 'PT15M'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'events-lost'
    title: 'Uploads without a row were found'
    query: loadTextContent('queries/alert_lost.kql')
    severity: 2
    every: 'PT1H'
    window: 'PT1H'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'app-silent'
    title: 'The app has logged nothing'
    query: loadTextContent('queries/alert_silent.kql')
    severity: 1
    every: 'PT1H'
    window: silentAfter
    operator: 'LessThan'
    threshold: 1
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(alertEmail)) {
  name: 'image-classifier'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'images'
    emailReceivers: [
      {
        name: 'operator'
        emailAddress: alertEmail
        useCommonAlertSchema: true
      }
    ]
  }
}

resource logAlerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in rules: {
    name: rule.name
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: rule.title
      description: 'docs/operations.md, "${rule.name}"'
      severity: rule.severity
      enabled: true
      scopes: [applicationInsightsId]
      evaluationFrequency: rule.every
      windowSize: rule.window
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: rule.operator
            threshold: rule.threshold
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      autoMitigate: true
      actions: {
        actionGroups: recipients
      }
    }
  }
]

// Events that Event Grid cannot deliver: the app is down, or its key or address changed. Event Grid retries for a day.
resource undelivered 'Microsoft.Insights/metricAlerts@2018-03-01' = if (!empty(eventGridTopicId)) {
  name: 'events-undelivered'
  location: 'global'
  tags: tags
  properties: {
    description: 'docs/operations.md, "events-undelivered"'
    severity: 1
    enabled: true
    scopes: [eventGridTopicId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'attempts'
          metricNamespace: 'Microsoft.EventGrid/systemTopics'
          metricName: 'DeliveryAttemptFailCount'
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: 10
        }
      ]
    }
    autoMitigate: true
    actions: metricRecipients
  }
}

// Work piles up: more than the instances can process, or a queue without a reader.
resource backlog 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'messages-pile-up'
  location: 'global'
  tags: tags
  properties: {
    description: 'docs/operations.md, "messages-pile-up"'
    severity: 3
    enabled: true
    scopes: ['${imageStorageId}/queueServices/default']
    evaluationFrequency: 'PT1H'
    windowSize: 'PT1H'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'messages'
          metricNamespace: 'Microsoft.Storage/storageAccounts/queueServices'
          metricName: 'QueueMessageCount'
          timeAggregation: 'Average'
          operator: 'GreaterThan'
          threshold: maxMessages
        }
      ]
    }
    autoMitigate: true
    actions: metricRecipients
  }
}
