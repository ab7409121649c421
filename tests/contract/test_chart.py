"""The chart renders to what an installation needs: objects, names, labels, security, settings."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from support import chart

EVERY_OPTION: dict[str, Any] = {
    "settings.ignoreNamespaces": ["other"],
    "commonLabels": {"team": "platform"},
    "api.autoscaling.enabled": True,
    "api.ingress": {
        "enabled": True,
        "hosts": ["cron.example"],
        "tls": [{"secretName": "s", "hosts": ["cron.example"]}],
    },
    "networkPolicy.enabled": True,
    **{f"metrics.{part}.enabled": True for part in ("serviceMonitor", "rules", "dashboard")},
    "uninstall.suspendCronJobs": True,
    "auth.jwks.url": "https://sso.example:8443/keys",
    "nodeMetrics.enabled": True,
    **{f"{part}.priorityClassName": "important" for part in ("api", "operator", "postgresql")},
    **{f"{part}.podLabels": {"a": "b"} for part in ("api", "operator", "postgresql")},
}
OWN_DATABASE = {"postgresql.enabled": False, "database.existingSecret.name": "my-db"}
VARIANTS: dict[str, dict[str, Any]] = {
    "bundled": {},
    "own database": OWN_DATABASE,
    "own keys": {"auth.existingSecret": "my-keys"},
    "key set": {"auth.secretKeys": False, "auth.jwks.file": {"kind": "ConfigMap", "name": "keys", "key": "k.json"}},
    "namespaces": {"settings.watchNamespaces": ["cw", "team-a"]},
    "no crds": {"crds.enabled": False},
    "node ports": {
        "api.service.type": "NodePort",
        "api.service.nodePort": 30080,
        "postgresql.service.type": "NodePort",
        "postgresql.service.nodePort": 30432,
    },
    "node metrics": {"nodeMetrics.enabled": True, "kubelet.caBundle": "-----BEGIN CERTIFICATE-----\nMIIB"},
    "placement": {
        "api.nodeSelector": {"disk": "fast"},
        "api.tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "operator.affinity": {"podAntiAffinity": {}},
        "api.podAnnotations": {"a": "b"},
        "imagePullSecrets": [{"name": "registry"}],
    },
    "every option": EVERY_OPTION,
}


COMPONENTS = {"api", "operator", "postgresql", "crds", "admission", "metrics", "test", "uninstall", "users"}


@pytest.fixture(params=VARIANTS, scope="module")
def rendered(request: pytest.FixtureRequest) -> chart.Rendered:
    return chart.render(VARIANTS[request.param])


def test_helm_lint_is_clean() -> None:
    assert "0 chart(s) failed" in chart.helm("lint", "--strict", str(chart.CHART))


def test_every_object_has_the_labels_and_a_namespace(rendered: chart.Rendered) -> None:
    for item in rendered.objects:
        labels = item["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "cronwright"
        assert labels["app.kubernetes.io/instance"] == "cronwright"
        assert labels["app.kubernetes.io/component"] in COMPONENTS
        assert labels["app.kubernetes.io/version"] == "0.1.0"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        clusterwide = item["kind"] in {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
        assert clusterwide == ("namespace" not in item["metadata"]), item["metadata"]


def test_every_pod_satisfies_the_restricted_standard(rendered: chart.Rendered) -> None:
    templates = rendered.pod_templates()
    assert {"cronwright-api", "cronwright-operator"} <= set(templates)
    for owner, template in templates.items():
        spec = template["spec"]
        pod = spec["securityContext"]
        assert pod["runAsNonRoot"] is True, owner
        assert pod["runAsUser"] > 0
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC"))
        for container in spec["containers"] + spec.get("initContainers", []):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}
            assert not any("hostPort" in port for port in container.get("ports", []))
        for volume in spec["volumes"]:
            assert set(volume) - {"name"} <= {"emptyDir", "secret", "configMap"}, volume


def test_services_and_selectors_meet_their_pods(rendered: chart.Rendered) -> None:
    templates = rendered.pod_templates().values()
    for service in rendered.of("Service"):
        selector = service["spec"]["selector"]
        matching = [item for item in templates if selector.items() <= item["metadata"]["labels"].items()]
        assert len(matching) == 1, service["metadata"]["name"]
        names = {port["name"] for container in matching[0]["spec"]["containers"] for port in container["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names
    for workload in rendered.of("Deployment") + rendered.of("StatefulSet"):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert workload["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_every_secret_that_is_referred_to_is_made_or_was_given(rendered: chart.Rendered) -> None:
    made = {item["metadata"]["name"]: set(item["data"]) for item in rendered.of("Secret")}
    given = {"my-db": {"url"}, "my-keys": set()}
    for template in rendered.pod_templates().values():
        spec = template["spec"]
        for container in spec["containers"] + spec.get("initContainers", []):
            for variable in container.get("env", []):
                reference = variable.get("valueFrom", {}).get("secretKeyRef")
                if reference:
                    assert reference["key"] in {**made, **given}[reference["name"]]
        for volume in spec["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["secretName"] in {**made, **given}


def environment(template: dict[str, Any], container: str) -> dict[str, Any]:
    spec = template["spec"]
    found = next(item for item in spec["containers"] + spec.get("initContainers", []) if item["name"] == container)
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in found["env"]}


def test_settings_reach_the_program() -> None:
    rendered = chart.render(
        {
            "settings.logLevel": "DEBUG",
            "settings.namespace": "tasks",
            "settings.watchNamespaces": ["tasks", "team-a"],
            "settings.defaultTimeZone": "Asia/Shanghai",
            "settings.keepFinishedSeconds": 1234567,
            "settings.keepFinishedPerTask": 7,
            "settings.keepFinishedPods": 12000,
            "retention.days": 36500,
            "cronJobs.stepIn": False,
            "limits.maxConcurrentExecutions": 1000000,
            "limits.maxUnrecorded": 1000000,
            "priorityClasses": [{"minPriority": 10, "name": "high"}],
            "settings.logPollSeconds": 0.5,
            "settings.resyncSeconds": 60,
            "settings.listenAddress": "::",
            "auth.audience": "cw",
            "auth.issuer": "me",
            "auth.rolesClaim": "realm_access.roles",
            "auth.adminRole": "operations",
            "api.rootPath": "/cron",
            "api.maxLogStreams": 1234567,
            "api.metricsPort": 9001,
            "api.maxLogStreamsPerUser": 7,
            "api.migrate.waitSeconds": 7,
            "operator.leaseName": "the-lease",
            "operator.healthPort": 9000,
            "nodeMetrics.enabled": True,
            "nodeMetrics.periodSeconds": 2.5,
            "workspaces.maxAgeHours": 48,
            "workspaces.periodSeconds": 600,
            "workspaces.runAsUser": 0,
            "image.repository": "registry.example/cw",
            "image.tag": "7",
            "image.pullPolicy": "Always",
            "logs.source": "merged",
            "logs.kubeletFiles": True,
            "logs.limitMiB": 1234,
            "logs.redact.variables": False,
            "logs.redact.secrets": True,
            "kubelet.port": 10251,
            "kubelet.insecureTLS": True,
            "kubelet.caBundle": "-----BEGIN CERTIFICATE-----\nMIIB",
        }
    )
    templates = rendered.pod_templates()
    shared = {
        "CRONWRIGHT_LOG_LEVEL": "DEBUG",
        "CRONWRIGHT_NAMESPACE": "tasks",
        "CRONWRIGHT_WATCH_NAMESPACES": "tasks,team-a",
        "CRONWRIGHT_DEFAULT_TIME_ZONE": "Asia/Shanghai",
        "DATABASE_URL": {"secretKeyRef": {"name": "cronwright-postgresql", "key": "url"}},
        "POD_NAMESPACE": {"fieldRef": {"fieldPath": "metadata.namespace"}},
        "POD_NAME": {"fieldRef": {"fieldPath": "metadata.name"}},
    }
    api = {
        "CRONWRIGHT_HOST": "::",
        "CRONWRIGHT_PORT": "8000",
        "CRONWRIGHT_JWT_KEYS_DIR": "/etc/cronwright/jwt-keys",
        "CRONWRIGHT_JWT_AUDIENCE": "cw",
        "CRONWRIGHT_JWT_ISSUER": "me",
        "CRONWRIGHT_JWT_ROLES_CLAIM": "realm_access.roles",
        "CRONWRIGHT_JWT_ADMIN_ROLE": "operations",
        "CRONWRIGHT_ROOT_PATH": "/cron",
        "CRONWRIGHT_MAX_LOG_STREAMS": "1234567",
        "CRONWRIGHT_METRICS_PORT": "9001",
        "CRONWRIGHT_MAX_LOG_STREAMS_PER_USER": "7",
    }
    operator = {
        "CRONWRIGHT_CRON_JOBS_STEP_IN": "false",
        "CRONWRIGHT_MAX_CONCURRENT_EXECUTIONS": "1000000",
        "CRONWRIGHT_MAX_UNRECORDED": "1000000",
        "CRONWRIGHT_PRIORITY_CLASSES": '[{"minPriority":10,"name":"high"}]',
        "CRONWRIGHT_HEALTH_HOST": "::",
        "CRONWRIGHT_HEALTH_PORT": "9000",
        "CRONWRIGHT_LEASE_NAME": "the-lease",
        "CRONWRIGHT_KEEP_FINISHED_SECONDS": "1234567",
        "CRONWRIGHT_KEEP_FINISHED_PER_TASK": "7",
        "CRONWRIGHT_KEEP_FINISHED_PODS": "12000",
        "CRONWRIGHT_RETENTION_DAYS": "36500",
        "CRONWRIGHT_LOG_POLL_SECONDS": "0.5",
        "CRONWRIGHT_RESYNC_SECONDS": "60",
        "CRONWRIGHT_IMAGE": "registry.example/cw:7",
        "CRONWRIGHT_IMAGE_PULL_POLICY": "Always",
        "CRONWRIGHT_WORKSPACE_MAX_AGE_HOURS": "48",
        "CRONWRIGHT_WORKSPACE_CLEAN_SECONDS": "600",
        "CRONWRIGHT_WORKSPACE_USER": "0",
        "CRONWRIGHT_NODE_METRICS": "true",
        "CRONWRIGHT_NODE_METRICS_SECONDS": "2.5",
        "CRONWRIGHT_LOG_SOURCE": "merged",
        "CRONWRIGHT_LOG_KUBELET_FILES": "true",
        "CRONWRIGHT_LOG_LIMIT_MIB": "1234",
        "CRONWRIGHT_LOG_REDACT_VARIABLES": "false",
        "CRONWRIGHT_LOG_REDACT_SECRETS": "true",
        "CRONWRIGHT_LOG_REDACT_PATTERNS": "[]",
        "CRONWRIGHT_KUBELET_PORT": "10251",
        "CRONWRIGHT_KUBELET_INSECURE_TLS": "true",
        "CRONWRIGHT_KUBELET_CA_FILE": "/etc/cronwright/kubelet/ca.crt",
    }
    assert environment(templates["cronwright-api"], "api") == shared | api
    assert environment(templates["cronwright-api"], "migrate") == shared
    assert environment(templates["cronwright-operator"], "operator") == shared | operator
    assert templates["cronwright-api"]["spec"]["initContainers"][0]["args"] == ["migrate", "--wait", "7"]
    ports = templates["cronwright-operator"]["spec"]["containers"][0]["ports"]
    assert ports == [{"name": "health", "containerPort": 9000, "protocol": "TCP"}]


def test_the_defaults_serve_every_namespace_from_the_releases_own() -> None:
    env = environment(chart.render().pod_templates()["cronwright-operator"], "operator")
    assert (env["CRONWRIGHT_NAMESPACE"], env["CRONWRIGHT_WATCH_NAMESPACES"]) == ("cw", "")


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "cronwright:0.1.0"),
        ({"image.repository": "r.example:5000/x/cw", "image.tag": "7"}, "r.example:5000/x/cw:7"),
        ({"image.digest": "sha256:" + "a" * 64}, "cronwright@sha256:" + "a" * 64),
    ],
)
def test_image_reference(image: dict[str, Any], expected: str) -> None:
    templates = chart.render(image).pod_templates()
    used = {
        container["image"]
        for name in ("cronwright-api", "cronwright-operator")
        for container in templates[name]["spec"]["containers"] + templates[name]["spec"].get("initContainers", [])
    }
    assert used == {expected}


@pytest.mark.parametrize("part", ["api", "operator"])
def test_an_upgrade_takes_no_pod_away_before_its_successor_is_ready(part: str) -> None:
    deployment = chart.render().one("Deployment", f"cronwright-{part}")["spec"]
    assert deployment["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert deployment["replicas"] == 2


def test_the_bundled_database_keeps_its_data_on_a_volume_of_its_own() -> None:
    rendered = chart.render({"postgresql.storage.size": "3Gi", "postgresql.storage.storageClassName": "fast"})
    database = rendered.one("StatefulSet", "cronwright-postgresql")["spec"]
    claim = database["volumeClaimTemplates"][0]["spec"]
    assert claim["storageClassName"] == "fast"
    assert claim["resources"] == {"requests": {"storage": "3Gi"}}
    container = database["template"]["spec"]["containers"][0]
    mounts = {item["mountPath"]: item["name"] for item in container["volumeMounts"]}
    assert mounts == {"/var/lib/postgresql/data": "data", "/var/run/postgresql": "run", "/tmp": "tmp"}
    data = next(item["value"] for item in container["env"] if item["name"] == "PGDATA")
    assert data.startswith("/var/lib/postgresql/data/")
    assert database["template"]["spec"]["automountServiceAccountToken"] is False


def test_an_own_database_brings_no_bundled_one() -> None:
    rendered = chart.render(OWN_DATABASE)
    assert not rendered.of("StatefulSet")
    assert [item["metadata"]["name"] for item in rendered.of("Secret")] == ["cronwright-jwt-keys"]
    url = environment(rendered.pod_templates()["cronwright-api"], "migrate")["DATABASE_URL"]
    assert url == {"secretKeyRef": {"name": "my-db", "key": "url"}}


def test_node_ports_are_fixed_only_where_the_service_is_one() -> None:
    rendered = chart.render(VARIANTS["node ports"])
    assert rendered.one("Service", "cronwright-api")["spec"]["ports"][0]["nodePort"] == 30080
    assert rendered.one("Service", "cronwright-postgresql")["spec"]["ports"][0]["nodePort"] == 30432
    plain = chart.render({"api.service.nodePort": 30080})
    assert "nodePort" not in plain.one("Service", "cronwright-api")["spec"]["ports"][0]


@pytest.mark.parametrize("release", ["a", "prod", "cronwright-prod", "r" * 53])
def test_names_fit_and_are_unique(release: str) -> None:
    rendered = chart.render({"settings.watchNamespaces": ["cw", "b"]}, release=release)
    keys = [(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]) for item in rendered.objects]
    assert len(keys) == len(set(keys))
    for kind, _, name in keys:
        assert len(name) <= 63
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", name), kind
    for item in rendered.objects:
        assert all(len(value) <= 63 for value in item["metadata"]["labels"].values())


def test_two_releases_do_not_share_a_cluster_role() -> None:
    names = [
        {item["metadata"]["name"] for item in chart.render(namespace=namespace).of("ClusterRole")}
        for namespace in ("a", "b")
    ]
    assert all(names)
    assert not names[0] & names[1]


def test_every_value_has_a_comment_above_it() -> None:
    lines = (chart.CHART / "values.yaml").read_text().splitlines()

    def indent(line: str) -> int:
        return len(line) - len(line.lstrip())

    # A line with deeper ones below it is a heading; its name says what it is.
    headings = {number for number, line in enumerate(lines[:-1]) if line and indent(lines[number + 1]) > indent(line)}
    bare = [
        line.strip()
        for number, line in enumerate(lines)
        if (match := re.match(r"\s*(\w+):", line))
        and number not in headings
        and match[1] not in {"cpu", "memory"}
        and not lines[number - 1].lstrip().startswith("#")
    ]
    assert bare == []
    assert isinstance(yaml.safe_load("\n".join(lines)), dict)


def test_the_default_zone_is_the_crds_default_too() -> None:
    """A task applied by kubectl gets it at admission, and keeps it, as one made by REST does."""
    for zone in ("UTC", "Asia/Shanghai"):
        rendered = chart.render({"settings.defaultTimeZone": zone})
        crd = rendered.one("CustomResourceDefinition", "scheduledtasks.cronwright.dev")
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        assert schema["properties"]["spec"]["properties"]["timeZone"]["default"] == zone
