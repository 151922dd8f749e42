"""The sandbox's time, which can be moved. Signatures carry the real one."""

from datetime import datetime, timedelta

from django.utils import timezone

from miniback.sandbox.models import Clock


def now() -> datetime:
    ahead = Clock.objects.filter(pk=1).values_list("seconds", flat=True).first() or 0
    return timezone.now() + timedelta(seconds=ahead)


def advance(seconds: float) -> None:
    clock, _new = Clock.objects.get_or_create(pk=1)
    clock.seconds += seconds
    clock.save()


def iso(moment: datetime) -> str:
    """As the platform writes it: Beijing time with its offset."""
    return timezone.localtime(moment).isoformat(timespec="seconds")
