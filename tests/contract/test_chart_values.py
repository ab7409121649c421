"""The chart refuses values that cannot work, with a message that says what to do."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml

from support import chart


def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((chart.CHART / "values.schema.json").read_text())
    return loaded


def test_the_defaults_satisfy_the_schema() -> None:
    jsonschema.Draft7Validator.check_schema(schema())
    jsonschema.validate(yaml.safe_load((chart.CHART / "values.yaml").read_text()), schema())


def test_schema_and_values_name_the_same_keys() -> None:
    def compare(properties: dict[str, Any], values: dict[str, Any], path: str) -> list[str]:
        different = [f"{path}.{key}" for key in set(properties) ^ set(values)]
        for key in set(properties) & set(values):
            if "properties" in properties[key] and isinstance(values[key], dict):
                different += compare(properties[key]["properties"], values[key], f"{path}.{key}")
        return different

    assert compare(schema()["properties"], yaml.safe_load((chart.CHART / "values.yaml").read_text()), "") == []


def test_every_object_of_the_schema_is_closed() -> None:
    def closed(node: dict[str, Any], path: str) -> list[str]:
        opened = [] if "properties" not in node or node.get("additionalProperties") is False else [path]
        return opened + [
            item for key, child in node.get("properties", {}).items() for item in closed(child, f"{path}.{key}")
        ]

    assert closed(schema(), "") == []


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"replicas": 2}, "replicas"),
        ({"api.replica": 2}, "replica"),
        ({"api.replicas": "2"}, "/api/replicas"),
        ({"api.replicas": -1}, "/api/replicas"),
        ({"api.service.type": "Nodeport"}, "/api/service/type"),
        ({"api.service.nodePort": 80}, "/api/service/nodePort"),
        ({"api.service.port": 70000}, "/api/service/port"),
        ({"api.rootPath": "cron/"}, "/api/rootPath"),
        ({"image.pullPolicy": "always"}, "/image/pullPolicy"),
        ({"image.repository": ""}, "/image/repository"),
        ({"image.repository": "a@sha256:1"}, "/image/repository"),
        ({"image.digest": "abc"}, "/image/digest"),
        ({"settings.logLevel": "debug"}, "/settings/logLevel"),
        ({"settings.watchNamespaces": "a,b"}, "/settings/watchNamespaces"),
        ({"settings.watchNamespaces": ["a", "a"]}, "/settings/watchNamespaces"),
        ({"settings.watchNamespaces": ["A"]}, "/settings/watchNamespaces"),
        ({"settings.defaultTimeZone": ""}, "/settings/defaultTimeZone"),
        ({"settings.keepFinishedSeconds": 1.5}, "/settings/keepFinishedSeconds"),
        ({"settings.keepFinishedPods": 12500}, "/settings/keepFinishedPods"),
        ({"retention.days": -1}, "/retention/days"),
        ({"settings.logPollSeconds": 0}, "/settings/logPollSeconds"),
        ({"operator.healthPort": 80}, "/operator/healthPort"),
        ({"auth.jwks.url": "ftp://sso/keys"}, "/auth/jwks/url"),
        ({"auth.jwks.url": "https://me:secret@sso/keys"}, "/auth/jwks/url"),
        ({"auth.jwks.refreshSeconds": 1}, "/auth/jwks/refreshSeconds"),
        ({"auth.jwks.file.kind": "File"}, "/auth/jwks/file/kind"),
        ({"auth.jwks.file.key": "../x"}, "/auth/jwks/file/key"),
        ({"auth.rolesClaim": ""}, "/auth/rolesClaim"),
        ({"postgresql.storage.size": "8 GB"}, "/postgresql/storage/size"),
        ({"postgresql.username": "a b"}, "/postgresql/username"),
        ({"postgresql.service.type": "LoadBalancer"}, "/postgresql/service/type"),
        ({"api.resources": {"request": {}}}, "/api/resources"),
        ({"crds.enabled": "yes"}, "/crds/enabled"),
        ({"commonLabels": {"app.kubernetes.io/name": "x"}}, "/commonLabels"),
        ({"api.podLabels": {"a": "not a label"}}, "/api/podLabels"),
        ({"api.extraEnv": [{"name": "DATABASE_URL", "value": "x"}]}, "/api/extraEnv"),
        ({"api.extraVolumes": [{"name": "tmp", "emptyDir": {}}]}, "/api/extraVolumes"),
        ({"operator.extraVolumeMounts": [{"name": "a"}]}, "/operator/extraVolumeMounts"),
        ({"operator.topologySpreadConstraints": [{"topologyKey": "zone"}]}, "/operator/topologySpreadConstraints"),
        ({"api.podDisruptionBudget.maxUnavailable": "200%"}, "/api/podDisruptionBudget/maxUnavailable"),
        ({"api.ingress.hosts": ["https://a.example"]}, "/api/ingress/hosts"),
        ({"networkPolicy.apiFrom": [{"pods": {}}]}, "/networkPolicy/apiFrom"),
        ({"metrics.serviceMonitor.interval": "30"}, "/metrics/serviceMonitor/interval"),
        ({"settings.ignoreNamespaces": ["A"]}, "/settings/ignoreNamespaces"),
    ],
)
def test_bad_values_are_refused_by_name(values: dict[str, Any], part: str) -> None:
    with pytest.raises(chart.RenderError, match="values don't meet the specifications") as caught:
        chart.render(values)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ({"database.existingSecret.name": "x"}, "Add --set postgresql.enabled=false"),
        ({"postgresql.enabled": False}, "set database.existingSecret.name"),
        ({"settings.watchNamespaces": ["other"]}, 'does not name "cw"'),
        ({"auth.secretKeys": False}, "neither auth.jwks.url nor auth.jwks.file.name"),
        ({"auth.jwks.url": "http://sso/keys"}, "auth.jwks.allowHttp=true"),
        ({"auth.jwks.url": "https://sso/keys", "auth.jwks.file.name": "keys"}, "Leave one of them empty"),
        ({"settings.watchNamespaces": ["cw"], "settings.namespace": "b"}, 'does not name "b"'),
        ({"settings.watchNamespaces": ["cw"], "settings.ignoreNamespaces": ["b"]}, "are both set"),
        ({"settings.ignoreNamespaces": ["cw"]}, 'names "cw", where tasks made by REST are kept'),
        ({"operator.serviceAccount.create": False}, "operator.serviceAccount.name must name one of yours"),
        ({"api.ingress.enabled": True}, "name at least one host"),
        ({"api.autoscaling": {"enabled": True, "minReplicas": 9}}, "is more than api.autoscaling.maxReplicas"),
        ({"api.autoscaling.enabled": True, "api.resources.requests.cpu": None}, "needs api.resources.requests.cpu"),
        ({"api.autoscaling.enabled": True, "api.resources": None}, "needs api.resources.requests.cpu"),
        ({"image.tag": "7", "image.digest": "sha256:" + "a" * 64}, "the digest would win"),
        ({"metrics.serviceMonitor": {"enabled": True, "interval": "9s500ms"}}, "scrapeTimeout is longer than"),
    ],
)
def test_values_that_contradict_each_other_say_what_to_do(values: dict[str, Any], advice: str) -> None:
    with pytest.raises(chart.RenderError) as caught:
        chart.render(values)
    assert advice in str(caught.value)


def test_a_release_whose_services_could_not_be_made_is_refused() -> None:
    with pytest.raises(chart.RenderError, match="set fullnameOverride"):
        chart.render(release="9lives")
    assert chart.render({"fullnameOverride": "nine"}, release="9lives").one("Service", "nine-api")


def test_a_dot_in_the_releases_name_is_none_in_those_of_its_objects() -> None:
    assert chart.render(release="my.cronwright").one("Service", "my-cronwright-api")
