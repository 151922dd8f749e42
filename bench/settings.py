"""The shop's settings, with the benches' reference views beside the API."""

from miniback.settings import *  # noqa: F403

ROOT_URLCONF = "bench.urls"
