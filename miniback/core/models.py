"""Tables that serve every app: books, work with a due time, keys of requests, uploads."""

import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar, NoReturn, TypeVar

from django.conf import settings
from django.core.files.storage import Storage, default_storage, storages
from django.db import models
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from miniback.core.clock import database_now
from miniback.core.fields import ExactCharField
from miniback.core.transactions import retry

M = TypeVar("M", bound="DueModel")


def private_storage() -> Storage:
    """Files that only the back office hands out: never under MEDIA_URL."""
    return storages["private"]


FIRST_RETRY = timedelta(seconds=15)
LONGEST_RETRY = timedelta(hours=1)


def random_id() -> str:
    """22 characters that cannot be guessed (128 bits)."""
    return secrets.token_urlsafe(16)


def remember(row: models.Model, **related: Iterable[models.Model]) -> None:
    """Let ``row`` know its related rows, as if they had been prefetched: whoever made them need not ask."""
    known = row.__dict__.setdefault("_prefetched_objects_cache", {})
    for name, rows in related.items():
        known[name] = getattr(row, name).all()
        known[name]._result_cache, known[name]._prefetch_done = list(rows), True


def knows(row: models.Model, *names: str) -> bool:
    """Say whether these related rows are there without asking."""
    return set(names) <= row.__dict__.get("_prefetched_objects_cache", {}).keys()


class DueQuerySet(models.QuerySet[M]):
    def claim(self, *, lease: timedelta, limit: int = 100) -> Iterator[M]:
        """Yield rows that are due, each to one claimant only, until its lease ends.

        A claim moves ``due_at`` into the future by one conditional UPDATE, so a claimant that dies
        merely delays the row. Whoever settles it writes ``due_at`` again. The time is the database's,
        whatever this machine's clock says.
        """
        for row in self.filter(due_at__lte=database_now()).order_by("due_at", "pk")[:limit]:
            until = database_now() + lease
            mine = self.model._default_manager.filter(pk=row.pk, due_at=row.due_at)
            # One statement can be the victim of a deadlock too. Repeated after an answer that was lost
            # it matches nothing: the row waits for the lease's end, as if this claimant had died.
            claim = partial(mine.update, due_at=until, attempts=F("attempts") + 1)
            if retry(claim, is_keyed=True):
                row.due_at = until
                row.attempts += 1
                yield row


class DueModel(models.Model):
    """A row that wants work: ``due_at`` says when, NULL that nothing is left to do."""

    due_at = models.DateTimeField(_("due at"), null=True, blank=True, db_index=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    last_error = models.CharField(_("last error"), max_length=300, blank=True)

    class Meta:
        abstract = True

    def next_try_at(self, now: datetime) -> datetime:
        """15 s, 30 s, 1 min ... up to an hour after ``now``, by the attempts made."""
        wait = FIRST_RETRY * 2 ** min(max(self.attempts - 1, 0), 10)
        return now + min(wait, LONGEST_RETRY)


class AppendOnlyModel(models.Model):
    """A row of a book: written once, never changed or deleted."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError(f"{self._meta.model_name} is append-only.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(f"{self._meta.model_name} is append-only.")


class AppendOnlyQuerySet(models.QuerySet[Any]):
    def update(self, **kwargs: Any) -> NoReturn:
        raise TypeError(f"{self.model._meta.model_name} is append-only.")

    def delete(self) -> NoReturn:
        raise TypeError(f"{self.model._meta.model_name} is append-only.")

    def bulk_update(
        self, objs: Iterable[Any], fields: Iterable[str], batch_size: int | None = None
    ) -> NoReturn:
        raise TypeError(f"{self.model._meta.model_name} is append-only.")


class Lane(models.TextChoices):
    """Whom a piece of background work waits for. Each lane has a thread: one that hangs delays no other."""

    SHOP = "shop", _("the shop itself")
    WECHATPAY = "wechatpay", _("WeChat Pay")
    ALIPAY = "alipay", _("Alipay")
    WECHAT = "wechat", _("WeChat")
    LONG = "long", _("long work")


class OutboxMessage(DueModel):
    """A call or message to the outside, written in the transaction that decided on it."""

    lane = models.CharField(_("waits for"), max_length=10, choices=Lane, default=Lane.SHOP)
    topic = models.CharField(_("topic"), max_length=50)
    event_key = ExactCharField(_("event key"), max_length=150, unique=True)
    payload = models.JSONField(_("payload"))
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    done_at = models.DateTimeField(_("done at"), null=True, blank=True)

    objects: ClassVar[Any] = DueQuerySet.as_manager()

    class Meta:
        verbose_name = _("outbox message")
        verbose_name_plural = _("outbox messages")
        indexes = [models.Index(fields=["lane", "due_at"], name="outboxmessage_lane_due")]

    def __str__(self) -> str:
        return self.event_key


class JobLease(DueModel):
    """When a background job runs next, and who runs it now."""

    name = ExactCharField(_("name"), max_length=50, primary_key=True)
    started_at = models.DateTimeField(_("started at"), null=True)
    finished_at = models.DateTimeField(_("finished at"), null=True)

    objects: ClassVar[Any] = DueQuerySet.as_manager()

    class Meta:
        verbose_name = _("background job")
        verbose_name_plural = _("background jobs")

    def __str__(self) -> str:
        return self.name


class TaskKind(models.TextChoices):
    SHIP_SHEET = "ship_sheet", _("ship by a sheet")
    EXPORT_ORDERS = "export_orders", _("export orders")
    IMPORT_PRODUCTS = "import_products", _("import products")
    EXPORT_PRODUCTS = "export_products", _("export products")
    CHANGE_PRODUCTS = "change_products", _("change products")


class Task(DueModel):
    """Long work that a member of staff asked for: how far it is, what came out, and its files.

    ``counts`` says how many rows came to what; ``report`` is a table of rows to fetch.
    """

    kind = models.CharField(_("kind"), max_length=30, choices=TaskKind)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("asked for by")
    )
    params = models.JSONField(_("what was asked"), default=dict)
    source = models.FileField(_("file"), storage=private_storage, max_length=200, blank=True)
    report = models.FileField(_("result"), storage=private_storage, max_length=200, blank=True)
    total = models.PositiveIntegerField(_("rows in all"), default=0)
    done = models.PositiveIntegerField(_("rows done"), default=0)
    counts = models.JSONField(_("outcome"), default=dict)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    objects: ClassVar[Any] = DueQuerySet.as_manager()

    class Meta:
        verbose_name = _("task")
        verbose_name_plural = _("tasks")

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"

    @property
    def percent(self) -> int:
        if self.finished_at:
            return 100
        return min(99, 100 * self.done // self.total) if self.total else 0


class PlatformCertificate(models.Model):
    """A certificate with which WeChat Pay signs, fetched by a job and never because of a notice."""

    serial = ExactCharField(_("serial"), max_length=64, primary_key=True)
    pem = models.TextField(_("PEM"))
    begins_at = models.DateTimeField(_("valid from"))
    ends_at = models.DateTimeField(_("valid until"))

    class Meta:
        verbose_name = _("platform certificate")
        verbose_name_plural = _("platform certificates")

    def __str__(self) -> str:
        return self.serial


class IdempotencyKey(models.Model):
    """A request that was carried out, and what it made."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    key = ExactCharField(max_length=64)
    request_hash = models.CharField(max_length=64)
    kind = models.CharField(max_length=50, blank=True)
    object_id = models.CharField(max_length=50, blank=True)
    # Where a form of the back office led to.
    location = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        verbose_name = _("idempotency key")
        verbose_name_plural = _("idempotency keys")
        constraints = [
            models.UniqueConstraint(fields=["user", "key"], name="idempotencykey_once_per_user"),
        ]

    def __str__(self) -> str:
        return self.key


class UploadPurpose(models.TextChoices):
    AVATAR = "avatar", _("avatar")
    REVIEW = "review", _("review")
    REFUND = "refund", _("refund")


def upload_path(upload: "Upload", filename: str) -> str:
    """The client's file name is never used."""
    return f"uploads/{upload.id[:2]}/{upload.id}.{filename.rpartition('.')[2]}"


class Upload(models.Model):
    """A picture that a customer sent, decoded and encoded again by us."""

    id = ExactCharField(primary_key=True, max_length=22, default=random_id, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="uploads", verbose_name=_("user")
    )
    purpose = models.CharField(_("purpose"), max_length=10, choices=UploadPurpose)
    file = models.FileField(_("file"), upload_to=upload_path, max_length=200)
    width = models.PositiveIntegerField(_("width in pixels"))
    height = models.PositiveIntegerField(_("height in pixels"))
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("upload")
        verbose_name_plural = _("uploads")

    def __str__(self) -> str:
        return self.id

    @property
    def url(self) -> str:
        return default_storage.url(self.file.name)
