"""An execution's log as it grows: server-sent events, an addition to the document."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from cronwright_api import messages
from cronwright_api.auth import CurrentUser
from cronwright_api.bodies import invalid
from cronwright_api.deps import AttemptNumber, CurrentBackends, ExecutionId
from cronwright_api.live.events import END_ID
from cronwright_api.live.log_stream import LogRequest, LogStream
from cronwright_api.services.executions import find_execution
from cronwright_core.domain.errors import FieldError
from cronwright_core.domain.log_position import LogPosition, parse_position
from cronwright_core.store.logs import SHOWN
from cronwright_core.store.records.logs import LogType

LAST_EVENT_ID = "Last-Event-ID"
router = APIRouter(prefix="/executions", tags=["executions"])
_EXAMPLE = """retry: 2000

event: attempt
data: {"attempt":1}
id: 1-stdout-0

data: {"attempt":1,"line":1,"content":"2024-01-01 02:00:01 [INFO] 开始执行数据同步任务"}
id: 1-stdout-1

: heartbeat

event: end
data: {"execution_id":"exec-20240101020000-0123456789abcdef","status":"SUCCESS","exit_code":0,"reason":null,\
"log_incomplete":false}
id: end

"""
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "事件流：`attempt`、日志行（无事件名）、`end` 或 `expired`",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    },
    204: {"description": "日志已全部发送（`Last-Event-ID: end`），无需重连"},
}


@router.get(
    "/{execution_id}/logs/stream", summary="实时查看执行日志", response_class=StreamingResponse, responses=_ANSWERS
)
def stream_log(
    user: CurrentUser,
    backends: CurrentBackends,
    execution_id: ExecutionId,
    log_type: Annotated[LogType, Query(description="日志类型")] = "output",
    attempt: AttemptNumber = None,
    last_event_id: Annotated[
        str | None, Header(alias=LAST_EVENT_ID, max_length=64, description="从此事件之后继续，不重复也不遗漏")
    ] = None,
) -> Response:
    """Server-sent events from the stored log, from its first line (or `Last-Event-ID`) on; the same while the execution
    runs and after.

    Each line is one event; its id is a position, with which a client that was cut off goes on. `attempt` comes before
    the first line of each attempt. `end` tells the final status once everything is sent; then the stream closes. A
    comment comes every 15 seconds. When the token expires the stream closes after an event `expired`.
    """
    find_execution(backends, user, execution_id, attempt)
    if last_event_id == END_ID:
        # The only answer upon which a browser's EventSource does not come back.
        return Response(status_code=204)
    after = _position(last_event_id, log_type, attempt)
    return LogStream(backends.live, user, LogRequest(execution_id, log_type, attempt, after))


def _position(text: str | None, log_type: LogType, attempt: int | None) -> LogPosition | None:
    if not text:
        return None
    position = parse_position(text)
    if position is None or position.stream not in SHOWN[log_type] or attempt not in (None, position.attempt):
        raise invalid([FieldError(LAST_EVENT_ID, messages.LAST_EVENT_ID)])
    return position
