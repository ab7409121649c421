"""What the chart offers beside the program: each option renders to what it says, and nothing of it is there unasked.

NetworkPolicy, HorizontalPodAutoscaler, Ingress and ServiceMonitor are never run here. `tests/integration/kube` shows
the first three to a real API server; the ServiceMonitor, whose CRD is not there, is compared with its fields below.
"""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from support import chart

PARTS = ("api", "operator", "postgresql")


def test_what_was_not_asked_for_is_not_there() -> None:
    kinds = {item["kind"] for item in chart.render().objects}
    assert not kinds & {"NetworkPolicy", "HorizontalPodAutoscaler", "Ingress", "ServiceMonitor", "Job"}
    assert "PodDisruptionBudget" in kinds


@pytest.mark.parametrize("part", ["api", "operator"])
def test_a_drain_takes_one_pod_at_a_time(part: str) -> None:
    values = {f"{part}.podDisruptionBudget.maxUnavailable": "25%"}
    for rendered, allowed in ((chart.render(), 1), (chart.render(values), "25%")):
        budget = rendered.one("PodDisruptionBudget", f"cronwright-{part}")["spec"]
        pods = rendered.pod_templates()[f"cronwright-{part}"]["metadata"]["labels"]
        assert budget["maxUnavailable"] == allowed
        assert budget["selector"]["matchLabels"].items() <= pods.items()
    switched_off = chart.render({f"{part}.podDisruptionBudget.enabled": False})
    assert len(switched_off.of("PodDisruptionBudget")) == 1


def test_the_autoscaler_alone_says_how_many() -> None:
    rendered = chart.render({"api.autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 9}})
    scaler = rendered.one("HorizontalPodAutoscaler", "cronwright-api")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 9)
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cronwright-api"}
    assert "replicas" not in rendered.one("Deployment", "cronwright-api")["spec"], "an upgrade would undo its choice"


@pytest.mark.parametrize("part", PARTS)
def test_where_pods_run(part: str) -> None:
    values = {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "priorityClassName": "important",
        "podLabels": {"cost": "7"},
        "podAnnotations": {"note": "x"},
    }
    rendered = chart.render({f"{part}.{key}": value for key, value in values.items()})
    template = rendered.pod_templates()[f"cronwright-{part}"]
    for key in ("nodeSelector", "tolerations", "affinity", "priorityClassName"):
        assert template["spec"][key] == values[key]
    assert template["metadata"]["labels"]["cost"] == "7"
    assert template["metadata"]["annotations"] == {"note": "x"}


@pytest.mark.parametrize("part", ["api", "operator"])
def test_pods_spread_over_nodes_and_zones_where_they_can(part: str) -> None:
    template = chart.render().pod_templates()[f"cronwright-{part}"]
    spread = template["spec"]["topologySpreadConstraints"]
    assert [item["topologyKey"] for item in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    for item in spread:
        assert item["whenUnsatisfiable"] == "ScheduleAnyway", "one node must do"
        assert item["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        assert item["matchLabelKeys"] == ["pod-template-hash"]
    own = {
        "maxSkew": 2,
        "topologyKey": "rack",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"a": "b"}},
    }
    rendered = chart.render({f"{part}.topologySpreadConstraints": [own]})
    assert rendered.pod_templates()[f"cronwright-{part}"]["spec"]["topologySpreadConstraints"] == [own]


@pytest.mark.parametrize(("part", "containers"), [("api", ["migrate", "api"]), ("operator", ["operator"])])
def test_variables_and_volumes_of_ones_own(part: str, containers: list[str]) -> None:
    variable = {"name": "PGSSLROOTCERT", "value": "/etc/db/ca.crt"}
    mount = {"name": "db-ca", "mountPath": "/etc/db", "readOnly": True}
    volume = {"name": "db-ca", "secret": {"secretName": "db-ca"}}
    rendered = chart.render(
        {f"{part}.extraEnv": [variable], f"{part}.extraVolumes": [volume], f"{part}.extraVolumeMounts": [mount]}
    )
    spec = rendered.pod_templates()[f"cronwright-{part}"]["spec"]
    assert volume in spec["volumes"]
    found = {item["name"]: item for item in spec["containers"] + spec.get("initContainers", [])}
    assert sorted(found) == sorted(containers)
    for container in found.values():
        assert variable in container["env"]
        assert mount in container["volumeMounts"]


@pytest.mark.parametrize("part", ["api", "operator"])
def test_a_service_account_of_ones_own_gets_the_rights(part: str) -> None:
    rendered = chart.render({f"{part}.serviceAccount": {"create": False, "name": "mine"}})
    assert f"cronwright-{part}" not in {item["metadata"]["name"] for item in rendered.of("ServiceAccount")}
    assert rendered.pod_templates()[f"cronwright-{part}"]["spec"]["serviceAccountName"] == "mine"
    bound = [
        item["metadata"]["name"]
        for item in rendered.of("ClusterRoleBinding") + rendered.of("RoleBinding")
        if item["subjects"] == [{"kind": "ServiceAccount", "name": "mine", "namespace": "cw"}]
    ]
    assert (
        bound
        == {"api": ["cw-cronwright-api"], "operator": ["cw-cronwright-operator", "cronwright-operator-lease"]}[part]
    )
    named = chart.render({f"{part}.serviceAccount": {"create": True, "name": "mine", "annotations": {"a": "b"}}})
    assert named.one("ServiceAccount", "mine")["metadata"]["annotations"] == {"a": "b"}


def test_a_pod_of_the_api_drains_before_it_ends() -> None:
    spec = chart.render({"api.drainSeconds": 9}).pod_templates()["cronwright-api"]["spec"]
    assert spec["containers"][0]["lifecycle"] == {"preStop": {"exec": {"command": ["sleep", "9"]}}}
    assert spec["terminationGracePeriodSeconds"] == 49
    spec = chart.render({"api.drainSeconds": 0}).pod_templates()["cronwright-api"]["spec"]
    assert "lifecycle" not in spec["containers"][0]


def test_the_ingress_publishes_the_api_and_nothing_else() -> None:
    options = {
        "enabled": True,
        "className": "nginx",
        "hosts": ["a.example", "b.example"],
        "path": "/cron",
        "annotations": {"x": "y"},
        "tls": [{"secretName": "s", "hosts": ["a.example"]}],
    }
    (ingress,) = chart.render({"api.ingress": options}).of("Ingress")
    assert ingress["metadata"]["annotations"] == {"x": "y"}
    backend = {"service": {"name": "cronwright-api", "port": {"name": "http"}}}
    path = {"path": "/cron", "pathType": "Prefix", "backend": backend}
    assert ingress["spec"] == {
        "ingressClassName": "nginx",
        "rules": [{"host": host, "http": {"paths": [path]}} for host in ("a.example", "b.example")],
        "tls": options["tls"],
    }


def policies(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    rendered = chart.render({"networkPolicy.enabled": True, **values})
    pods = rendered.pod_templates()
    result = {}
    for policy in rendered.of("NetworkPolicy"):
        labels = pods[policy["metadata"]["name"]]["metadata"]["labels"]
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        result[policy["metadata"]["name"].removeprefix("cronwright-")] = policy["spec"]
    return result


def ports(rules: list[dict[str, Any]]) -> list[Any]:
    return [port["port"] for rule in rules for port in rule["ports"]]


def test_network_policies_name_what_each_pod_needs() -> None:
    found = policies({"auth.jwks.url": "https://sso.example:8443/keys", "nodeMetrics.enabled": True})
    assert sorted(found) == ["api", "operator", "postgresql"]
    assert ports(found["api"]["egress"]) == [53, 53, 443, 6443, 5432, 8443]
    assert ports(found["operator"]["egress"]) == [53, 53, 443, 6443, 5432, 10250]
    assert "egress" not in found["postgresql"], "it calls nobody"
    (rule,) = found["postgresql"]["ingress"]
    callers = [peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for peer in rule["from"]]
    assert (callers, ports([rule])) == (["api", "operator"], ["postgresql"])
    assert ports(found["api"]["ingress"]) == ["http", "metrics"]
    assert not any("from" in rule for rule in found["api"]["ingress"])
    assert found["operator"]["ingress"] == [{"ports": [{"port": "health", "protocol": "TCP"}]}]


@pytest.mark.parametrize(
    ("values", "reached"),
    [
        ({}, []),
        ({"nodeMetrics.enabled": True}, [10250]),
        ({"logs.kubeletFiles": True}, [10250]),
        ({"logs.kubeletFiles": True, "kubelet.port": 10251}, [10250, 10251]),
    ],
)
def test_network_policies_let_the_operator_reach_kubelets_where_it_asks_them(
    values: dict[str, Any], reached: list[int]
) -> None:
    assert ports(policies(values)["operator"]["egress"])[5:] == reached


@pytest.mark.parametrize(
    ("url", "port"), [("https://sso.example/keys", 443), ("http://sso.example/keys", 80), ("https://[::1]:7/k", 7)]
)
def test_the_port_of_the_key_set_follows_its_address(url: str, port: int) -> None:
    found = policies({"auth.jwks.url": url, "auth.jwks.allowHttp": True})
    assert ports(found["api"]["egress"])[-1] == port
    assert port not in ports(found["operator"]["egress"]) or port == 443


def test_network_policies_follow_their_peers() -> None:
    peer = {"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}
    block = {"ipBlock": {"cidr": "10.0.0.1/32"}}
    found = policies(
        {
            "networkPolicy.apiFrom": [peer],
            "networkPolicy.metricsFrom": [peer],
            "networkPolicy.apiServer": {"to": [block], "ports": [6443]},
            "networkPolicy.database": {"to": [block], "port": 6432},
            "networkPolicy.extraEgress": [{"to": [block]}],
            "postgresql.enabled": False,
            "database.existingSecret.name": "my-db",
        }
    )
    assert sorted(found) == ["api", "operator"]
    for part in found.values():
        assert all(rule["from"][0] == peer for rule in part["ingress"])
        assert part["ingress"][0]["from"][1]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "test"
        server, database, extra = part["egress"][1:]
        assert server == {"ports": [{"port": 6443, "protocol": "TCP"}], "to": [block]}
        assert database == {"ports": [{"port": 6432, "protocol": "TCP"}], "to": [block]}
        assert extra == {"to": [block]}


SERVICE_MONITOR = {
    # The fields of monitoring.coreos.com/v1 that are used, as the Prometheus operator's API reference describes them.
    "type": "object",
    "additionalProperties": False,
    "required": ["selector", "endpoints"],
    "properties": {
        "selector": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"matchLabels": {"type": "object", "additionalProperties": {"type": "string"}}},
        },
        "endpoints": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["port"],
                "properties": {
                    "port": {"type": "string"},
                    "path": {"type": "string", "pattern": "^/"},
                    "interval": {"type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$"},
                    "scrapeTimeout": {"type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$"},
                },
            },
        },
    },
}


def test_service_monitors_meet_services_and_their_crd() -> None:
    rendered = chart.render({"metrics.serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}})
    monitors = rendered.of("ServiceMonitor")
    assert {item["metadata"]["name"] for item in monitors} == {"cronwright-api", "cronwright-operator"}
    for monitor in monitors:
        assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
        assert monitor["metadata"]["labels"]["release"] == "prometheus"
        jsonschema.validate(monitor["spec"], SERVICE_MONITOR)
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        (endpoint,) = monitor["spec"]["endpoints"]
        services = [item for item in rendered.of("Service") if wanted <= item["metadata"]["labels"].items()]
        named = [item for item in services if endpoint["port"] in {port["name"] for port in item["spec"]["ports"]}]
        (service,) = named
        assert service["spec"]["clusterIP"] == "None", "each Pod is asked"
        ports_of_pods = rendered.pod_templates()[monitor["metadata"]["name"]]["spec"]["containers"][0]["ports"]
        assert service["spec"]["ports"][0]["targetPort"] in {port["name"] for port in ports_of_pods}


HOOK = "helm.sh/hook"


def test_the_test_of_the_release_asks_its_own_services() -> None:
    rendered = chart.render({"api.service.port": 8080, "operator.healthPort": 9000})
    pod = rendered.one("Pod", "cronwright-test")
    assert pod["metadata"]["annotations"][HOOK] == "test"
    (container,) = pod["spec"]["containers"]
    compile(container["args"][0], "helm-test.py", "exec")
    assert container["args"][1:] == ["http://cronwright-api.cw:8080", "http://cronwright-operator.cw:9000"]
    assert pod["spec"]["automountServiceAccountToken"] is False


def test_uninstalling_can_suspend_what_goes_on_firing() -> None:
    rendered = chart.render({"uninstall.suspendCronJobs": True, "settings.ignoreNamespaces": ["other"]})
    hooks = [item for item in rendered.objects if item["metadata"].get("annotations", {}).get(HOOK) == "post-delete"]
    assert {item["kind"] for item in hooks} == {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Job"}
    job = rendered.one("Job", "cronwright-uninstall")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["release", "--suspend-cronjobs", "--all"]
    assert container["env"] == [{"name": "CRONWRIGHT_IGNORE_NAMESPACES", "value": "other"}]
    # The account and its rights are there before the Job.
    weights = {item["kind"]: int(item["metadata"]["annotations"]["helm.sh/hook-weight"]) for item in hooks}
    assert max(value for kind, value in weights.items() if kind != "Job") < weights["Job"]
    assert all("hook-succeeded" in item["metadata"]["annotations"]["helm.sh/hook-delete-policy"] for item in hooks)


def test_uninstalling_reaches_no_further_than_the_operator_did() -> None:
    rendered = chart.render(
        {"uninstall.suspendCronJobs": True, "settings.namespace": "a", "settings.watchNamespaces": ["a", "b"]}
    )
    assert rendered.of("ClusterRole") == rendered.of("ClusterRoleBinding") == []
    roles = [item for item in rendered.of("Role") if item["metadata"]["name"] == "cronwright-uninstall"]
    assert [item["metadata"]["namespace"] for item in roles] == ["a", "b"]
    (container,) = rendered.one("Job", "cronwright-uninstall")["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["release", "--suspend-cronjobs", "--namespace=a", "--namespace=b"]


def test_pods_of_hooks_run_where_the_operator_may() -> None:
    placed = {"nodeSelector": {"disk": "fast"}, "tolerations": [{"key": "dedicated", "operator": "Exists"}]}
    rendered = chart.render(
        {f"operator.{key}": value for key, value in placed.items()} | {"uninstall.suspendCronJobs": True}
    )
    templates = rendered.pod_templates()
    for name in ("cronwright-uninstall", "cronwright-test"):
        assert {key: templates[name]["spec"][key] for key in placed} == placed


def test_another_authority_of_the_kubelets_begins_new_pods() -> None:
    def annotations(authority: str) -> dict[str, str]:
        bundle = f"-----BEGIN CERTIFICATE-----\n{authority}" if authority else ""
        rendered = chart.render({"logs.kubeletFiles": True, "kubelet.caBundle": bundle})
        found: dict[str, str] = rendered.pod_templates()["cronwright-operator"]["metadata"].get("annotations", {})
        return found

    assert annotations("one") != annotations("two")
    assert annotations("") == {}


def test_two_namespaces_never_share_an_object_of_the_cluster() -> None:
    def names(namespace: str) -> set[str]:
        objects = chart.render(namespace=namespace, kube_version="1.30.0").objects
        scoped = [item for item in objects if item["kind"] != "CustomResourceDefinition"]
        return {item["metadata"]["name"] for item in scoped if "namespace" not in item["metadata"]}

    first, second = (names("n" * 60 + suffix) for suffix in ("a", "b"))
    assert first
    assert second
    assert not first & second


def test_a_dashboard_needs_no_label() -> None:
    rendered = chart.render({"metrics.dashboard": {"enabled": True, "labels": None}})
    assert rendered.one("ConfigMap", "cronwright-dashboard")["data"]


def test_labels_of_ones_own_are_on_everything() -> None:
    rendered = chart.render({"commonLabels": {"team": "platform"}})
    assert {item["metadata"]["labels"].get("team") for item in rendered.objects} == {"platform"}
    for workload in rendered.of("Deployment") + rendered.of("StatefulSet"):
        assert "team" not in workload["spec"]["selector"]["matchLabels"], "a selector cannot be changed"


@pytest.mark.parametrize(
    ("values", "selected"),
    [
        ({}, None),
        ({"settings.watchNamespaces": ["cw", "b"]}, ("In", ["cw", "b"])),
        ({"settings.ignoreNamespaces": ["other"]}, ("NotIn", ["other"])),
    ],
)
def test_admission_policies_judge_only_what_is_served(
    values: dict[str, Any], selected: tuple[str, list[str]] | None
) -> None:
    rendered = chart.render({"api.serviceAccount.name": "mine", **values}, kube_version="1.30.0")
    policies = rendered.of("ValidatingAdmissionPolicy")
    assert policies
    for policy in policies:
        selector = policy["spec"]["matchConstraints"].get("namespaceSelector")
        rule = selector["matchExpressions"][0] if selector else None
        assert (rule and (rule["operator"], rule["values"])) == selected
    conditions = str([policy["spec"].get("matchConditions") for policy in policies])
    assert "system:serviceaccount:cw:mine" in conditions, "the API of this release is let through"
