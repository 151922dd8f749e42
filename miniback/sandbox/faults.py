"""Misbehaviour on demand: `POST /faults/` names a target, a fault and how many times."""

import functools
import random
import re
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from django.db.models import F
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse

from miniback.sandbox.models import Fault
from miniback.sandbox.signing import platform_headers

View = Callable[..., HttpResponse]

TARGETS = {
    "wechat.login",
    "wechat.token",
    "wechat.phone",
    "wechat.session",
    "wechat.text_check",
    "wechat.media_check",
    "wechat.message",
    "wechat.templates",
    "wechat.code_image",
    "wechat.shipping",
    "wechat.shipping_query",
    "wechat.push",
    "wechatpay.order",
    "wechatpay.query",
    "wechatpay.close",
    "wechatpay.refund",
    "wechatpay.refund_query",
    "wechatpay.abnormal_refund",
    "wechatpay.notice",
    "wechatpay.bill",
    "wechatpay.certificates",
    "alipay.login",
    "alipay.create",
    "alipay.query",
    "alipay.close",
    "alipay.refund",
    "alipay.refund_query",
    "alipay.notice",
    "alipay.bill",
    "douyin.login",
}
# A platform's calls, and everything.
TARGETS |= {f"{target.partition('.')[0]}.*" for target in TARGETS} | {"*"}
# Faults of an answer. The first group stands in for processing, the second comes after it.
INSTEAD = {
    "hang", "timeout_before", "reset", "http_500", "http_429", "errcode", "not_enough", "error_response",
    "bill_creating",
}  # fmt: skip
AFTERWARDS = {
    "timeout_after", "reset_after", "http_500_after", "html", "empty", "cut_off", "unsigned",
    "redirect", "wrong_signature", "tampered", "stale_timestamp", "unknown_serial", "code_20000",
}  # fmt: skip
# Faults of an operation, which the operation itself asks for.
OF_NOTICES = {
    "duplicate", "dropped", "delayed", "wrong_amount", "wrong_app_id", "wrong_mch_id",
    "wrong_signature", "stale_timestamp", "probe", "not_success", "by_certificate",
    "foreign_certificate", "old_api_v3_key",
}  # fmt: skip
OF_OPERATIONS = {
    "notice_first", "abnormal", "closed", "fund_change_n", "row_missing", "row_differs", "row_added",
    "row_of_other_app", "wrong_hash", "risky",
    "gbk",
}  # fmt: skip
ALWAYS = 1_000_000_000
ALL = INSTEAD | AFTERWARDS | OF_NOTICES | OF_OPERATIONS

# Longer than any client should wait.
HOLD_SECONDS = 8.0
# A platform that hangs: how long it never answers one request.
HANG_SECONDS = 60.0


def take(target: str, kinds: set[str]) -> Fault | None:
    """Use up one occasion of the oldest fault of ``target`` that is one of ``kinds``."""
    targets = [target, f"{target.partition('.')[0]}.*", "*"]
    waiting = Fault.objects.filter(target__in=targets, fault__in=kinds, times__gt=0)
    for fault in waiting.order_by("id"):
        if random.uniform(0, 100) >= fault.options.get("percent", 100):  # noqa: S311
            continue
        if Fault.objects.filter(pk=fault.pk, times__gt=0).update(times=F("times") - 1):
            return fault
    return None


def faulty(target: str) -> Callable[[View], View]:
    """Let the faults of ``target`` come before or after a view."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if fault := take(target, INSTEAD):
                return _instead(fault, request, target)
            response = view(request, *args, **kwargs)
            if fault := take(target, AFTERWARDS):
                return _afterwards(fault, request, response, target)
            return response

        return wrapper

    return decorate


def _instead(fault: Fault, request: HttpRequest, target: str) -> HttpResponse:
    match fault.fault:
        case "reset":
            return _hang_up(request)
        case "hang":
            return _hang(fault, request)
        case "timeout_before":
            time.sleep(fault.options.get("seconds", HOLD_SECONDS))
            return HttpResponse(status=504)
        case "http_429":
            body = {"code": "FREQUENCY_LIMITED", "message": "slow down"}
            return JsonResponse(body, status=429)
        case "bill_creating" if target.startswith("alipay"):
            return _alipay_error("40004", "isp.bill_not_ready")
        case "bill_creating":
            body = {"code": "STATEMENT_CREATING", "message": "come back later"}
            return JsonResponse(body, status=400)
        case "not_enough" if target.startswith("alipay"):
            return _alipay_error("40004", "ACQ.SELLER_BALANCE_NOT_ENOUGH")
        case "error_response":
            return _alipay_error("40002", fault.options.get("sub_code", "isv.invalid-parameter"))
        case "not_enough":
            body = {"code": "NOT_ENOUGH", "message": "the merchant's balance is too low"}
            return JsonResponse(body, status=403)
        case "errcode":
            code = fault.options.get("errcode", -1)
            return JsonResponse({"errcode": code, "errmsg": f"system error rid: {fault.pk:08x}"})
        case _:
            return JsonResponse({"code": "SYSTEM_ERROR", "message": "try again"}, status=500)


def _afterwards(
    fault: Fault, request: HttpRequest, response: HttpResponse, target: str
) -> HttpResponse:
    signature = "Wechatpay-Signature"
    match fault.fault:
        case "reset_after":
            return _hang_up(request)
        case "timeout_after":
            time.sleep(fault.options.get("seconds", HOLD_SECONDS))
        case "http_500_after":
            return JsonResponse({"code": "SYSTEM_ERROR", "message": "try again"}, status=500)
        case "html":
            return HttpResponse("<html><body>502 Bad Gateway</body></html>")
        case "empty":
            return HttpResponse(b"")
        case "redirect":
            return HttpResponseRedirect("/ledger/")
        case "code_20000":
            return _alipay_error("20000", "isp.unknow-error")
        case "tampered":
            # Still JSON, and no longer what was signed.
            response.content = re.sub(rb'": ?"', b'":  "', response.content, count=1)
            response["Content-Length"] = str(len(response.content))
        case "stale_timestamp" if signature in response:
            old = int(time.time()) - fault.options.get("seconds", 10 * 24 * 3600)
            _sign_again(response, timestamp=old)
        case "unknown_serial" if signature in response:
            response["Wechatpay-Serial"] = "PUB_KEY_ID_0100000000000000000000000000"
        case "unsigned" | "wrong_signature" if target.startswith("alipay"):
            sign = b"" if fault.fault == "unsigned" else b',"sign":"AAAA"'
            response.content = re.sub(rb',"sign":"[^"]*"', sign, response.content)
        case "unsigned":
            for name in [name for name in response.headers if name.startswith("Wechatpay-")]:
                del response[name]
        case "wrong_signature":
            if signature in response:
                response[signature] = response[signature][::-1].lstrip("=") + "=="
        case "cut_off":
            whole = response.content
            response["Content-Length"] = str(len(whole) + 20)
            # The server hangs up after this answer, as a broken line does.
            request.META["sandbox.connection"].close_connection = True
    return response


def _hang(fault: Fault, request: HttpRequest) -> HttpResponse:
    """Say nothing until the fault is ended, or the client's patience is at an end."""
    deadline = time.monotonic() + fault.options.get("seconds", HANG_SECONDS)
    while time.monotonic() < deadline and Fault.objects.filter(pk=fault.pk).exists():
        time.sleep(0.2)
    return _hang_up(request)


def _hang_up(request: HttpRequest) -> HttpResponse:
    """End the connection as a broken line does: what is answered does not get out any more."""
    line: socket.socket = request.META["sandbox.connection"].connection
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.shutdown(socket.SHUT_RDWR)
    return HttpResponse()


def _sign_again(response: HttpResponse, *, timestamp: int) -> None:
    serial = response["Wechatpay-Serial"]
    headers = platform_headers(response.content, timestamp=timestamp, serial=serial)
    for name, value in headers.items():
        response[name] = value


def _alipay_error(code: str, sub_code: str) -> HttpResponse:
    """As its outermost gateway says it: not signed."""
    content = {"code": code, "msg": "Error", "sub_code": sub_code, "sub_msg": sub_code}
    return JsonResponse({"error_response": content})
