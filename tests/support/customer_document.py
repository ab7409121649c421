"""The customer's document (docs/reference/customer-api.zh.md), read: nothing of it is copied by hand into a test.

An endpoint is a section `### N. title` with its method and path in bold; below it stand sections `#### ...` with lists
of parameters, a body, a curl command and an answer. What cannot be read raises, so that no part is passed over unseen.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

FILE = Path(__file__).parents[2] / "docs" / "reference" / "customer-api.zh.md"
_ENDPOINT = re.compile(r"^### (\d+)\. (.+)$", re.M)
_METHOD = re.compile(r"^\*\*([A-Z]+)\*\* `([^`]+)`$", re.M)
_PART = re.compile(r"^#### (.+)$", re.M)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_PARAMETER = re.compile(r"^- `(\w+)` \((\w+)(?:, (必需|可选))?\): (.+)$", re.M)
_PLACES = {"路径参数": "path", "查询参数": "query", "请求参数说明": "body"}


@dataclass(frozen=True)
class Parameter:
    """One line of a list of parameters; a bound or default that the line does not name is None."""

    name: str
    place: str
    type: str
    required: bool
    default: Any = None
    minimum_length: int | None = None
    maximum_length: int | None = None
    maximum: int | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """A curl command: `path` is relative to the host, `query` what follows the question mark."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: dict[str, Any] | None


@dataclass(frozen=True)
class Endpoint:
    """One of the numbered endpoints; `answer` is the whole JSON of its example."""

    number: int
    title: str
    method: str
    path: str
    parameters: tuple[Parameter, ...]
    body: dict[str, Any] | None
    request: Request
    answer: dict[str, Any]


@dataclass(frozen=True)
class Document:
    """All that the document says in a form that a program can compare."""

    base_path: str
    endpoints: tuple[Endpoint, ...]
    frame: tuple[str, ...]
    """Keys of the common frame of an answer."""
    statuses: tuple[str, ...]
    schedule_types: tuple[str, ...]
    cron_examples: tuple[str, ...]
    interval_example: str
    minimum_interval: int
    date_example: str
    error_codes: dict[int, str]
    error: dict[str, Any]

    def endpoint(self, number: int) -> Endpoint:
        """The endpoint of that number."""
        return next(endpoint for endpoint in self.endpoints if endpoint.number == number)


@lru_cache(maxsize=1)
def read() -> Document:
    """The document of this repository."""
    return parse(FILE.read_text(encoding="utf-8"))


def examples() -> dict[str, Any]:
    """What the API shows of the document in its OpenAPI document; `make openapi` keeps it as a file in the package."""
    found: dict[str, Any] = {"error": read().error}
    for endpoint in read().endpoints:
        requests = {"请求体": endpoint.body, "请求示例": endpoint.request.body}
        found[f"{endpoint.method} {endpoint.path}"] = {
            "requests": {title: body for title, body in requests.items() if body is not None},
            "answer": endpoint.answer,
        }
    return found


def parse(text: str) -> Document:
    """Reads the Markdown.

    Raises:
        ValueError, KeyError: a part is missing or not written as the others are.
    """
    chapters = dict(_cut(text, re.compile(r"^## (.+)$", re.M)))
    schedules = dict(_cut(chapters["调度配置说明"], re.compile(r"^### (.+)$", re.M)))
    errors = dict(_cut(chapters["错误处理"], re.compile(r"^### (.+)$", re.M)))
    enums = _enums(chapters["任务状态枚举"])
    return Document(
        base_path=_only(r"：`([^`]+)`", chapters["基础路径"]),
        endpoints=tuple(_endpoint(*item) for item in _numbered(chapters["API 接口"])),
        frame=tuple(re.findall(r'^    "(\w+)":', chapters["响应格式"], re.M)),
        statuses=enums["TaskStatus"],
        schedule_types=enums["ScheduleType"],
        cron_examples=tuple(re.findall(r"^- `([^`]+)`:", schedules["常用CRON示例"], re.M)),
        interval_example=_only(r"`(\d+)`", schedules["间隔调度格式"]),
        minimum_interval=int(_only(r"最小间隔为(\d+)秒", schedules["间隔调度格式"])),
        date_example=_only(r"`([^`]+)`", schedules["日期调度格式"]),
        error_codes={int(c): t for c, t in re.findall(r"^- \*\*(\d+) [^*]+\*\*: (.+)$", errors["常见错误码"], re.M)},
        error=json.loads(_fenced(errors["错误响应示例"], "json")),
    )


def _endpoint(number: int, title: str, text: str) -> Endpoint:
    parts = dict(_cut(text, _PART))
    head = _METHOD.search(text)
    if head is None:
        raise ValueError(f"endpoint {number} has no line with method and path")
    known = {*_PLACES, "请求体", "请求示例", "响应示例"}
    if not parts.keys() <= known:
        raise ValueError(f"endpoint {number} has parts that nothing reads: {parts.keys() - known}")
    return Endpoint(
        number=number,
        title=title,
        method=head[1],
        path=head[2],
        parameters=tuple(
            parameter for name, place in _PLACES.items() if name in parts for parameter in _listed(parts[name], place)
        ),
        body=json.loads(_fenced(parts["请求体"], "json")) if "请求体" in parts else None,
        request=_curl(_fenced(parts["请求示例"], "bash")),
        answer=json.loads(_fenced(parts["响应示例"], "json")),
    )


def _listed(text: str, place: str) -> list[Parameter]:
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    found = [_parameter(match, place) for match in _PARAMETER.finditer(text)]
    if len(found) != len(lines):
        raise ValueError(f"of {len(lines)} parameters {len(found)} could be read:\n{text}")
    return found


def _parameter(match: re.Match[str], place: str) -> Parameter:
    name, kind, duty, text = match.groups()
    length = re.search(r"(\d+)-(\d+)字符", text)
    maximum = re.search(r"最大(\d+)", text)
    default = re.search(r"默认\s*`?(\w+?)`?(?:秒|$|，)", text)
    choice = re.search(r"\((`.+`)\)", text)
    return Parameter(
        name=name,
        place=place,
        type=kind,
        required=duty == "必需",
        default=None if default is None else _value(default[1], kind),
        minimum_length=int(length[1]) if length else None,
        maximum_length=int(length[2]) if length else None,
        maximum=int(maximum[1]) if maximum else None,
        values=tuple(re.findall(r"`(\w+)`", choice[1])) if choice else (),
    )


def _value(text: str, kind: str) -> Any:
    return text if kind == "string" else json.loads(text)


def _curl(command: str) -> Request:
    words = shlex.split(command.replace("\\\n", " "))
    if words.pop(0) != "curl":
        raise ValueError(f"not a curl command: {command}")
    method, url, headers, body = "GET", "", {}, None
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = json.loads(words.pop(0))
        elif word.startswith("-"):
            raise ValueError(f"an option of curl that nothing reads: {word}")
        else:
            url = word
    parts = urlsplit(url)
    return Request(method, parts.path, dict(parse_qsl(parts.query)), headers, body)


def _numbered(text: str) -> Iterator[tuple[int, str, str]]:
    matches = list(_ENDPOINT.finditer(text))
    for match, following in zip(matches, [*matches[1:], None], strict=True):
        yield int(match[1]), match[2], text[match.end() : following.start() if following else len(text)]


def _cut(text: str, heading: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    matches = list(heading.finditer(text))
    for match, following in zip(matches, [*matches[1:], None], strict=True):
        yield match[1].strip(), text[match.end() : following.start() if following else len(text)]


def _enums(text: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for line in _fenced(text, "python").splitlines():
        if line.endswith(":"):
            found[line[:-1]] = []
        elif line.startswith("- "):
            found[list(found)[-1]].append(line[2:].split(":")[0])
    return {name: tuple(values) for name, values in found.items()}


def _fenced(text: str, language: str) -> str:
    for kind, content in _FENCE.findall(text):
        if kind == language:
            return str(content)
    raise ValueError(f"no {language} block in: {text[:200]}")


def _only(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise ValueError(f"{pattern} is not in: {text[:200]}")
    return match[1]


if __name__ == "__main__":
    print(json.dumps(examples(), ensure_ascii=False, indent=1))
