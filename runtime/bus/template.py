"""Templates for a namespace with these routes: Bicep for Azure, Config.json for the official emulator."""

import json
from collections.abc import Sequence

from .port import QueueRoute

LOCK = "PT1M"
DUPLICATES_WITHIN = "PT10M"
EMULATOR_WITHIN = "PT5M"
"""The emulator accepts at most five minutes, according to its documentation, else it refuses the whole file."""
DELIVERIES = 10
SENDER_ROLE = "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39"
RECEIVER_ROLE = "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0"

BICEP = """\
// Made by `coremachine bus template`: the queues of these jobs, and the two roles of their workers.
param namespaceName string
param location string = resourceGroup().location
@description('Object id of the identity that workers run as; none assigns no roles.')
param workerPrincipalId string = ''
@allowed(['Standard', 'Premium'])
param sku string = 'Standard'

resource namespace 'Microsoft.ServiceBus/namespaces@2022-10-01-preview' = {{
  name: namespaceName
  location: location
  sku: {{ name: sku, tier: sku }}
  properties: {{ minimumTlsVersion: '1.2' }}
}}

var queues = [
{queues}
]

resource queue 'Microsoft.ServiceBus/namespaces/queues@2022-10-01-preview' = [for name in queues: {{
  parent: namespace
  name: name
  properties: {{
    // a message is settled once its row is claimed, within milliseconds, however long the task runs
    lockDuration: '{lock}'
    maxDeliveryCount: {deliveries}
    // drops the second copy if the acknowledgement of a send was lost
    requiresDuplicateDetection: true
    duplicateDetectionHistoryTimeWindow: '{duplicates}'
    deadLetteringOnMessageExpiration: true
  }}
}}]

// Azure Service Bus Data Sender, and Data Receiver
var roles = ['{sender}', '{receiver}']

var assigned = empty(workerPrincipalId) ? [] : roles

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for role in assigned: {{
  name: guid(namespace.id, workerPrincipalId, role)
  scope: namespace
  properties: {{
    principalId: workerPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
  }}
}}]
"""


def bicep(routes: Sequence[QueueRoute]) -> str:
    """A Bicep file that creates the namespace, the queues and the roles."""
    return BICEP.format(
        queues="\n".join(f"  '{route.queue}'" for route in routes),
        lock=LOCK,
        deliveries=DELIVERIES,
        duplicates=DUPLICATES_WITHIN,
        sender=SENDER_ROLE,
        receiver=RECEIVER_ROLE,
    )


def emulator_config(routes: Sequence[QueueRoute]) -> str:
    """The Config.json of the official Service Bus emulator."""
    properties = {
        "DeadLetteringOnMessageExpiration": True,
        "DefaultMessageTimeToLive": "PT1H",
        "DuplicateDetectionHistoryTimeWindow": EMULATOR_WITHIN,
        "ForwardDeadLetteredMessagesTo": "",
        "ForwardTo": "",
        "LockDuration": LOCK,
        "MaxDeliveryCount": DELIVERIES,
        "RequiresDuplicateDetection": True,
        "RequiresSession": False,
    }
    queues = [{"Name": route.queue, "Properties": properties} for route in routes]
    namespace = {"Name": "sbemulatorns", "Queues": queues, "Topics": list[object]()}
    return json.dumps({"UserConfig": {"Namespaces": [namespace], "Logging": {"Type": "File"}}}, indent=2)
