"""Every fixed sentence that the API says, in the document's Chinese and in English."""

from __future__ import annotations

from cronwright_core.domain.errors import Message

FETCHED = Message("获取成功", "OK")
TASK_CREATED = Message("任务创建成功", "task created")
TASK_UPDATED = Message("任务更新成功", "task updated")
TASK_DELETED = Message("任务删除成功", "task deleted")
TASK_PAUSED = Message("任务已暂停", "task paused")
TASK_RESUMED = Message("任务已恢复", "task resumed")
TASK_TRIGGERED = Message("任务已触发", "task triggered")
EXECUTION_CANCELLED = Message("已请求取消执行", "the execution is being cancelled")
PROJECT_CREATED = Message("项目创建成功", "project created")
PROJECT_UPDATED = Message("项目更新成功", "project updated")
PROJECT_DELETED = Message("项目删除成功", "project deleted")

INVALID_REQUEST = Message("请求参数错误", "the request is invalid")
INVALID_SCHEDULE = Message("调度配置无效", "the schedule is invalid")
MALFORMED_JSON = Message("请求体不是有效的JSON", "the body is not valid JSON")
NOT_JSON = Message("Content-Type必须是application/json", "the Content-Type must be application/json")
BODY_TOO_LARGE = Message("请求体不能超过1MB", "the body must not exceed 1 MB")
NOT_AN_OBJECT = Message("请求体必须是JSON对象", "the body must be a JSON object")

UNAUTHENTICATED = Message("未认证或token无效", "not authenticated, or the token is invalid")
TOKEN_EXPIRED = Message("token已过期", "the token has expired")
NO_TOKEN = Message("缺少请求头 Authorization: Bearer <token>", "the header Authorization: Bearer <token> is missing")
TOKEN_MALFORMED = Message(
    "不是JWT（应为以点分隔的三段），请检查是否复制完整，或重新获取token",
    "is no JWT (three parts with dots between them); check that it was copied whole, or get a new one",
)
TOKEN_ENDED = Message("有效期已过，请重新获取token", "its time is over; get a new one")
TOKEN_REFUSED = Message(
    "签名、密钥（kid）、有效时间或声明不被接受，请重新获取token；具体原因见服务日志（X-Request-ID）",
    "its signature, key (kid), times or claims are not accepted; get a new one - the API's log says which it was, by"
    " X-Request-ID",
)
ADMIN_ONLY = Message("权限不足：仅管理员可执行此操作", "forbidden: only administrators may do this")
NO_SUCH_ROUTE = Message("请求的接口不存在", "there is no such path")
METHOD_NOT_ALLOWED = Message("请求方法不被允许", "the method is not allowed here")
NO_SUCH_TASK = Message("任务不存在", "there is no such task")
NO_SUCH_ATTEMPT = Message("该执行没有这次尝试", "the execution has no such attempt")
NO_SUCH_PROJECT = Message("项目不存在", "there is no such project")
TOO_MANY_STREAMS = Message("实时日志连接过多，请稍后重试", "too many live logs are open; try again later")
LAST_EVENT_ID = Message(
    "不是此日志流的事件ID，如 1-stdout-57", "is no event id of this log stream, such as 1-stdout-57"
)
CHANGED_MEANWHILE = Message("资源已被同时修改，请重试", "it was changed at the same time; try again")
CLUSTER_UNAVAILABLE = Message(
    "暂时无法连接Kubernetes集群，请稍后重试", "the Kubernetes API server cannot be reached; try again later"
)


def execution_has_ended(status: str) -> Message:
    """The answer to a cancel that comes too late."""
    return Message(f"执行已结束（{status}），无法取消", f"the execution has ended ({status}) and cannot be cancelled")


def workspaces_cleaned(hours: int) -> Message:
    """The document's sentence of endpoint 15."""
    return Message(
        f"清理完成，已删除超过 {hours} 小时的工作目录",
        f"done: workspace directories older than {hours} hours are removed",
    )


def workspaces_being_cleaned(hours: int) -> Message:
    """Endpoint 15 has waited long enough."""
    return Message(
        f"清理尚未完成，正在继续删除超过 {hours} 小时的工作目录",
        f"not done yet: workspace directories older than {hours} hours are still being removed",
    )


def internal_error(request_id: str) -> Message:
    """The answer to a failure of ours: no internals, but an id to look up in the log."""
    return Message(f"服务器内部错误，编号：{request_id}", f"internal server error, id: {request_id}")
