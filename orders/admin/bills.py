"""Bills of the platforms, and what differs from them: each difference with what can be done about it."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from miniback.core.desk import DeskAction, DeskMixin
from miniback.core.fields import YuanFormField
from miniback.core.shop_admin import BegunByStaff, FactsOnly, ShopAdmin, Tabbed, yuan
from orders.admin.money import DifferenceInline
from orders.models import Bill, BillDifference, DifferenceKind, DifferenceStatus
from orders.services import corrections, payment_corrections, refund_corrections
from orders.services.corrections import Correction
from orders.services.missing_bills import accept_missing_bill, ask_again

OPEN = {DifferenceStatus.OPEN}
# Of a bill, by which its buttons are chosen.
AGREES, DIFFERS, ACCEPTED, MISSING = "agrees", "differs", "accepted", "missing"
# Refusals of an action on many rows.
MAX_SHOWN = 20


class NoteForm(forms.Form):
    note = forms.CharField(label=_("what it was"), max_length=200)


class SureForm(forms.Form):
    """Nothing is asked but to confirm."""


class BookRefundForm(NoteForm):
    """The amount and the number are asked for where the platform has not named them."""

    amount_fen = YuanFormField(label=_("amount that was given back"), min_fen=1)
    refund_number = forms.CharField(
        label=_("refund number"), max_length=64,
        help_text=_("as the merchant's console of the platform shows it"),
    )  # fmt: skip

    def __init__(self, *args: Any, row: BillDifference, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if row.theirs_fen:
            del self.fields["amount_fen"], self.fields["refund_number"]


class BookToOrderForm(NoteForm):
    order_number = forms.CharField(label=_("order number"), max_length=32)


def what_to_do(difference: BillDifference) -> Any:
    """Say in words how a difference of this kind is resolved."""
    match difference.kind, difference.is_refund:
        case DifferenceKind.NOT_OURS, True if difference.payment_id is None:
            return _("Book its payment first, or say that it belongs to another system.")
        case DifferenceKind.NOT_OURS, True if difference.theirs_fen is None:
            return _(
                "Look the refund up in the platform's console: book it, or say there was none."
            )
        case (DifferenceKind.AMOUNT, _is_refund) if difference.theirs_fen == difference.ours_fen:
            return _("The platform agrees by now: book the amount again, which takes it back.")
        case DifferenceKind.NOT_OURS, True:
            return _("Book the refund that was made outside the shop.")
        case DifferenceKind.NOT_OURS, False if difference.payment_id:
            return _("The platform is asked again; book the payment if it stays.")
        case DifferenceKind.NOT_OURS, False:
            return _("Book it to its order, give it back, keep it, or say whose it is.")
        case DifferenceKind.NOT_THEIRS, True:
            return _("Wait for the next bill; then reverse the refund, which is owed again.")
        case DifferenceKind.NOT_THEIRS, False:
            return _("Wait for the next bill; then void the payment.")
        case DifferenceKind.AMOUNT, _is_refund:
            return _("Ask the platform why, and book the difference.")
        case DifferenceKind.TWICE, _is_refund:
            return _("Ask the platform: book the amount, or explain it.")
    return _("Compare the transactions in the platform's console, and explain it.")


class BillState(admin.SimpleListFilter):
    title, parameter_name = _("state"), "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("missing", _("does not come")), ("differs", _("differs"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Bill]) -> QuerySet[Bill]:
        rows: Any = queryset
        if self.value() == "missing":
            return rows.missing()
        return rows.differing() if self.value() == "differs" else rows


@admin.register(Bill)
class BillAdmin(DeskMixin, FactsOnly, ShopAdmin):
    desk_permission = "orders.change_billdifference"
    desk = (
        DeskAction("ask-again", _("Ask again"), SureForm, ask_again, {MISSING, DIFFERS, ACCEPTED}),
        DeskAction(
            "accept", _("Accept that it never comes"), NoteForm, accept_missing_bill, {MISSING}
        ),
    )
    list_display = [
        "__str__",
        "merchant_id",
        "row_count",
        "paid",
        "refunded",
        "other_count",
        "compared_at",
        "open_count",
        "last_error",
    ]
    list_filter = [BillState, "channel"]
    ordering = ["-day", "channel"]
    exclude = ["paid_fen", "refunded_fen", "other_fen"]
    readonly_fields = ["paid", "refunded", "other"]
    inlines = [DifferenceInline]
    paid = yuan("paid_fen", _("money in"))
    refunded = yuan("refunded_fen", _("money back"))
    other = yuan("other_fen", _("money of other apps"))

    def desk_state(self, row: Bill) -> str:
        if row.agreed_at:
            return AGREES
        if row.compared_at:
            return DIFFERS
        return ACCEPTED if row.accepted_at else MISSING

    def get_queryset(self, request: HttpRequest) -> Any:
        is_open = Q(differences__status=DifferenceStatus.OPEN)
        counted = Count("differences", filter=is_open)
        return super().get_queryset(request).annotate(differences_open=counted)

    @admin.display(description=_("open differences"))
    def open_count(self, bill: Bill) -> int:
        return int(bill.differences_open)  # type: ignore[attr-defined]


def _action(
    correction: Correction,
    service: Callable[..., BillDifference],
    form: type[forms.Form] = NoteForm,
) -> DeskAction:
    return DeskAction(correction.value, correction.label, form, service, OPEN)


@admin.register(BillDifference)
class BillDifferenceAdmin(BegunByStaff, Tabbed, DeskMixin, FactsOnly, ShopAdmin):
    desk_permission = "orders.change_billdifference"
    desk = (
        _action(Correction.BOOK_REFUND, refund_corrections.book_external_refund, BookRefundForm),
        _action(Correction.REVERSE_REFUND, refund_corrections.reverse_refund),
        _action(Correction.VOID_PAYMENT, payment_corrections.void_payment),
        _action(Correction.BOOK_PAYMENT, payment_corrections.book_payment),
        _action(Correction.BOOK_TO_ORDER, payment_corrections.book_to_order, BookToOrderForm),
        _action(Correction.GIVE_BACK, payment_corrections.give_back),
        _action(Correction.KEEP, payment_corrections.keep_money),
        _action(Correction.BOOK_AMOUNT, corrections.book_amount),
        _action(Correction.FOREIGN, corrections.mark_foreign),
        _action(Correction.EXPLAIN, corrections.explain_difference),
        DeskAction(
            Correction.OPEN_AGAIN.value,
            Correction.OPEN_AGAIN.label,
            SureForm,
            corrections.open_again,
            {DifferenceStatus.RESOLVED},
        ),
    )
    when_empty = _(
        "Each morning the platforms' bills are compared with ours; what differs waits here."
    )
    actions = ["mark_foreign", "explain"]
    list_display = [
        "number",
        "kind",
        "is_refund",
        "theirs",
        "ours",
        "payment",
        "bill",
        "status",
        "advice",
        "note",
    ]
    list_filter = ["kind", "is_refund", "channel", "resolution"]
    list_select_related = ["bill", "payment"]
    search_fields = ["number", "payment_number", "transaction_id"]
    ordering = ["-id"]
    exclude = ["theirs_fen", "ours_fen"]
    readonly_fields = ["theirs", "ours", "advice"]
    theirs = yuan("theirs_fen", _("the platform's amount"))
    ours = yuan("ours_fen", _("our amount"))

    def done_text(self, outcome: Any) -> str:
        if outcome.first_approved_by_id:
            return str(_("A second member of staff must confirm it."))
        return super().done_text(outcome)

    @admin.display(description=_("what to do"))
    def advice(self, difference: BillDifference) -> Any:
        return what_to_do(difference) if difference.status == DifferenceStatus.OPEN else "-"

    def buttons(self, request: HttpRequest, row: BillDifference) -> list[dict[str, Any]]:
        """Only what fits this difference."""
        fitting = corrections.fitting(row)
        shown: list[dict[str, Any]] = super().buttons(request, row)
        return [button for button in shown if button["action"].url in fitting]

    @admin.action(description=_("Belongs to another system"), permissions=["desk"])
    def mark_foreign(self, request: HttpRequest, queryset: QuerySet[BillDifference]) -> Any:
        return self._correct_each(request, queryset, Correction.FOREIGN, corrections.mark_foreign)

    @admin.action(description=_("Explain"), permissions=["desk"])
    def explain(self, request: HttpRequest, queryset: QuerySet[BillDifference]) -> Any:
        return self._correct_each(
            request, queryset, Correction.EXPLAIN, corrections.explain_difference
        )

    def _correct_each(
        self,
        request: HttpRequest,
        queryset: QuerySet[BillDifference],
        correction: Correction,
        service: Callable[..., BillDifference],
    ) -> Any:
        form = NoteForm(request.POST if "sure" in request.POST else None)
        if not form.is_valid():
            return self.ask_many(request, queryset, form, correction.label)
        rows = list(queryset.order_by("pk"))
        refused = corrections.correct_each(
            rows, service, user=request.user, note=form.cleaned_data["note"]
        )
        for difference, error in refused[:MAX_SHOWN]:
            self.message_user(request, f"{difference}: {error.reason}", messages.ERROR)
        kept = {difference.pk for difference, _error in refused}
        for difference in rows:
            if difference.pk not in kept:
                self.log_change(
                    request, difference, f"{correction.label}: {form.cleaned_data['note']}"
                )
        count = len(rows) - len(refused)
        text = ngettext("%d difference resolved.", "%d differences resolved.", count)
        self.message_user(request, text % count, messages.SUCCESS)
        return None
