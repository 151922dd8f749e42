from django.apps import AppConfig


class SandboxConfig(AppConfig):
    name = "miniback.sandbox"
    label = "sandbox"
