"""Prometheus metrics, read from the database for each request."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ....statemachine.lifecycles import JOB, TASK
from .health import Health
from .rows import StateCountRow

HEALTH_STATUSES = ("good", "bad", "unknown")


class _StaticCollector(Collector):
    """Metrics that have already been read."""

    def __init__(self, families: Iterable[GaugeMetricFamily]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the metrics."""
        return self._families


def metrics_text(health: Health, states: Iterable[StateCountRow]) -> bytes:
    """The metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_StaticCollector(_families(health, list(states))))
    return generate_latest(registry)


def _families(health: Health, states: list[StateCountRow]) -> Iterable[GaugeMetricFamily]:
    for lifecycle in (JOB, TASK):
        counts = {row.status: row.number for row in states if row.machine == lifecycle.name}
        known = {name: float(counts.get(name, 0)) for name in lifecycle.by_name}
        yield _family(f"coremachine_{lifecycle.name}s", f"{lifecycle.name}s by state", "status", known)
    alive = sum(row.alive for row in health.workers)
    text = "workers with a recent heartbeat and no stuck loop"
    yield GaugeMetricFamily("coremachine_workers_alive", text, value=alive)
    ages = {row.kind: (row.now - row.oldest).total_seconds() if row.oldest else 0.0 for row in health.backlog}
    yield _family("coremachine_oldest_message_seconds", "age of the oldest due message", "kind", ages)
    due = {row.kind: float(row.due) for row in health.backlog}
    yield _family("coremachine_messages_due", "messages that are due now", "kind", due)
    statuses = {status: float(health.status == status) for status in HEALTH_STATUSES}
    yield _family("coremachine_health", "1 for the current health status", "verdict", statuses)
    if health.audit is not None and health.audit_age is not None:
        yield GaugeMetricFamily("coremachine_audit_age_seconds", "seconds since the last audit", value=health.audit_age)
        found = {finding.id: float(finding.count) for finding in health.audit.findings}
        yield _family("coremachine_audit_findings", "rows with a finding, by gap id", "gap", found)


def _family(name: str, documentation: str, label: str, values: dict[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, documentation, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
