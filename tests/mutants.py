"""Faults made by hand, one at a time; for each a named test must fail: `make test-mutants`.

A suite that stays green with its guard taken out proves nothing. Each mutant is one replacement in
a copy of the tree; what it replaces must stand there exactly once, so that a change of the code
brings its mutant along.
"""

import argparse
import compileall
import os
import py_compile
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import Queue
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
AT_ONCE = 2


class Mutant(NamedTuple):
    name: str
    path: str
    old: str
    new: str
    test: str


CATALOG, ORDERS = "catalog/services/stock.py", "orders/services"
T_CATALOG, T_ORDERS = "tests/catalog/test_services.py", "tests/orders/services"

MUTANTS = (
    # Stock
    Mutant("stock is taken without looking", CATALOG, 'id = %s AND stock >= %s"', 'id = %s AND (stock >= %s OR 1 = 1)"',
           f"{T_CATALOG}::test_taking_is_all_or_nothing"),
    Mutant("SKUs in the order of the cart", CATALOG,
           "for sku_id, quantity in sorted(quantities.items()):\n            cursor", "for sku_id, quantity in quantities.items():\n            cursor",
           f"{T_CATALOG}::test_skus_are_locked_in_one_order"),
    Mutant("stock comes back as often as one asks", CATALOG,
           'event_key=":".join(filter(None, [kind, reference, occasion, str(sku_id)]))', "event_key=secrets.token_hex(16)",
           f"{T_CATALOG}::test_stock_is_given_back_once"),
    Mutant("stock is sold and not booked", CATALOG,
           "    _record(StockMovementKind.RESERVE, {i: -n for i, n in quantities.items()}, reference)\n", "",
           f"{T_CATALOG}::test_taking_and_giving_back_are_in_the_book"),
    Mutant("staff save the stock they saw", "miniback/core/shop_admin.py", "row.save(update_fields=own_columns(forms_by_row[id(row)]))", "row.save()",
           "tests/orders/test_admin.py::test_what_is_sold_while_the_form_is_saved_stays_sold"),
    # Placing an order
    Mutant("the customer's price is believed", f"{ORDERS}/checkout.py", "if payable_fen != seen_fen:", "if False:",
           f"{T_ORDERS}/test_checkout.py::test_the_customer_pays_what_he_saw_or_nothing"),
    Mutant("any address will do", f"{ORDERS}/delivery.py", "OWN.first(user.pk, address_id)",
           "Address.objects.filter(pk=address_id).first()",
           f"{T_ORDERS}/test_checkout.py::test_the_address_must_be_ones_own"),
    Mutant("a page saves the row it saw", "miniback/core/shop_admin.py", "obj.save(update_fields=own_columns(form) if change else None)", "obj.save()",
           "tests/test_admin_saves.py::test_a_list_saves_only_what_its_forms_ask_for"),
    # Sent twice, and not answered
    Mutant("a COMMIT without an answer is run again", "miniback/core/transactions.py",
           "may_repeat = is_keyed if is_unknown else is_transient(error)", "may_repeat = True",
           "tests/core/test_transactions.py::test_a_service_is_not_doubled_by_a_lost_commit"),
    Mutant("a keyed request is given up after it", "miniback/core/idempotency.py", "retry(attempt, is_keyed=True)", "retry(attempt)",
           "tests/core/test_transactions.py::test_a_keyed_request_finds_what_a_lost_commit_made"),
    Mutant("a form of staff has no key", "miniback/site.py", "            if not key:", "            if True:",
           "tests/orders/test_sent_twice.py::test_a_parcel_is_sent_once"),
    Mutant("a refund needs no key", "orders/viewsets/after_sales.py", "            is_required=True,\n", "",
           "tests/orders/test_request_keys.py::test_a_refund_needs_a_key"),
    Mutant("a key is good for every endpoint", "miniback/core/idempotency.py", '"path": request.path.rstrip("/"), ', "",
           "tests/orders/test_request_keys.py::test_a_key_is_good_for_one_path"),
    Mutant("a key stands for any body", "miniback/core/idempotency.py", "if row.request_hash != _hash(body):", "if False:",
           "tests/core/test_idempotency.py::test_another_body_is_a_mismatch"),
    Mutant("a key is kept outside the transaction", "miniback/core/transactions.py",
           "with transaction.atomic(durable=True):", "if True:",
           "tests/core/test_idempotency.py::test_a_refusal_leaves_the_key_free"),
    Mutant("the cart is not spent", f"{ORDERS}/checkout.py",
           "    spent, _by_model = CartLine.objects.filter(id__in=[row_id for row_id, *_rest in rows]).delete()\n", "    spent = len(rows)\n",
           f"{T_ORDERS}/test_checkout.py::test_a_cart_is_spent_once"),
    Mutant("no purchase limit", f"{ORDERS}/checkout.py", "    refuse_over_limit(user, lines)\n", "",
           f"{T_ORDERS}/test_limits.py::test_a_limit_counts_every_size_and_every_order"),
    Mutant("the remainder of a discount is lost", "orders/pricing.py",
           "    for index in by_remainder[: amount_fen - sum(parts)]:\n        parts[index] += 1\n", "",
           "tests/orders/test_pricing.py::test_the_largest_remainder_gets_the_fen"),
    Mutant("a percentage is rounded down", "orders/pricing.py", "(base * offer.percent_off + 50) // 100", "base * offer.percent_off // 100",
           "tests/orders/test_pricing.py::test_a_percentage_is_rounded_half_up_on_the_order"),
    Mutant("a discount larger than the order", "orders/pricing.py", "spread(min(off, base), weights)", "spread(off, weights)",
           "tests/orders/test_pricing.py::test_any_coupon_on_any_cart"),
    # Coupons
    Mutant("a coupon is used as often as one likes", f"{ORDERS}/coupons.py", "filter(pk=claimed_id, used_at=None)", "filter(pk=claimed_id)",
           f"{T_ORDERS}/test_coupons.py::test_a_coupon_is_used_once"),
    Mutant("anybody's coupon", f"{ORDERS}/coupons.py", "return ClaimedCoupon.objects.for_customer(user)", "return ClaimedCoupon.objects.all()",
           f"{T_ORDERS}/test_coupons.py::test_a_coupon_of_somebody_else_is_not_there"),
    Mutant("more coupons than there are", f"{ORDERS}/coupons.py", "if not offered.filter(left).update(", "if not offered.update(",
           f"{T_ORDERS}/test_coupons.py::test_claiming"),
    Mutant("any number of coupons for one", f"{ORDERS}/coupons.py", "if count >= coupon.per_customer:", "if False:",
           f"{T_ORDERS}/test_coupons.py::test_claiming"),
    Mutant("a cancelled order keeps its coupon", f"{ORDERS}/cancellation.py", "    give_back_coupon(order)\n", "",
           f"{T_ORDERS}/test_coupons.py::test_cancelling_gives_the_coupon_back_once"),
    Mutant("an expired coupon", f"{ORDERS}/coupons.py", "if now >= claimed.valid_until:", "if False:",
           f"{T_ORDERS}/test_coupons.py::test_the_last_second_of_the_last_day"),
    # Status
    Mutant("a status is overwritten", f"{ORDERS}/life.py", "filter(pk=order.pk, status=start)", "filter(pk=order.pk)",
           f"{T_ORDERS}/test_life.py::test_a_status_that_changed_meanwhile_is_not_overwritten"),
    Mutant("anybody may do anything", "orders/status.py", "return actor in ORDER_MOVES.get((start, end), frozenset())", "return True",
           "tests/orders/test_status.py::test_every_cell"),
    Mutant("more is sent than was bought", f"{ORDERS}/fulfillment.py", "filter(pk=line_id, left__gte=count)", "filter(pk=line_id)",
           f"{T_ORDERS}/test_parcels.py::test_no_more_than_there_is"),
    Mutant("sent although it is asked back", f"{ORDERS}/fulfillment.py", "if refunds.exists() or not any(", "if not any(",
           f"{T_ORDERS}/test_after_sales.py::test_shipping_waits_for_the_decision"),
    # Payments
    Mutant("any amount pays", f"{ORDERS}/settlement.py", 'if (trade.amount_fen, trade.currency) != (payment.amount_fen, "CNY"):', 'if False:',
           f"{T_ORDERS}/test_notices.py::test_amounts_that_are_not_ours"),
    Mutant("another shop's payment", f"{ORDERS}/settlement.py", 'if payment is None or not _is_of_account(trade, payment):', 'if payment is None:',
           f"{T_ORDERS}/test_payment.py::test_a_notice_that_is_not_about_our_money"),
    Mutant("a notice counts as often as it comes", f"{ORDERS}/settlement.py",
           "if order is None or payment.status == PaymentStatus.PAID:\n",
           'Payment.objects.filter(pk=payment_id).update(status="created")\n    if order is None:\n',
           f"{T_ORDERS}/test_payment.py::test_a_delayed_notice_after_a_check"),
    Mutant("paid after it was cancelled", f"{ORDERS}/settlement.py", "is_applied = order.status == OrderStatus.PENDING_PAYMENT and is_due", "is_applied = is_due",
           f"{T_ORDERS}/test_payment.py::test_money_for_a_cancelled_order_goes_back"),
    Mutant("late money is kept", f"{ORDERS}/settlement.py", '        refund_payment(payment, reason=AUTO_REASON, now=now, number=number)\n', '        del number\n',
           f"{T_ORDERS}/test_payment.py::test_money_for_a_cancelled_order_goes_back"),
    Mutant("an old price still pays", f"{ORDERS}/settlement.py", "is_due = payment.amount_fen == order.payable_fen", "is_due = True",
           f"{T_ORDERS}/test_desk.py::test_money_of_the_old_price_goes_back"),
    Mutant("the promise to close is only a hope", f"{ORDERS}/settlement.py",
           '        outbox.post(topic=CLOSE_PAYMENT, event_key=key, payload={"number": number}, lane=lane)\n', "        del key, lane\n",
           f"{T_ORDERS}/test_payment.py::test_cancelling_closes_the_payment_at_the_platform"),
    Mutant("an old notice is new", "miniback/platforms/wechatpay.py", "if abs(time.time() - int(timestamp)) >= MAX_SKEW_SECONDS:", "if False:",
           f"{T_ORDERS}/test_notices.py::test_timestamps"),
    Mutant("any signature", "miniback/platforms/wechatpay.py", "            public_key.verify(signature, message, PKCS1v15(), SHA256())\n", "            del public_key\n",
           f"{T_ORDERS}/test_notices.py::test_signatures"),
    Mutant("Alipay signs by SHA-1", "miniback/platforms/alipay.py", 'if kind != "RSA2":', "if False:",
           f"{T_ORDERS}/test_alipay.py::test_only_rsa2_counts"),
    Mutant("the last of two fields counts", "miniback/platforms/alipay.py", "if len(given) != len(fields):", "if False:",
           f"{T_ORDERS}/test_alipay.py::test_a_field_twice_is_refused"),
    Mutant("Alipay's answers need no signature", "miniback/platforms/alipay.py", 'if not self._is_signed(inner_text(text, key).encode(encoding), str(whole.get("sign", ""))):', 'if False:',
           "tests/platforms/test_contract.py::test_answers_nobody_can_trust"),
    Mutant("accepted is refunded", "miniback/platforms/alipay.py", 'is_done = answer.get("fund_change") == "Y"', 'is_done = True',
           f"{T_ORDERS}/test_alipay.py::test_a_refund_whose_outcome_is_not_told"),
    Mutant("a bill is compared by numbers only", f"{ORDERS}/bill_comparison.py", '    if mine.amount_fen != row.amount_fen:\n        return DifferenceKind.AMOUNT\n    if mine.status', '    if mine.status',
           f"{T_ORDERS}/test_reconciliation.py::test_three_kinds_of_difference"),
    Mutant("whoever links an account gets its orders", "accounts/services/identities.py", "if identity.user_id != user.pk:", "if False:",
           "tests/accounts/test_identities.py::test_nobody_takes_over_a_customer"),
    # Refunds
    Mutant("another number for every try", f"{ORDERS}/refunds.py", '        number=number,\n        payment_number', '        number=f"{number}{refund.attempts}",\n        payment_number',
           f"{T_ORDERS}/test_payment.py::test_a_refund_is_repeated_with_its_number"),
    Mutant("more goes back than came in", f"{ORDERS}/refund_claims.py", '    if back > line.quantity:\n        raise OverRefund(line=line_id)\n', '',
           f"{T_ORDERS}/test_after_sales.py::test_many_requests_at_once_share_what_is_there"),
    Mutant("each refund is rounded by itself", "orders/pricing.py", "return total_fen * back // pieces - back_fen", "return total_fen // pieces",
           "tests/orders/test_pricing.py::test_refunds_in_any_split_return_exactly_what_was_paid"),
    Mutant("refunded and sent all the same", f"{ORDERS}/owed_refunds.py", 'released_quantity=F("released_quantity") + line.quantity', 'released_quantity=F("released_quantity")',
           f"{T_ORDERS}/test_after_sales.py::test_a_part_before_shipment"),
    Mutant("one person is two", f"{ORDERS}/refund_approvals.py", 'if refund.first_approved_by_id == user.pk:', 'if False:',
           f"{T_ORDERS}/test_parcels.py::test_a_large_refund_needs_two_people"),
    Mutant("the ledger forgets a discount", f"{ORDERS}/books.py", "goods, coupons = goods + amount + share, coupons - share", "goods += amount",
           f"{T_ORDERS}/test_refund_amounts.py::test_a_discount_comes_back_to_the_fen"),
    Mutant("freight goes back with what is merely asked for", f"{ORDERS}/refund_claims.py",
           "if any(line.released_quantity + pieces", "if any(line.refunded_quantity + pieces",
           f"{T_ORDERS}/test_after_sales.py::test_freight_stays_when_another_request_is_given_up"),
    Mutant("a forgotten refund is paid again", f"{ORDERS}/refunds.py", "    if refund.sent_at is None:\n        _refuse_what_is_known(platform, payment, number)\n",
           "    if refund.sent_at is None:\n        pass\n",
           f"{T_ORDERS}/test_forgotten_refunds.py::test_a_refund_under_an_unknown_number_is_met_too"),
    Mutant("a slow job sends what was paid out", f"{ORDERS}/refunds.py", "    if not mine.update(sent_at=", "    if mine.update(sent_at=timezone.now()) and not mine.update(sent_at=",
           f"{T_ORDERS}/test_failed_refunds.py::test_a_refund_that_was_paid_out_is_not_sent_by_a_slow_job"),
    Mutant("a closed refund keeps its number", f"{ORDERS}/refund_steps.py", "    if refund.out_refund_no and (is_closed or not", "    if refund.out_refund_no and (not",
           f"{T_ORDERS}/test_failed_refunds.py::test_a_closed_refund_is_applied_for_again_under_a_new_number"),
    Mutant("paid out although the platform paid", f"{ORDERS}/refund_steps.py", "            _refuse_if_at_platform(fresh)\n", "            pass\n",
           f"{T_ORDERS}/test_failed_refunds.py::test_nothing_is_paid_out_that_the_platform_paid"),
    Mutant("one person ends a refund by hand", f"{ORDERS}/refund_steps.py", "by_two=has_second_member(user)", "by_two=False",
           f"{T_ORDERS}/test_failed_refunds.py::test_two_members_end_it_by_hand"),
    Mutant("another card is the same card", f"{ORDERS}/refund_approvals.py", "same = approval.step, approval.note, approval.card_hash\n        return same == (self.step, self.note, self.card_hash)",
           "return approval.step == self.step",
           f"{T_ORDERS}/test_redirected_refunds.py::test_a_large_refund_is_sent_another_way_by_two"),
    Mutant("what the shop got has reached the customer", f"{ORDERS}/refunds.py", "status=RefundStatus.TO_PAY_OUT if to_shop else RefundStatus.SUCCEEDED", "status=RefundStatus.SUCCEEDED",
           f"{T_ORDERS}/test_redirected_refunds.py::test_what_goes_to_the_shop_is_owed_until_it_is_paid_out"),
    Mutant("small steps are never large", f"{ORDERS}/refund_approvals.py", "int(refund.amount_fen) + max(sums) >= limit", "int(refund.amount_fen) >= limit",
           f"{T_ORDERS}/test_staff_refunds.py::test_small_steps_of_one_order_are_large_together"),
    Mutant("two agreed to less", f"{ORDERS}/refund_approvals.py", " or refund.amount_fen > before_fen:", ":",
           f"{T_ORDERS}/test_staff_refunds.py::test_an_amount_that_has_risen_needs_two_again"),
    Mutant("more goes back than is left", f"{ORDERS}/owed_refunds.py", "    if left < refund.amount_fen:\n", "    if False:\n",
           f"{T_ORDERS}/test_staff_refunds.py::test_a_request_from_before_is_capped_when_it_is_agreed"),
    Mutant("another amount is as good", f"{ORDERS}/refunds.py", "    elif not _is_our_amount(refund, answer):\n", "    elif False:\n",
           f"{T_ORDERS}/test_failed_refunds.py::test_an_answer_about_another_amount_is_listed"),
    Mutant("a forgotten refund is taken for ours", f"{ORDERS}/refunds.py", "    if refund.sent_at is None:\n        # The", "    if False:\n        # The",
           f"{T_ORDERS}/test_forgotten_refunds.py::test_notice_of_forgotten_refund_is_held_before_the_job_asks"),
    Mutant("shipped while a refund is in doubt", f"{ORDERS}/fulfillment.py", "    refuse_unknown_refunds(Payment", "    str(Payment",
           f"{T_ORDERS}/test_forgotten_refunds.py::test_nothing_is_shipped_while_a_refund_is_in_doubt"),
    Mutant("released stock comes back twice", f"{ORDERS}/cancellation.py", "line.sku_id: line.to_ship for line", "line.sku_id: line.quantity for line",
           f"{T_ORDERS}/test_free_orders.py::test_what_is_left_of_a_free_order_is_cancelled"),
    # Jobs, reviews, sessions, ownership
    Mutant("two machines, one job", "miniback/core/models.py", "filter(pk=row.pk, due_at=row.due_at)", "filter(pk=row.pk)",
           "tests/core/test_jobs.py::test_what_another_has_claimed_is_left_alone"),
    Mutant("a review a minute", f"{ORDERS}/reviews.py", "filter(pk=line.pk, reviewed_at=None)", "filter(pk=line.pk)",
           f"{T_ORDERS}/test_reviews.py::test_a_review_is_of_a_bought_line"),
    Mutant("everybody's orders", "orders/models/order.py",
           'def for_customer(self, user: Any) -> "OrderQuerySet":\n        return self.filter(user=user)', 'def for_customer(self, user: Any) -> "OrderQuerySet":\n        return self.all()',
           "tests/test_ownership.py::test_a_strangers_object_is_not_found"),
    # Messages, avatars, refunds another way
    Mutant("a consent is spent for ever", f"{ORDERS}/messages.py",
           'MessageConsent.objects.filter(pk=consent.pk, count__gt=0).update(count=F("count") - 1)', "pass",
           f"{T_ORDERS}/test_messages.py::test_paid_and_shipped"),
    Mutant("one verdict for every avatar", "catalog/services/moderation.py",
           "User.objects.filter(pk=user_id, avatar=picture, is_avatar_shown=False)", "User.objects.filter(pk=user_id, is_avatar_shown=False)",
           "tests/catalog/test_moderation.py::test_a_verdict_on_an_avatar_that_was_changed_meanwhile"),
    Mutant("any refund goes another way", f"{ORDERS}/refund_redirects.py", 'if fresh.status != RefundStatus.FAILED or not is_abnormal:', 'if False:',
           f"{T_ORDERS}/test_redirected_refunds.py::test_only_what_could_not_go_back"),
    Mutant("a loop has all the time there is", "miniback/core/due.py", "if time.monotonic() > deadline:", "if False:",
           "tests/core/test_due.py::test_a_run_ends_when_its_time_is_used_up"),
    Mutant("a row that fails keeps no error", "miniback/core/due.py", "            _put_off(row, error)\n", "            pass\n",
           "tests/core/test_due.py::test_a_row_that_raises_anything_waits_and_the_next_follows"),
    Mutant("a runner that was stopped writes over its successor", "miniback/core/due.py",
           "filter(pk=row.pk, due_at=row.due_at)", "filter(pk=row.pk)",
           "tests/core/test_due.py::test_a_row_that_another_runner_has_by_now_is_left_to_it"),
    Mutant("a host that is down costs attempts", "miniback/core/due.py", "if isinstance(error, HostDown):", "if False:",
           "tests/core/test_due.py::test_a_host_that_is_down_counts_as_no_attempt"),
    Mutant("a host that is down is called all the same", "miniback/platforms/breaker.py", "if now < known.retry_at:", "if False:",
           "tests/platforms/test_breaker.py::test_a_host_that_hangs_twice_is_not_called_again"),
    Mutant("one host stands for every service on it", "miniback/platforms/http.py", "host = (service, urlsplit(url).netloc)", 'host = ("", urlsplit(url).netloc)',
           "tests/platforms/test_breaker.py::test_another_service_on_the_same_host_is_called"),
    Mutant("any clock runs jobs", "miniback/core/leases.py", "    if _is_clock_off():\n", "    if False:\n",
           "tests/core/test_jobs.py::test_a_machine_whose_clock_is_off_runs_nothing_and_says_why"),
    Mutant("a lease of tomorrow stays", "miniback/core/leases.py", "is None or due_at > latest:", "is None:",
           "tests/core/test_jobs.py::test_a_due_time_that_no_right_clock_wrote_is_pulled_back"),
    Mutant("every lane delivers everything", "miniback/core/outbox.py", "OutboxMessage.objects.filter(lane__in=lanes)", "OutboxMessage.objects.all()",
           "tests/core/test_jobs.py::test_each_lane_delivers_its_own_messages"),
    Mutant("a total from the future is done", f"{ORDERS}/daily.py", "+ SETTLED_AFTER <= computed_at <= now", "+ SETTLED_AFTER <= computed_at",
           "tests/orders/test_dashboard.py::test_a_total_from_the_future_is_computed_again"),
    # The audit, refunds, corrections, bills
    Mutant("a difference hides for a day", "orders/services/audit/bills.py", "(kind <> 'not_theirs' OR found_at <", "(kind = 'amount' OR found_at <",
           f"{T_ORDERS}/test_audit_rules.py::test_a_rule_finds_what_was_broken[bill-difference]"),
    Mutant("the ledger's sale may be any", "orders/services/audit/ledger.py", "WHEN 'freight' THEN -o.freight_fen ELSE 0 END", "WHEN 'freight' THEN e.amount_fen ELSE 0 END",
           f"{T_ORDERS}/test_audit_rules.py::test_a_rule_finds_what_was_broken[sale-posted]"),
    Mutant("nobody asks when a refund is due", "orders/services/audit/queues.py", "(due_at IS NULL OR due_at > %(ahead_2_hours)s))\n              OR (status = 'failed' AND due_at > %(ahead_2_hours)s)", "due_at > %(ahead_2_hours)s)\n              OR (status = 'failed' AND due_at > %(ahead_2_hours)s)",
           f"{T_ORDERS}/test_audit_rules.py::test_a_rule_finds_what_was_broken[open-refund-due]"),
    Mutant("age is measured by what failures move on", "orders/services/audit/queues.py", '(done_at IS NULL AND created_at < %(ago_1_days)s)', '(done_at IS NULL AND due_at < %(ago_1_days)s)',
           f"{T_ORDERS}/test_audit_rules.py::test_a_rule_finds_what_was_broken[outbox-delivered]"),
    Mutant("a card must be faster than it is", "orders/services/audit/refunds.py", '%(ago_8_days)s', '%(ahead_1_days)s',
           f"{T_ORDERS}/test_audit_rules.py::test_a_shop_that_lived_breaks_no_rule"),
    Mutant("a cancelled order may keep the money", "orders/services/audit/payments.py", "OR (o.status = 'cancelled' AND (r.fen IS NULL", "OR (o.status = 'hidden' AND (r.fen IS NULL",
           f"{T_ORDERS}/test_audit_rules.py::test_a_rule_finds_what_was_broken[payment-kept]"),
    Mutant("half a fen is lost in a share", "orders/services/audit/rules.py", '"sqlite": "(({0}) / ({1}))"', '"sqlite": "(({0}) / ({1} + 1))"',
           f"{T_ORDERS}/test_audit_rules.py::test_a_shop_that_lived_breaks_no_rule"),
    Mutant("freight comes back with what is only asked", "orders/services/refund_claims.py", 'if any(line.released_quantity + pieces.get(line.pk, 0) < line.quantity\n', 'if any(line.refunded_quantity < line.quantity\n',
           f"{T_ORDERS}/test_staff_refunds.py::test_the_last_piece_that_is_agreed_brings_the_freight"),
    Mutant("a forgotten refund is paid twice", "orders/services/refunds.py", '        raise KnownBefore(payment, known)\n', '        del known\n',
           f"{T_ORDERS}/test_forgotten_refunds.py::test_a_forgotten_refund_is_met_and_not_paid_twice"),
    Mutant("a note is an entry", "orders/services/corrections.py", '    if correction not in fitting(fresh):\n        raise CorrectionDoesNotFit\n', '',
           f"{T_ORDERS}/test_corrections.py::test_explain_is_refused_where_money_is_missing"),
    Mutant("what agreed once agrees for ever", "orders/services/difference_rows.py", ' or row.resolution not in STANDING', '',
           f"{T_ORDERS}/test_reconciliation.py::test_a_difference_is_compared_again_and_may_come_back"),
    Mutant("other apps' money is ours", "orders/services/reconciliation.py", 'ours = [row for row in rows if row.app_id in {"", bill.app_id}]', 'ours = list(rows)',
           f"{T_ORDERS}/test_reconciliation.py::test_rows_of_other_apps_are_counted_apart"),
    Mutant("what is in doubt is sent", "orders/services/refund_claims.py", '        raise RefundUnknown\n', '        return\n',
           f"{T_ORDERS}/test_forgotten_refunds.py::test_nothing_is_shipped_while_a_refund_is_in_doubt"),
)  # fmt: skip


# What `--few` tries: quick ones, of every part, so that CI sees that this file still fits the code.
FEW = {
    "stock is taken without looking",
    "the remainder of a discount is lost",
    "anybody may do anything",
    "a status is overwritten",
    "a key stands for any body",
    "a row that fails keeps no error",
    "small steps are never large",
    "a coupon is used as often as one likes",
}


def copy_tree(to: Path) -> Path:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    # By hash: a mutant is another text, of whatever length and second.
    by_hash = py_compile.PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir(to, quiet=1, invalidation_mode=by_hash)
    return to


def passes(tree: Path, *tests: str) -> bool:
    """Say whether these tests pass in this tree; anything but passed or failed is a mistake."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--reuse-db"]
    # What a mutant compiles to is its own.
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(
        [*command, *tests], cwd=tree, env=env, capture_output=True, text=True, check=False
    )
    if ended.returncode not in {0, 1}:
        raise RuntimeError(ended.stdout + ended.stderr)
    return ended.returncode == 0


def survives(mutant: Mutant, trees: Queue[Path]) -> bool:
    tree = trees.get()
    target = tree / mutant.path
    text = target.read_text()
    if text.count(mutant.old) != 1:
        raise RuntimeError(f"{mutant.name}: its text stands {text.count(mutant.old)} times")
    try:
        target.write_text(text.replace(mutant.old, mutant.new))
        return passes(tree, mutant.test)
    finally:
        target.write_text(text)
        trees.put(tree)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", action="store_true", help="a minute's worth of them")
    few = parser.parse_args().few
    mutants = [mutant for mutant in MUTANTS if not few or mutant.name in FEW]
    alive: list[Mutant] = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        trees: Queue[Path] = Queue()
        for number in range(AT_ONCE):
            trees.put(copy_tree(Path(folder) / str(number)))
        named = sorted({mutant.test for mutant in mutants})
        if not passes(Path(folder) / "0", *named):
            sys.stdout.write("The tests fail without a mutant.\n")
            return 1
        for mutant, survived in zip(
            mutants, pool.map(partial(survives, trees=trees), mutants), strict=True
        ):
            fate = "SURVIVED" if survived else "killed"
            sys.stdout.write(f"{fate:9} {mutant.name}  ({mutant.test.rpartition('::')[2]})\n")
            sys.stdout.flush()
            alive += [mutant] if survived else []
    failed, passed = len(alive), len(mutants) - len(alive)
    sys.stdout.write(f"{passed} passed, {failed} failed\n")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
