"""The platforms' own books."""

from typing import Any

from django.db import models


class Person(models.Model):
    """Somebody with a phone. ``unionid`` is empty for an app that is bound to no open platform."""

    platform = models.CharField(max_length=10, default="wechat")
    openid = models.CharField(max_length=128)
    unionid = models.CharField(max_length=128, blank=True)
    name = models.CharField(max_length=50, blank=True)
    # The newest; another login replaces it.
    session_key = models.CharField(max_length=40, blank=True)
    seen_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["platform", "openid"], name="person_once"),
        ]


class LoginCode(models.Model):
    """What ``wx.login`` gave: good once, for five minutes."""

    code = models.CharField(max_length=64, unique=True)
    person = models.ForeignKey(Person, models.CASCADE)
    made_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)


class StableToken(models.Model):
    """An access token; ``is_plain`` for those of the older endpoint, which know nothing of the others."""

    is_plain = models.BooleanField(default=False)
    token = models.CharField(max_length=512, unique=True)
    made_at = models.DateTimeField()
    ends_at = models.DateTimeField()


class Trade(models.Model):
    """An order at WeChat Pay or Alipay: NOTPAY, SUCCESS, REFUND, CLOSED, or FINISHED (Alipay).

    Alipay gives ``transaction_id`` when it is placed, WeChat Pay when it is paid.
    """

    platform = models.CharField(max_length=10, default="wechat")
    # WeChat Pay's mchid, Alipay's seller id.
    merchant_id = models.CharField(max_length=32)
    out_trade_no = models.CharField(max_length=64)
    # The request as it came: the same number with other parameters is refused.
    request = models.JSONField()
    amount_fen = models.BigIntegerField()
    openid = models.CharField(max_length=128)
    notify_url = models.CharField(max_length=500)
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=10, default="NOTPAY")
    transaction_id = models.CharField(max_length=32, unique=True, null=True)
    paid_at = models.DateTimeField(null=True)
    made_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["platform", "merchant_id", "out_trade_no"], name="trade_once"
            ),
        ]


class Balance(models.Model):
    """What a merchant has to refund from; without a row it never runs out."""

    platform = models.CharField(max_length=10, unique=True)
    amount_fen = models.BigIntegerField()


class PhoneCode(models.Model):
    """What the phone button gave: good once, for five minutes."""

    code = models.CharField(max_length=64, unique=True)
    person = models.ForeignKey(Person, models.CASCADE)
    phone = models.CharField(max_length=20)
    country = models.CharField(max_length=5, default="86")
    made_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)


class Consent(models.Model):
    """How many messages of a template somebody agreed to."""

    openid = models.CharField(max_length=128)
    template_id = models.CharField(max_length=64)
    count = models.IntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["openid", "template_id"], name="consent_once"),
        ]


class Message(models.Model):
    """A subscribe message that reached the phone."""

    openid = models.CharField(max_length=128)
    template_id = models.CharField(max_length=64)
    page = models.CharField(max_length=200, blank=True)
    data = models.JSONField()
    sent_at = models.DateTimeField()


class Shipping(models.Model):
    """What was uploaded of a payment's parcels: WeChat's order states 1 to ship, 2 shipped, 3 confirmed."""

    trade = models.OneToOneField("Trade", models.CASCADE, related_name="shipping")
    mode = models.IntegerField()
    parcels = models.JSONField(default=list)
    is_finished = models.BooleanField(default=False)
    reships = models.IntegerField(default=0)
    uploaded_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)
    is_reminded = models.BooleanField(default=False)


class Prepay(models.Model):
    prepay_id = models.CharField(max_length=64, unique=True)
    trade = models.ForeignKey(Trade, models.CASCADE, related_name="prepays")
    ends_at = models.DateTimeField()


class Refund(models.Model):
    """PROCESSING, SUCCESS, ABNORMAL or CLOSED; ``settles_at`` is when the bank is done."""

    out_refund_no = models.CharField(max_length=64)
    trade = models.ForeignKey(Trade, models.CASCADE, related_name="refunds")
    request = models.JSONField()
    refund_id = models.CharField(max_length=32, unique=True)
    amount_fen = models.BigIntegerField()
    notify_url = models.CharField(max_length=500, blank=True)
    status = models.CharField(max_length=12, default="PROCESSING")
    outcome = models.CharField(max_length=12, default="SUCCESS")
    received_by = models.CharField(max_length=60, default="支付用户零钱")
    settles_at = models.DateTimeField()
    made_at = models.DateTimeField()
    succeeded_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["trade", "out_refund_no"], name="refund_once"),
        ]


class Notification(models.Model):
    """A notice to the shop, repeated until it is taken. ``due_at`` NULL: no more tries."""

    platform = models.CharField(max_length=10, default="wechat")
    id = models.CharField(primary_key=True, max_length=36)
    url = models.CharField(max_length=500)
    event_type = models.CharField(max_length=40)
    resource = models.JSONField()
    # A fault that spoils the message on its first way: wrong_signature, probe, stale_timestamp.
    spoil = models.CharField(max_length=30, blank=True)
    copies = models.IntegerField(default=1)
    attempts = models.IntegerField(default=0)
    due_at = models.DateTimeField(null=True, db_index=True)
    answers = models.JSONField(default=list)
    made_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)


class Certificate(models.Model):
    """A platform certificate of WeChat Pay, with its key."""

    serial = models.CharField(max_length=64, unique=True)
    pem = models.TextField()
    private_pem = models.TextField()
    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField()


class BillFile(models.Model):
    """A bill as it was written, for whoever has its address."""

    token = models.CharField(max_length=40, unique=True)
    content = models.BinaryField()
    made_at = models.DateTimeField()


class Fault(models.Model):
    """A misbehaviour that was asked for, by target, for a number of times."""

    target = models.CharField(max_length=40, db_index=True)
    fault = models.CharField(max_length=40)
    times = models.IntegerField()
    options: Any = models.JSONField(default=dict)


class Clock(models.Model):
    """How far the sandbox's time is ahead."""

    seconds = models.FloatField(default=0)
