"""Bearer token to customer: one query that joins session and user, so logout and ban act at once."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import Session, User
from accounts.services.sessions import read_session_id
from miniback.core.queries import CompiledQuery

# Of every request with a token.
ALIVE = CompiledQuery(
    lambda pk: Session.objects.select_related("user").filter(
        pk=pk, revoked_at=None, user__is_active=True
    ),
    [Session._meta.pk],
)


class SessionTokenAuthentication(BaseAuthentication):
    """``request.user`` is the customer, ``request.auth`` the Session."""

    def authenticate(self, request: Request) -> tuple[User, Session] | None:
        scheme, _, raw = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        try:
            session_id = read_session_id(AccessToken, raw.strip().decode())
        except (TokenError, UnicodeDecodeError) as error:
            raise AuthenticationFailed from error
        session = ALIVE.first(session_id)
        if session is None:
            raise AuthenticationFailed
        return session.user, session

    def authenticate_header(self, request: Request) -> str:
        """Without it DRF answers 403 where the client needs 401."""
        return 'Bearer realm="api"'


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = SessionTokenAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
