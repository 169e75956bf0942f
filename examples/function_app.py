"""A function app that runs the hillshade job: queue triggers for jobs and tasks, and a timer.

Deploy this file with a requirements.txt that lists `coremachine[azure,demo]` and `azure-functions`, with a host.json
that names the extension bundle and whose timeouts are longer than the longest task (docs/howto/azure.md shows one), and
with the settings COREMACHINE_URL, COREMACHINE_SERVICEBUS and ServiceBusConnection (for the triggers; with a managed
identity, ServiceBusConnection__fullyQualifiedNamespace).
"""

import azure.functions as func

from coremachine import AsyncCoreMachine
from coremachine.examples.process_raster import process_raster
from coremachine.runtime.functions import FunctionsHost, register

host = FunctionsHost(AsyncCoreMachine(jobs=[process_raster], bus="servicebus"))
app = register(func.FunctionApp(), host, connection="ServiceBusConnection")
