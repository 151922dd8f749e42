from django.conf import settings
from django.db import migrations
from django.db.models import F, OuterRef, Subquery

AGREED = ["approved", "processing", "succeeded", "failed"]


def fill(apps, schema_editor):
    """Until now there was one account, a refund had one number, and every refund had a payment."""
    Payment = apps.get_model("orders", "Payment")
    Refund = apps.get_model("orders", "Refund")
    Bill = apps.get_model("orders", "Bill")
    BillDifference = apps.get_model("orders", "BillDifference")
    accounts = {
        "wechat": (settings.WECHAT_APP_ID, settings.WECHATPAY_MCH_ID),
        "alipay": (settings.ALIPAY_APP_ID, settings.ALIPAY_SELLER_ID),
    }
    for channel, (app_id, merchant_id) in accounts.items():
        values = {"app_id": app_id, "merchant_id": merchant_id}
        Payment.objects.filter(channel=channel).update(**values)
        Bill.objects.filter(channel=channel).update(**values, agreed_at=F("compared_at"))
        BillDifference.objects.filter(bill__channel=channel).update(channel=channel, **values)
    payment = Payment.objects.filter(pk=OuterRef("payment_id"))
    Refund.objects.update(order_id=Subquery(payment.values("order_id")[:1]))
    Refund.objects.filter(status__in=AGREED).update(out_refund_no=F("number"))
    failed = Refund.objects.filter(status="failed")
    for status in ("ABNORMAL", "CLOSED"):
        failed.filter(last_error=status).update(platform_status=status)
    compared = Bill.objects.filter(pk=OuterRef("bill_id")).values("compared_at")[:1]
    BillDifference.objects.update(found_at=Subquery(compared))
    resolved = BillDifference.objects.filter(status="resolved")
    resolved.filter(resolved_by=None).update(resolution="agrees")
    resolved.exclude(resolved_by=None).update(resolution="explained")
    open_bills = BillDifference.objects.filter(status="open").values("bill_id")
    Bill.objects.filter(pk__in=open_bills).update(agreed_at=None, due_at=F("compared_at"))


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0014_corrections'),
    ]

    operations = [
        # The columns that it fills are taken away with them.
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
