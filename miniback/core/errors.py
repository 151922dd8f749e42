"""What an operation raises to refuse. Every concrete error is defined in the module that raises it."""

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Text = str | Promise


class DomainError(Exception):
    """The root. ``extra`` goes into the answer's body beside ``code`` and ``detail``."""

    status = 400
    code = "invalid"
    detail: Text = _("The request is not valid.")

    def __init__(
        self, detail: Text | None = None, *, retry_after: int | None = None, **extra: Any
    ) -> None:
        self.detail = detail or self.detail
        self.retry_after = retry_after
        self.extra = extra
        super().__init__(self.code, extra)

    @property
    def reason(self) -> str:
        """For staff: what is wrong with the fields, or else what happened."""
        fields: dict[str, list[str]] = self.extra.get("fields", {})
        return " ".join(text for texts in fields.values() for text in texts) or str(self.detail)

    def as_dict(self) -> dict[str, Any]:
        body = {"code": self.code, "detail": str(self.detail), **self.extra}
        if self.retry_after is not None:
            body["retry_after"] = self.retry_after
        return body


class Refused(DomainError):
    """400: the request itself is wrong."""


class InvalidFields(Refused):
    """400 ``invalid`` with the fields that are wrong: ``{name: [text, ...]}``."""

    def __init__(self, **fields: Text) -> None:
        super().__init__(fields={name: [str(text)] for name, text in fields.items()})


class Unauthenticated(DomainError):
    """401."""

    status = 401
    code = "not_authenticated"
    detail = _("Please log in again.")


class Forbidden(DomainError):
    """403."""

    status = 403
    code = "permission_denied"
    detail = _("You may not do this.")


class NotFound(DomainError):
    """404, also for what is somebody else's."""

    status = 404
    code = "not_found"
    detail = _("Not found.")


class Conflict(DomainError):
    """409: true a moment ago, or never allowed in this state."""

    status = 409
    code = "conflict"
    detail = _("This is not possible now.")


class PayloadTooLarge(DomainError):
    """413."""

    status = 413
    code = "too_large"
    detail = _("The request is too large.")


class KeyMismatch(DomainError):
    """422."""

    status = 422
    code = "idempotency_mismatch"
    detail = _("This Idempotency-Key was used for another request.")


class Throttled(DomainError):
    """429."""

    status = 429
    code = "throttled"
    detail = _("Too many requests. Please wait a moment.")


class Unavailable(DomainError):
    """503."""

    status = 503
    code = "busy"
    detail = _("The shop is busy. Please try again.")


class PlatformUnavailable(Unavailable):
    """503: WeChat or another platform gave no answer that can be trusted."""

    code = "platform_unavailable"
    detail = _("The platform does not answer. Please try again.")
