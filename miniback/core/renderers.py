"""JSON out, by orjson."""

from collections.abc import Mapping
from typing import Any

import orjson
from rest_framework.renderers import JSONRenderer
from rest_framework.utils.encoders import JSONEncoder

_encoder = JSONEncoder()


class ORJSONRenderer(JSONRenderer):
    """DRF's JSONRenderer, faster; what orjson does not know (lazy text, Decimal) DRF encodes."""

    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if data is None:
            return b""
        return orjson.dumps(data, default=_encoder.default, option=orjson.OPT_NON_STR_KEYS)
