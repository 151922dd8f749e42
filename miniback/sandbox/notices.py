"""Notices to the shop: sent at once, repeated on the platform's schedule until they are taken."""

import base64
import json
import logging
import secrets
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import requests
from django.conf import settings
from django.db import close_old_connections, transaction

from miniback.sandbox import certificates, faults
from miniback.sandbox.clock import iso, now
from miniback.sandbox.keys import keys
from miniback.sandbox.models import Notification
from miniback.sandbox.push import sealed
from miniback.sandbox.rsa2 import signed, signed_form
from miniback.sandbox.signing import encrypt_resource, platform_headers, seal

logger = logging.getLogger(__name__)

# Seconds between tries: 15s/15s/30s/3m/10m/20m/30m/30m/30m/60m/3h/3h/3h/6h/6h; 4m/10m/10m/1h/2h/6h/15h.
SCHEDULES = {
    "wechat": (
        15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600,
    ),
    "alipay": (240, 600, 600, 3600, 7200, 21600, 54000),
    # Pushed messages are repeated at once, and then never.
    "wechat_push": (5, 5, 5),
}  # fmt: skip
TARGETS = {
    "wechat": "wechatpay.notice",
    "alipay": "alipay.notice",
    "wechat_push": "wechat.push",
}
ANSWER_SECONDS = 5.0
SENDERS = 8
# A try that never came to its end (the sandbox was stopped) is made again.
LEASE = timedelta(seconds=30)
ON_THE_WAY = {
    "wrong_signature", "probe", "stale_timestamp", "duplicate", "by_certificate",
    "foreign_certificate", "old_api_v3_key",
}  # fmt: skip

Outgoing = tuple[str, bytes, dict[str, str]]

_wake = threading.Event()
_landed = threading.Condition()
_on_their_way: set[str] = set()


def notify(
    url: str, event_type: str, resource: dict[str, Any], *, platform: str = "wechat"
) -> None:
    """Queue a notice; the faults of `wechatpay.notice` or `alipay.notice` decide what becomes of it."""
    target = TARGETS[platform]
    fault = faults.take(target, faults.OF_NOTICES)
    kind = fault.fault if fault else ""
    options = fault.options if fault else {}
    if kind == "dropped":
        return
    later = timedelta(seconds=options.get("seconds", 5) if kind == "delayed" else 0)
    Notification.objects.create(
        platform=platform,
        id=str(uuid.uuid4()),
        url=url,
        event_type=event_type,
        resource=_spoil_content(kind, options, resource),
        spoil=kind if kind in ON_THE_WAY else "",
        copies=options.get("copies", 2) if kind == "duplicate" else 1,
        due_at=now() + later,
        made_at=now(),
    )
    transaction.on_commit(_wake.set)


def push(event: str, openid: str, fields: dict[str, Any]) -> None:
    """Queue an event of message push for the shop."""
    body = {
        "ToUserName": keys().original_id,
        "FromUserName": openid,
        "CreateTime": int(time.time()),
        "MsgType": "event",
        "Event": event,
        **fields,
    }
    url = f"{settings.SHOP_URL}/api/v1/callbacks/wechat/"
    notify(url, event[:40], body, platform="wechat_push")


def _spoil_content(kind: str, options: dict[str, Any], resource: dict[str, Any]) -> dict[str, Any]:
    match kind:
        case "wrong_amount" if "total_amount" in resource:
            return resource | {"total_amount": "0.01"}
        case "wrong_app_id" if "app_id" in resource:
            return resource | {"app_id": "2021000000000000"}
        case "wrong_mch_id" if "seller_id" in resource:
            return resource | {"seller_id": "2088000000000000"}
        case "not_success" if "trade_status" in resource:
            return resource | {"trade_status": "WAIT_BUYER_PAY"}
        case "wrong_amount":
            total = resource["amount"]["total"] + options.get("by_fen", -1)
            return resource | {"amount": resource["amount"] | {"total": total}}
        case "wrong_app_id":
            return resource | {"appid": "wx0000000000000000"}
        case "wrong_mch_id":
            return resource | {"mchid": "1900000001"}
        case "not_success":
            return resource | {"trade_state": "USERPAYING"}
        case _:
            return resource


def resend(notification: Notification) -> None:
    """Send it again now, whatever was answered before."""
    notification.due_at = now()
    notification.save(update_fields=["due_at"])
    transaction.on_commit(_wake.set)


def pause(seconds: float) -> None:
    """Let notices that were just queued go out first."""
    _wake.set()
    time.sleep(seconds)


def start_sender(settle: Callable[[], None]) -> None:
    """Send what is due from now on, in the background; ``settle`` runs before each round."""
    threading.Thread(target=_send_for_ever, args=(settle,), daemon=True).start()


def _send_for_ever(settle: Callable[[], None]) -> None:
    with ThreadPoolExecutor(SENDERS) as pool:
        while True:
            _wake.wait(0.2)
            _wake.clear()
            try:
                settle()
                # In one: whoever empties the books sees each claim either not made or on its way.
                with _landed:
                    claimed = _claim()
                    _on_their_way.update(notification.pk for notification in claimed)
                for notification in claimed:
                    pool.submit(_fly, notification)
            except Exception:
                # Such as a database that is being reset.
                logger.exception("a round of notices failed")
            close_old_connections()


def _fly(notification: Notification) -> None:
    try:
        _send(notification)
    finally:
        with _landed:
            _on_their_way.discard(notification.pk)
            _landed.notify_all()


def wait_until_landed() -> None:
    """Until no notice is between the sandbox and a shop, or its answer is not waited for any more."""
    with _landed:
        _landed.wait_for(lambda: not _on_their_way, ANSWER_SECONDS + 1)


def _claim() -> list[Notification]:
    moment, mine = now(), []
    for row in Notification.objects.filter(due_at__lte=moment).order_by("due_at")[:200]:
        same = Notification.objects.filter(pk=row.pk, due_at=row.due_at)
        if same.update(due_at=moment + LEASE):
            mine.append(row)
    return mine


def _send(notification: Notification) -> None:
    """One try."""
    answers = [_post(notification) for _copy in range(notification.copies)]
    tried = notification.attempts + 1
    delivered_at = due_at = None
    schedule = SCHEDULES[notification.platform]
    if any(is_taken for _status, is_taken in answers):
        delivered_at = now()
    elif tried <= len(schedule):
        due_at = now() + timedelta(seconds=schedule[tried - 1] / settings.NOTICE_SPEED)
    # Not save(): the books may have been emptied meanwhile, and it would come back.
    Notification.objects.filter(pk=notification.pk).update(
        attempts=tried,
        spoil="",
        copies=1,
        answers=[*notification.answers, *(status for status, _is_taken in answers)],
        delivered_at=delivered_at,
        due_at=due_at,
    )
    close_old_connections()


def _post(notification: Notification) -> tuple[int, bool]:
    """The answer's status, and whether it ends the notice."""
    url, body, headers = MESSAGES[notification.platform](notification)
    try:
        answer = requests.post(
            url,
            data=body,
            headers=headers,
            timeout=ANSWER_SECONDS,
            allow_redirects=False,
        )
    except requests.RequestException:
        return 0, False
    if notification.platform != "wechat":
        # Seven characters and nothing else.
        return answer.status_code, answer.status_code == 200 and answer.content == b"success"
    # Status 200 or 204; what the body says does not count.
    return answer.status_code, answer.status_code in {200, 204}


def _wechat_message(notification: Notification) -> Outgoing:
    original_type = "refund" if notification.event_type.startswith("REFUND") else "transaction"
    message: dict[str, Any] = {
        "id": notification.id,
        "create_time": iso(notification.made_at),
        "resource_type": "encrypt-resource",
        "event_type": notification.event_type,
        "summary": "支付成功" if original_type == "transaction" else "退款通知",
        "resource": encrypt_resource(notification.resource, original_type),
    }
    if notification.spoil == "old_api_v3_key":
        message["resource"] |= seal(b"{}", original_type, key="k" * 32)
    body = json.dumps(message, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", **_headers(body, notification.spoil)}
    return notification.url, body, headers


def _alipay_message(notification: Notification) -> Outgoing:
    fields = signed_form({**notification.resource, "notify_id": notification.id})
    if notification.spoil == "wrong_signature":
        fields["sign"] = signed("something else")
    body = urlencode(fields).encode()
    content_type = "application/x-www-form-urlencoded;charset=utf-8"
    return notification.url, body, {"Content-Type": content_type}


def _push_message(notification: Notification) -> Outgoing:
    query, body = sealed(notification.resource)
    if notification.spoil == "wrong_signature":
        query = query.replace("msg_signature=", "msg_signature=0")
    return f"{notification.url}?{query}", body, {"Content-Type": "application/json"}


MESSAGES = {"wechat": _wechat_message, "alipay": _alipay_message, "wechat_push": _push_message}


def _headers(body: bytes, spoil: str) -> dict[str, str]:
    match spoil:
        case "stale_timestamp":
            return platform_headers(body, timestamp=int(time.time()) - 10 * 24 * 3600)
        case "wrong_signature":
            return platform_headers(body + b" ")
        case "by_certificate":
            # As in the days when a merchant is switched to the public key.
            return platform_headers(body, serial=certificates.newest().serial)
        case "foreign_certificate":
            return platform_headers(body) | {
                "Wechatpay-Serial": "7" + secrets.token_hex(19).upper()
            }
        case "probe":
            noise = base64.b64encode(secrets.token_bytes(200)).decode()
            return platform_headers(body) | {"Wechatpay-Signature": f"WECHATPAY/SIGNTEST/{noise}"}
        case _:
            return platform_headers(body)
