"""What every call of Alipay's gateway has: its fields, its failures, yuan and Beijing time."""

import json
import re
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

BEIJING = ZoneInfo("Asia/Shanghai")
GOOD = {"code": "10000", "msg": "Success"}
Fields = dict[str, Any]


class Failure(Exception):
    """An answer with a code that is not 10000."""

    def __init__(self, sub_code: str, sub_msg: str = "", *, code: str = "40004") -> None:
        message = {"40004": "Business Failed", "40002": "Invalid Arguments"}.get(code, "Error")
        self.content = {"code": code, "msg": message, "sub_code": sub_code, "sub_msg": sub_msg}


def content_of(given: Fields) -> Fields:
    try:
        content = json.loads(given.get("biz_content", ""))
    except ValueError as error:
        raise Failure("isv.invalid-parameter", "biz_content", code="40002") from error
    if not isinstance(content, dict):
        raise Failure("isv.invalid-parameter", "biz_content", code="40002")
    return content


def need(is_good: bool, name: str) -> None:
    if not is_good:
        raise Failure("ACQ.INVALID_PARAMETER", name)


def fen(value: Any, name: str) -> int:
    need(isinstance(value, str) and re.fullmatch(r"\d{1,9}(\.\d{1,2})?", value) is not None, name)
    return int(Decimal(value) * 100)


def yuan(amount_fen: int) -> str:
    return f"{amount_fen // 100}.{amount_fen % 100:02d}"


def local(moment: datetime) -> str:
    return moment.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def read_local(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING)
