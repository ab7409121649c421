"""Body of endpoint 8, which may be left out."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from cronwright_api.schemas.fields import BODY, refuse
from cronwright_core.domain.parameters import MAX_VARIABLES, Variables


def _variables(value: Any) -> Any:
    """As `env` of a task - an object, or a list of {name, value} - but literal values only."""
    if isinstance(value, list):
        for item in value:
            if not isinstance(item, dict) or not isinstance(item.get("name"), str):
                refuse("每个变量必须是包含name和value的对象", "each variable must be an object with name and value")
            if item.get("valueFrom") is not None:
                refuse("单次执行的变量不能使用valueFrom", "the variables of one run cannot use valueFrom")
        pairs = [(item["name"], item.get("value", "")) for item in value]
    elif isinstance(value, dict):
        pairs = list(value.items())
    else:
        refuse("必须是对象或数组", "must be an object or a list")
    for name, text in pairs:
        if not isinstance(text, str):
            refuse(f"环境变量 {name[:64]} 的值必须是字符串", f"the value of {name[:64]} must be a string")
    return tuple(pairs)


class TriggerBody(BaseModel):
    """What this run alone gets. Names, sizes and number are judged by `domain.parameters`."""

    model_config = BODY

    env: Annotated[
        Variables,
        BeforeValidator(_variables, json_schema_input_type=dict[str, str] | list[dict[str, str]]),
    ] = Field(
        default=(),
        description=f"environment variables of this run, over those of task and project; at most {MAX_VARIABLES}",
        examples=[{"DAY": "2024-01-01"}],
    )
