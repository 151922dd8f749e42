from django.conf import settings
from django.db import migrations


def name_merchants(apps, schema_editor):
    """Until now there was one merchant at each platform."""
    trades = apps.get_model("sandbox", "Trade").objects.filter(merchant_id="")
    if not trades.exists():
        return
    lines = (settings.SANDBOX_DIR / "names.txt").read_text().split()
    names = dict(line.split("=", 1) for line in lines)
    trades.filter(platform="wechat").update(merchant_id=names["mch_id"])
    trades.filter(platform="alipay").update(merchant_id=names["alipay_seller_id"])


class Migration(migrations.Migration):
    dependencies = [("sandbox", "0004_merchants_and_balances")]

    operations = [migrations.RunPython(name_merchants, migrations.RunPython.noop)]
