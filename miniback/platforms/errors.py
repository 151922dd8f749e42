"""What went wrong at a platform, by what the caller should do about it."""


class PlatformError(Exception):
    """``code`` is the platform's own, for logs and staff; customers never see it."""

    def __init__(self, code: str, message: str = "") -> None:
        self.code = code
        super().__init__(f"{code} {message}".strip()[:300])


class TryAgain(PlatformError):
    """Nobody knows what happened: timeout, 5xx, busy, an answer that cannot be trusted.

    Ask the platform by query, then repeat with the same number.
    """


class HostDown(TryAgain):
    """It did not answer a moment ago, so it was not called; ``seconds`` until it is tried again."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__("HOST_DOWN", f"tried again in {seconds:.0f} s")


class TokenExpired(PlatformError):
    """Get a new access token and repeat once."""


class LoginAgain(PlatformError):
    """The customer's code is used up, expired or not for this app."""


class CustomerBlocked(PlatformError):
    """The platform refuses this customer for good."""


class Misconfigured(PlatformError):
    """A person must mend a key, an id or a permission; trying again is useless."""


class Refused(PlatformError):
    """The platform understood and said no, such as ORDERPAID or NOTENOUGH."""


class NoSuchTrade(Refused):
    """The platform does not know this number (yet)."""


class NoticeRejected(PlatformError):
    """A notice that is not from the platform, or not for us. Nothing was looked up or called."""


class NoConsent(Refused):
    """The customer did not agree to be told, or has taken it back."""


class AlreadyDone(Refused):
    """The platform has this already: as good as done."""


class BillNotReady(PlatformError):
    """The platform is still writing that day's bill."""


class NoBill(PlatformError):
    """There is no bill of that day: nothing moved, or nobody has written it yet.

    The platforms do not say which. Whoever holds money of that day asks again.
    """


class BadBill(PlatformError):
    """A bill that cannot be read in full, or does not agree with its own summary.

    The message names the line. Nothing of such a bill may be used.
    """
