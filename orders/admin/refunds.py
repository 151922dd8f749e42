"""The refunds desk: yes and no side by side, of one refund or of all that wait."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from miniback.core.desk import DeskAction, DeskMixin
from miniback.core.errors import DomainError
from miniback.core.models import Upload
from miniback.core.money import format_yuan
from miniback.core.pictures import picture_url
from miniback.core.shop_admin import BegunByStaff, FactsOnly, ShopAdmin, Tabbed, yuan
from miniback.core.transactions import savepoint
from miniback.platforms.contract import PlatformRefundStatus
from orders.admin.refund_forms import (
    ApproveForm,
    ApproveManyForm,
    PayOutForm,
    ReapplyForm,
    ReceiveForm,
    RedirectForm,
    RejectForm,
    WriteOffForm,
)
from orders.models import Refund, RefundApproval, RefundAttempt, RefundLine
from orders.services import refund_decisions, refund_redirects, refund_steps
from orders.services.refund_approvals import open_approval
from orders.status import RefundStatus

NEEDS_ANOTHER = _("A second member of staff must confirm it.")
# Cards on one page; more wait behind them.
SHOWN = 20


ASKED, RETURNING = {RefundStatus.REQUESTED}, {RefundStatus.RETURNING}
# Failed, and WeChat Pay would send it another way.
ABNORMAL = "abnormal"
FAILED, TO_PAY_OUT = {RefundStatus.FAILED}, {RefundStatus.TO_PAY_OUT}


class AwaitsSecond(admin.SimpleListFilter):
    title, parameter_name = _("second person"), "second"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("1", _("must confirm"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Refund]) -> QuerySet[Refund]:
        rows: Any = queryset
        return rows.awaiting_second() if self.value() else rows


class RefundLineInline(FactsOnly, admin.TabularInline):
    model = RefundLine
    fields: ClassVar[Any] = ["line", "quantity", "claimed", "amount"]
    readonly_fields = fields
    extra = 0
    claimed = yuan("claimed_fen", _("asked for"))
    amount = yuan("amount_fen", _("amount"))

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("line")


class OfRefund(FactsOnly):
    """Seen by whoever sees the refund."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("orders.view_refund"))


class RefundApprovalInline(OfRefund, admin.TabularInline):
    model = RefundApproval
    fields: ClassVar[Any] = [
        "step", "note", "card_tail", "proposed_by", "proposed_at", "confirmed_by", "confirmed_at",
        "dropped_at",
    ]  # fmt: skip
    readonly_fields = fields
    extra = 0

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("proposed_by", "confirmed_by")


class RefundAttemptInline(OfRefund, admin.TabularInline):
    model = RefundAttempt
    fields: ClassVar[Any] = ["out_refund_no", "platform_id", "platform_status", "ended_at"]
    readonly_fields = fields
    extra = 0


@admin.register(Refund)
class RefundAdmin(BegunByStaff, Tabbed, DeskMixin, FactsOnly, ShopAdmin):
    desk_permission = "orders.change_refund"
    desk = (
        DeskAction("approve", _("Approve"), ApproveForm, refund_decisions.approve_refund, ASKED),
        DeskAction(
            "receive", _("Goods are back"), ReceiveForm, refund_decisions.receive_return, RETURNING
        ),
        DeskAction(
            "reject", _("Reject"), RejectForm, refund_decisions.reject_refund, ASKED | RETURNING
        ),
        DeskAction("reapply", _("Apply again"), ReapplyForm, refund_steps.reapply_refund, FAILED),
        DeskAction(
            "redirect",
            _("Send another way"),
            RedirectForm,
            refund_redirects.redirect_refund,
            {ABNORMAL},
        ),
        DeskAction(
            "pay-out",
            _("Pay out by the shop"),
            PayOutForm,
            refund_steps.pay_out_refund,
            FAILED | TO_PAY_OUT | {ABNORMAL},
        ),
        DeskAction(
            "write-off",
            _("Write off"),
            WriteOffForm,
            refund_steps.write_off_refund,
            FAILED | TO_PAY_OUT | {ABNORMAL},
        ),
    )
    change_form_template = "admin/desk/refund.html"
    change_list_template = "admin/desk/refund_list.html"
    when_empty = _("What customers ask back waits here for your answer.")
    inlines = [RefundLineInline, RefundApprovalInline, RefundAttemptInline]
    actions = ["approve_selected", "reapply_selected"]
    list_display = ["number", "payment", "kind", "amount", "status", "last_error", "created_at"]
    list_filter = ["kind", "is_shipped", AwaitsSecond]
    list_select_related = ["payment"]
    found_by = (
        "number",
        "payment__number",
        "order__number",
    )
    search_help_text = _("refund, payment or order number")
    ordering = ["-id"]
    fieldsets = (
        (
            None,
            {
                "fields": [
                    "number",
                    "status",
                    "kind",
                    "is_shipped",
                    "reason",
                    "opened_by",
                    "pictures",
                ]
            },
        ),
        (
            _("money"),
            {
                "fields": [
                    "amount",
                    "freight",
                    "order",
                    "payment",
                    "method",
                    "is_to_shop",
                    "payout_reference",
                    "succeeded_at",
                ]
            },
        ),
        (
            _("at the platform"),
            {
                "fields": [
                    "out_refund_no",
                    "platform_id",
                    "platform_status",
                    "platform_reason",
                    "sent_at",
                ]
            },
        ),
        (
            _("staff's answer"),
            {
                "fields": [
                    "first_approved_by",
                    "decision",
                    "decided_by",
                    "decided_at",
                    "return_carrier",
                    "return_tracking",
                ]
            },
        ),
        (_("background job"), {"fields": ["due_at", "attempts", "last_error", "created_at"]}),
    )
    readonly_fields = ["amount", "freight", "pictures"]
    freight = yuan("freight_fen", _("freight"))
    amount = yuan("amount_fen", _("amount"))

    def desk_state(self, row: Refund) -> str:
        is_abnormal = row.platform_status == PlatformRefundStatus.ABNORMAL
        return ABNORMAL if row.status in FAILED and is_abnormal else str(row.status)

    def done_text(self, outcome: Refund) -> str:
        """Two members of staff may be needed: then it is not done yet."""
        waits = outcome.status in ASKED and outcome.first_approved_by_id
        if waits or open_approval(outcome):
            return str(NEEDS_ANOTHER)
        return super().done_text(outcome)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.side_by_side)
        return [
            path("side-by-side/", view, name="orders_refund_side-by-side"),
            *super().get_urls(),
        ]

    def page_context(self, request: HttpRequest, row: Refund) -> dict[str, Any]:
        """Yes and no side by side, above what was asked for and its photos."""
        shown: dict[str, Any] = super().page_context(request, row)
        if row.status in ASKED:
            shown["asked"] = _with_forms(shown["buttons"], "id")
        return shown

    def back_to(self, request: HttpRequest, row: Refund) -> str:
        if request.POST.get("from") == "side-by-side":
            return reverse("admin:orders_refund_side-by-side")
        return super().back_to(request, row)

    def side_by_side(self, request: HttpRequest) -> HttpResponse:
        """Whatever waits for an answer, the oldest first: what was asked, its photos, yes and no."""
        if not self.has_desk_permission(request):
            raise PermissionDenied
        waiting = Refund.objects.filter(status__in=ASKED).order_by("pk")
        chosen = list(waiting.select_related("order__user").prefetch_related("lines__line")[:SHOWN])
        pictures = Upload.objects.in_bulk([pk for refund in chosen for pk in refund.images])
        cards = [
            {
                "refund": refund,
                "order": refund.order,
                "amount": f"¥{format_yuan(refund.amount_fen)}",
                "lines": [
                    (row, picture_url(row.line.picture, "thumb")) for row in refund.lines.all()
                ],
                "pictures": [pictures[pk].url for pk in refund.images if pk in pictures],
                "asked": _with_forms(self.buttons(request, refund), f"id_{refund.pk}"),
            }
            for refund in chosen
        ]
        context = {
            "title": _("Refunds side by side"),
            "cards": cards,
            "more": waiting.count() - len(cards),
        }
        return self.page(request, "admin/desk/refunds.html", context)

    @admin.action(description=_("Approve as asked for"), permissions=["desk"])
    def approve_selected(self, request: HttpRequest, queryset: QuerySet[Refund]) -> Any:
        title = _("Approve as asked for")
        return self._each(
            request, queryset, ApproveManyForm, title, refund_decisions.approve_refund
        )

    @admin.action(description=_("Apply again"), permissions=["desk"])
    def reapply_selected(self, request: HttpRequest, queryset: QuerySet[Refund]) -> Any:
        return self._each(
            request, queryset, ReapplyForm, _("Apply again"), refund_steps.reapply_refund
        )

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[Refund],
        form_class: type[forms.Form],
        title: Any,
        service: Callable[..., Refund],
    ) -> Any:
        """Each by itself: one that is refused says why, and keeps no other from it."""
        form = form_class(request.POST if "sure" in request.POST else None)
        if not form.is_valid():
            return self.ask_many(request, queryset, form, title)
        count = 0
        for refund in queryset.order_by("pk"):
            try:
                # A savepoint: the page is one transaction, and a refusal is not to end it.
                with savepoint():
                    outcome = service(refund, user=request.user, **form.cleaned_data)
            except DomainError as error:
                self.message_user(request, f"{refund}: {error.reason}", messages.ERROR)
                continue
            self.log_change(request, refund, str(title))
            if outcome.status in ASKED:
                self.message_user(request, f"{refund}: {NEEDS_ANOTHER}", messages.WARNING)
            else:
                count += 1
        text = ngettext("%(title)s: %(count)d refund.", "%(title)s: %(count)d refunds.", count)
        self.message_user(request, text % {"title": title, "count": count}, messages.SUCCESS)
        return None

    @admin.display(description=_("pictures"))
    def pictures(self, refund: Refund) -> str:
        uploads = Upload.objects.filter(pk__in=refund.images)
        links = ((upload.url, upload.url, _("the customer's photo")) for upload in uploads)
        picture = '<a href="{}"><img src="{}" height="120" alt="{}"></a>'
        shown = format_html_join(" ", picture, links)
        return shown or "-"


def _with_forms(buttons: Iterable[dict[str, Any]], prefix: str) -> list[dict[str, Any]]:
    return [
        {**button, "form": button["action"].form(auto_id=f"{prefix}_{button['action'].url}_%s")}
        for button in buttons
    ]
