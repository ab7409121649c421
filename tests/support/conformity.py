"""Whether an answer is what an example shows: each field present, of the same type and form, equal where it can be."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Comparison:
    """How an answer is compared with an example.

    `texts` are parts of the example's texts that stand for others here (`exec-20240101-001` for the real id); `values`
    are the values of keys that are other here (`project_id`).
    `measured` names the keys whose value is a fact of the moment: its type and form count, not the value.
    `nullable` names the keys that may be null although the example shows a value.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    measured: Container[str] = ()
    nullable: Container[str] = ()

    def differences(self, example: Any, answer: Any, path: str = "") -> list[str]:
        """What is missing or other in `answer`, one line each; additional keys are no difference."""
        key = re.sub(r"\[\d+\]$", "", path).rsplit(".", 1)[-1]
        if answer is None and key in self.nullable:
            return []
        if isinstance(example, dict):
            return self._of_object(example, answer, path)
        if isinstance(example, list):
            return self._of_list(example, answer, path, by_position=key not in self.measured)
        return self._of_value(example, answer, path, key)

    def _of_object(self, example: Mapping[str, Any], answer: Any, path: str) -> list[str]:
        if not isinstance(answer, dict):
            return [f"{path}: an object is expected, not {answer!r}"]
        found = [f"{path}.{key}: is missing" for key in example if key not in answer]
        for key in example.keys() & answer.keys():
            found += self.differences(example[key], answer[key], f"{path}.{key}")
        return found

    def _of_list(self, example: list[Any], answer: Any, path: str, *, by_position: bool) -> list[str]:
        if not isinstance(answer, list):
            return [f"{path}: a list is expected, not {answer!r}"]
        if not answer:
            return [f"{path}: is empty, so its items prove nothing"] if example else []
        if by_position and not isinstance(example[0], dict):
            return [] if answer == example else [f"{path}: {example!r} is expected, not {answer!r}"]
        return [
            line for index, item in enumerate(answer) for line in self.differences(example[0], item, f"{path}[{index}]")
        ]

    def _of_value(self, example: Any, answer: Any, path: str, key: str) -> list[str]:
        if key in self.measured:
            return [] if _same_form(example, answer) else [f"{path}: {answer!r} is not of the form of {example!r}"]
        expected = self.values[key] if key in self.values else self._mapped(example)
        if type(expected) is type(answer) and expected == answer:
            return []
        return [f"{path}: {expected!r} is expected, not {answer!r}"]

    def _mapped(self, example: Any) -> Any:
        if isinstance(example, str):
            for old, new in self.texts.items():
                example = example.replace(old, new)
        return example


def _same_form(example: Any, answer: Any) -> bool:
    if example is None:
        return answer is None or isinstance(answer, str)
    if isinstance(example, bool):
        return isinstance(answer, bool)
    if isinstance(example, int):
        return isinstance(answer, int) and not isinstance(answer, bool)
    if isinstance(example, float):
        return isinstance(answer, int | float) and not isinstance(answer, bool)
    for form in (TIME, DATE):
        if form.fullmatch(example):
            return isinstance(answer, str) and form.fullmatch(answer) is not None
    return isinstance(answer, str)
