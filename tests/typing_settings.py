"""For the type checker alone, which must know the tables of both programs at once."""

import os

os.environ.setdefault("SANDBOX_DIR", "var/sandbox")

from miniback.sandbox.settings import *  # noqa: E402, F403
from tests.settings import *  # noqa: E402, F403
from tests.settings import INSTALLED_APPS  # noqa: E402

INSTALLED_APPS += ["miniback.sandbox.apps.SandboxConfig"]
