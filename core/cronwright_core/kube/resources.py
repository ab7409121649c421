"""The kinds that Cronwright reads and writes, and the paths under which the API server has them."""

from __future__ import annotations

from dataclasses import dataclass

from cronwright_core.domain import naming


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of the API server: `group` is empty for the core group."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """`apiVersion` as objects carry it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of the collection or object; `namespace` None means all namespaces."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root]
        if namespace is not None:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part is not None]
        return "/".join(parts)


SCHEDULED_TASKS = Resource(naming.GROUP, naming.VERSION, naming.TASK_PLURAL, "ScheduledTask")
PROJECTS = Resource(naming.GROUP, naming.VERSION, naming.PROJECT_PLURAL, "Project")
CRON_JOBS = Resource("batch", "v1", "cronjobs", "CronJob")
JOBS = Resource("batch", "v1", "jobs", "Job")
PODS = Resource("", "v1", "pods", "Pod")
EVENTS = Resource("", "v1", "events", "Event")
SECRETS = Resource("", "v1", "secrets", "Secret")
NODES = Resource("", "v1", "nodes", "Node")
NODE_METRICS = Resource("metrics.k8s.io", "v1beta1", "nodes", "NodeMetrics")
POD_METRICS = Resource("metrics.k8s.io", "v1beta1", "pods", "PodMetrics")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
