"""One table of input that is wrong, as it is said through REST and through a manifest: both must refuse the same.

`condition` is the reason of Ready=False for what a schema cannot say: such a resource is stored, and does not run. The
rest is refused at admission. `field` is how REST names what is wrong, `kube_field` how the manifest does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MISSING = object()
"""The field is left out."""


@dataclass(frozen=True)
class Bad:
    """One wrong input: what differs from a good body and from a good spec."""

    rest: dict[str, Any]
    kube: dict[str, Any]
    field: str
    kube_field: str
    condition: str | None = None
    words: str | None = None
    """What both must say, where the words are ours."""


def _number(field: str, kube_field: str, *values: int) -> list[Bad]:
    return [Bad({field: value}, {kube_field: value}, field, f"spec.{kube_field}") for value in values]


def _schedule(type_: str, text: Any, *, condition: str | None = None, words: str | None = None) -> Bad:
    rest = {"schedule_type": type_.upper(), "schedule_config": text}
    return Bad(rest, {"scheduleType": type_, "schedule": text}, "schedule_config", "spec.schedule", condition, words)


def _override(name: str, value: Any, place: str = "") -> Bad:
    return Bad({name: value}, {"overrides": {name: value}}, name, f"spec.overrides.{name}{place}")


def _placement(field: str, kube_field: str, value: Any, place: str = "") -> Bad:
    return Bad({field: value}, {kube_field: value}, field, f"spec.{kube_field}{place}")


def _toleration(place: str, **toleration: Any) -> Bad:
    return _placement("tolerations", "tolerations", [{"key": "ok", "operator": "Exists"}, toleration], f"[1]{place}")


_LONG = "x" * 16385
_NO_KEYS = ("", "a b", "-a", "a/b/c", "/a", "A.b/c", "a..b/c", "x" * 64, "x" * 254 + "/a", "a\n", "ä", "a/" + "x" * 64)
"""No keys of labels, nor of annotations."""
_NO_LABEL_VALUES = ("a b", "-a", "a.", "x" * 64, "a\n", "ä")
TASKS: list[Bad] = [
    *(
        Bad({"name": name}, {"displayName": name}, "name", "spec.displayName")
        for name in ("ab", "x" * 51, "a\u0007bc", "abc\u200bd", "a\ue000bc", "ab\u0378c")
    ),
    Bad({"name": MISSING}, {"displayName": "ab"}, "name", "spec.displayName"),
    Bad({"name": 7}, {"displayName": 7}, "name", "spec.displayName"),
    *(
        Bad({"description": text}, {"description": text}, "description", "spec.description")
        for text in ("x" * 2001, 5, "a\0b")
    ),
    Bad({"project_id": MISSING}, {"projectName": MISSING}, "project_id", "spec.projectName"),
    Bad({"project_id": "1"}, {"projectName": 1}, "project_id", "spec.projectName"),
    Bad(
        {"project_id": 10**9},
        {"projectName": "nobody"},
        "project_id",
        "spec.projectName",
        "ProjectNotFound",
        "there is no such project",
    ),
    Bad({"schedule_type": "cron"}, {"scheduleType": "cron"}, "schedule_type", "spec.scheduleType"),
    Bad({"schedule_config": 5}, {"schedule": 5}, "schedule_config", "spec.schedule"),
    *(
        _schedule("Cron", text)
        for text in (
            *("", "* * * *", "0 0 * * * *", "@every 1h", "@reboot", "TZ=UTC * * * *", "CRON_TZ=UTC 0 * * * *"),
            *("0\n0\n*\n*\n*", "0\u30000\u3000*\u3000*\u3000*", "0 0 * * *" + " " * 256, "@hourly @daily"),
        )
    ),
    *(
        _schedule("Cron", text, condition="InvalidSchedule")
        for text in (
            "0 25 * * *",
            "60 * * * *",
            "0 0 30 2 *",
            "0 0 * * 8",
            "a b c d e",
            "0 0 * * FRI-SUN",
            "0 0 L * *",
            "*/0 * * * *",
        )
    ),
    *(_schedule("Interval", text) for text in ("", "59", "31536001", "1h", "-60", "3600.5", " 3600", "9" * 30, "٣٦٠٠")),
    *(
        _schedule("Date", text)
        for text in ("", "tomorrow", "01.02.2099", "2099-1-1", "2099-01-01T15", "20990101T000000Z")
    ),
    *(
        _schedule(type_, text, condition="InvalidSchedule")
        for type_ in ("Date", "Once")
        for text in ("2099-13-01", "2099-02-30T00:00:00Z", "2099-01-01T24:01:00Z", "2099-01-01T00:00:00+99:00")
    ),
    *(
        _schedule(type_, "2020-01-01T00:00:00Z", condition="InvalidSchedule", words="2020-01-01T00:00:00Z")
        for type_ in ("Date", "Once")
    ),
    *(_schedule("Once", text) for text in ("now", "2099-01-01T", " ")),
    *(
        Bad({"time_zone": zone}, {"timeZone": zone}, "time_zone", "spec.timeZone", condition)
        for zone, condition in (
            *(("Mars/Phobos", "InvalidSchedule"), ("Local", "InvalidSchedule"), ("UTC+8", "InvalidSchedule")),
            *(("", None), ("x" * 65, None), (8, None), ("../UTC", None), ("Asia/Shanghai\n", None)),
        )
    ),
    *_number("timeout_seconds", "activeDeadlineSeconds", 0, -1, 2_592_001),
    *_number("max_instances", "maxInstances", 0, 1001),
    *_number("retry_count", "backoffLimit", -1, 101),
    *_number("priority", "priority", -1001, 1001, 2**40),
    *_number("max_queued", "maxQueued", 0, 1001),
    *_number("starting_deadline_seconds", "startingDeadlineSeconds", 0, 31_536_001),
    *_number("pending_deadline_seconds", "pendingDeadlineSeconds", 9, 86_401),
    *_number("spread_seconds", "spreadSeconds", -1, 86_401),
    *(
        Bad(
            {"timeout_seconds": value},
            {"activeDeadlineSeconds": value},
            "timeout_seconds",
            "spec.activeDeadlineSeconds",
        )
        for value in ("3600", 1.5, True)
    ),
    Bad({"is_active": "yes"}, {"suspend": "yes"}, "is_active", "spec.suspend"),
    Bad(
        {"concurrency_policy": "Allow"}, {"concurrencyPolicy": "Allow"}, "concurrency_policy", "spec.concurrencyPolicy"
    ),
    *(_override("image", value) for value in ("", "a b", "a\u00a0b", "a\nb", "x" * 1025, 5)),
    _override("command", "sh"),
    _override("command", [1], "[0]"),
    _override("command", ["x"] * 65),
    _override("args", "sh"),
    _override("args", ["x"] * 257),
    _override("args", ["a\0b"], "[0]"),
    _override("args", [_LONG], "[0]"),
    *(
        _override("env", [{"name": name, "value": "1"}], "[0].name")
        for name in ("", "1A", "A B", "A=B", "ä", "A\n", "x" * 257)
    ),
    _override("env", [{"value": "1"}], "[0].name"),
    _override("env", [{"name": "A", "value": 1}], "[0].value"),
    _override("env", [{"name": "A", "value": "a\0b"}], "[0].value"),
    _override("env", [{"name": "A", "value": _LONG}], "[0].value"),
    _override("env", [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}], "[1]"),
    _override("env", [{"name": f"A{number}", "value": "1"} for number in range(129)]),
    _override("env", [{"name": "A", "valueFrom": {}}], "[0].valueFrom"),
    *(
        _override("resources", {"limits": {"cpu": text}}, ".limits.cpu")
        for text in ("much", "", "1 Gi", "1GB", "-1", -1, "1e", [])
    ),
    _override("resources", {"requests": {"memory": "1Mi\n"}}, ".requests.memory"),
]

PROJECTS: list[Bad] = [
    *(
        Bad({"name": name}, {"displayName": name}, "name", "spec.displayName")
        for name in ("", "x" * 101, "a\u0007b", 7)
    ),
    *(
        Bad({"description": text}, {"description": text}, "description", "spec.description")
        for text in ("x" * 2001, "a\0b")
    ),
    *(
        Bad({"image": image}, {"image": image}, "image", "spec.image")
        for image in (MISSING, "", "a b", "a\u3000b", "a\tb", "x" * 1025, 5)
    ),
    *(Bad({"owner": owner}, {"owner": owner}, "owner", "spec.owner") for owner in ("", "x" * 254, "a\0b")),
    *(
        Bad({"members": members}, {"members": members}, "members", f"spec.members{place}")
        for members, place in ((["x" * 254], "[0]"), ([""], "[0]"), ("alice", ""), ([str(n) for n in range(1001)], ""))
    ),
    Bad(
        {"image_pull_policy": "Sometimes"},
        {"imagePullPolicy": "Sometimes"},
        "image_pull_policy",
        "spec.imagePullPolicy",
    ),
    Bad({"image_pull_secrets": [""]}, {"imagePullSecrets": [""]}, "image_pull_secrets", "spec.imagePullSecrets[0]"),
    *(
        Bad(
            {"service_account_name": name},
            {"serviceAccountName": name},
            "service_account_name",
            "spec.serviceAccountName",
        )
        for name in ("", "x" * 254, "Not A Name")
    ),
    Bad(
        {"security_context": {"runAsUser": 2**31}},
        {"securityContext": {"runAsUser": 2**31}},
        "security_context",
        "spec.securityContext.runAsUser",
    ),
    *_number("max_concurrent_executions", "maxConcurrentExecutions", 0, 100_001),
    *_number("retention_days", "retentionDays", -1, 36_501),
    Bad({"allow_overrides": "yes"}, {"allowOverrides": "yes"}, "allow_overrides", "spec.allowOverrides"),
    Bad({"workspace": {}}, {"workspace": {}}, "workspace", "spec.workspace.claimName"),
    *(
        Bad(
            {"workspace": {"claim_name": claim, "mount_path": path}},
            {"workspace": {"claimName": claim, "mountPath": path}},
            "workspace",
            f"spec.workspace.{name}",
        )
        for claim, path, name in (
            *(("c", "data", "mountPath"), ("c", "/", "mountPath"), ("c", "/a:b", "mountPath"), ("c", "", "mountPath")),
            *(("", "/data", "claimName"), ("A_b", "/data", "claimName")),
        )
    ),
    *(
        Bad(
            {"security_context": {name: -1}},
            {"securityContext": {name: -1}},
            "security_context",
            f"spec.securityContext.{name}",
        )
        for name in ("runAsUser", "runAsGroup", "fsGroup")
    ),
    Bad(
        {"security_context": {"runAsNonRoot": "yes"}},
        {"securityContext": {"runAsNonRoot": "yes"}},
        "security_context",
        "spec.securityContext.runAsNonRoot",
    ),
    Bad({"env": [{"name": "1A", "value": "1"}]}, {"env": [{"name": "1A", "value": "1"}]}, "env", "spec.env[0].name"),
    Bad(
        {"resources": {"limits": {"cpu": "much"}}},
        {"resources": {"limits": {"cpu": "much"}}},
        "resources",
        "spec.resources.limits.cpu",
    ),
    Bad({"args": ["a\0b"]}, {"args": ["a\0b"]}, "args", "spec.args[0]"),
    *(
        _placement(field, kube_field, value)
        for field, kube_field, most in (
            ("node_selector", "nodeSelector", 16),
            ("pod_annotations", "podAnnotations", 32),
        )
        for value in (*({key: "v"} for key in _NO_KEYS), {"a": 1}, "a=b", ["a"], {f"k{n}": "" for n in range(most + 1)})
    ),
    *(_placement("node_selector", "nodeSelector", {"a": value}, ".a") for value in _NO_LABEL_VALUES),
    *(_placement("pod_annotations", "podAnnotations", {"a": value}, ".a") for value in ("x" * 1025, "a\0b")),
    *(
        _placement("pod_annotations", "podAnnotations", {f"{domain}/name": "v"})
        for domain in ("cronwright.dev", "a.cronwright.dev", "kubernetes.io", "a.b.kubernetes.io", "k8s.io", "a.k8s.io")
    ),
    *(_toleration(".key", key=key, operator="Exists") for key in _NO_KEYS if key),
    *(_toleration(".value", key="a", value=value) for value in _NO_LABEL_VALUES),
    *(_toleration("", **toleration) for toleration in ({}, {"value": "v"}, {"key": "", "operator": "Equal"})),
    _toleration("", key="a", operator="Exists", value="v"),
    *(_toleration("", key="a", effect=effect, tolerationSeconds=1) for effect in ("NoSchedule", "PreferNoSchedule")),
    _toleration("", key="a", tolerationSeconds=1),
    *(_toleration(".operator", key="a", operator=word) for word in ("", "exists", "Gt")),
    *(_toleration(".effect", key="a", effect=word) for word in ("", "NoRun")),
    *(_toleration(".tolerationSeconds", key="a", effect="NoExecute", tolerationSeconds=n) for n in (-1, 2**31, "1")),
    _placement("tolerations", "tolerations", [{"key": "a"}] * 17),
    _placement("tolerations", "tolerations", {}),
    _placement("tolerations", "tolerations", ["a"], "[0]"),
]
