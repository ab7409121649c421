"""On which nodes the Pods of a Project's tasks run, and what they say of themselves to others.

What a Pod would be refused for is refused in the Project already. The CRD has the same rules
(`tests/support/bad_inputs.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cronwright_core.domain.errors import FieldError, Message
from cronwright_core.domain.project import ProjectSpec

MAX_NODE_LABELS = 16
MAX_TOLERATIONS = 16
MAX_ANNOTATIONS = 32
"""With `ANNOTATION_LENGTH` far below the 256 KiB that all annotations of a Pod may have."""
ANNOTATION_LENGTH = 1024
LABEL_VALUE_LENGTH = 63
MAX_TOLERATION_SECONDS = 2**31 - 1

_PREFIX_LENGTH = 253
_KEY_LENGTH = _PREFIX_LENGTH + 1 + LABEL_VALUE_LENGTH
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_KEY = re.compile(rf"({_LABEL}(\.{_LABEL})*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?")
_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_RESERVED = re.compile(r"([^/]*\.)?(cronwright\.dev|kubernetes\.io|k8s\.io)/")
_AUTOSCALER = "cluster-autoscaler.kubernetes.io/"
"""What users of batch Pods tell it is theirs to say (`safe-to-evict`)."""
_SHOWN = 80


def check_placement(spec: ProjectSpec) -> list[FieldError]:
    """Everything that is wrong with node selector, tolerations and annotations; of what has too many entries that."""
    return [
        *_check_node_selector(spec.node_selector),
        *_check_tolerations(spec.tolerations),
        *_check_annotations(spec.pod_annotations),
    ]


def _check_node_selector(labels: Mapping[str, str]) -> Iterator[FieldError]:
    field, kube_field = "node_selector", "spec.nodeSelector"
    if len(labels) > MAX_NODE_LABELS:
        yield FieldError(field, _too_many(MAX_NODE_LABELS), kube_field)
        return
    for key, value in labels.items():
        if not _is_key(key):
            yield FieldError(field, _no_key(key, "标签", "label"), kube_field)
        elif not _is_label_value(value):
            yield FieldError(field, _of(key, _NO_VALUE), kube_field)


def _check_tolerations(tolerations: tuple[Mapping[str, Any], ...]) -> Iterator[FieldError]:
    if len(tolerations) > MAX_TOLERATIONS:
        yield FieldError("tolerations", _too_many(MAX_TOLERATIONS), "spec.tolerations")
        return
    for number, toleration in enumerate(tolerations):
        for name, message in _check_toleration(toleration):
            yield FieldError(f"tolerations.{number}.{name}", message, f"spec.tolerations[{number}].{name}")


def _check_toleration(toleration: Mapping[str, Any]) -> Iterator[tuple[str, Message]]:
    key, value = toleration.get("key", ""), toleration.get("value", "")
    exists = toleration.get("operator") == "Exists"
    if key and not _is_key(key):
        yield "key", _no_key(key, "污点", "taint")
    if not key and not exists:
        yield "operator", _KEYLESS
    if value and exists:
        yield "value", _EXISTS_WITH_VALUE
    elif not _is_label_value(value):
        yield "value", _NO_VALUE
    if "tolerationSeconds" in toleration and toleration.get("effect") != "NoExecute":
        yield "tolerationSeconds", _SECONDS_WITHOUT_EXECUTE


def _check_annotations(annotations: Mapping[str, str]) -> Iterator[FieldError]:
    field, kube_field = "pod_annotations", "spec.podAnnotations"
    if len(annotations) > MAX_ANNOTATIONS:
        yield FieldError(field, _too_many(MAX_ANNOTATIONS), kube_field)
        return
    for key, value in annotations.items():
        if not _is_key(key):
            yield FieldError(field, _no_key(key, "注解", "annotation"), kube_field)
        elif _RESERVED.match(key) and not key.startswith(_AUTOSCALER):
            yield FieldError(field, _of(key, _RESERVED_DOMAIN), kube_field)
        elif len(value) > ANNOTATION_LENGTH:
            yield FieldError(field, _of(key, _ANNOTATION_TOO_LONG), kube_field)


def _is_key(key: str) -> bool:
    """Kubernetes' "qualified name": an optional DNS name and a slash, then a name of at most 63 characters."""
    # The length first: a body may hold a key of 1 MB.
    return len(key) <= _KEY_LENGTH and _KEY.fullmatch(key) is not None and key.find("/") <= _PREFIX_LENGTH


def _is_label_value(value: str) -> bool:
    return len(value) <= LABEL_VALUE_LENGTH and _VALUE.fullmatch(value) is not None


def _too_many(count: int) -> Message:
    return Message(f"不能超过{count}项", f"must not have more than {count} items")


def _no_key(key: str, zh: str, en: str) -> Message:
    return _of(
        key,
        Message(f"不是有效的{zh}键，如 team 或 example.com/team", f"is no {en} key, such as team or example.com/team"),
    )


def _of(key: str, message: Message) -> Message:
    shown = key if len(key) <= _SHOWN else key[:_SHOWN] + "…"
    return Message(f"{shown}：{message.zh}", f"{shown}: {message.en}")


_NO_VALUE = Message(
    f"值最多{LABEL_VALUE_LENGTH}个字符，只能包含字母、数字、-、_ 和 .，且以字母或数字开头和结尾",
    f"a value has at most {LABEL_VALUE_LENGTH} letters, digits, -, _ and ., and begins and ends with a letter or digit",
)
_KEYLESS = Message("没有key时必须为Exists（容忍所有污点）", "must be Exists without a key, which tolerates every taint")
_EXISTS_WITH_VALUE = Message("operator为Exists时不能有值", "the operator Exists has no value")
_SECONDS_WITHOUT_EXECUTE = Message("仅在effect为NoExecute时可用", "needs the effect NoExecute")
_RESERVED_DOMAIN = Message(
    "不能设置cronwright.dev、kubernetes.io和k8s.io域的注解",
    "annotations of cronwright.dev, kubernetes.io and k8s.io cannot be set",
)
_ANNOTATION_TOO_LONG = Message(f"不能超过{ANNOTATION_LENGTH}个字符", f"must not exceed {ANNOTATION_LENGTH} characters")
