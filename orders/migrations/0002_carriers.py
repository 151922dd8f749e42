from django.db import migrations

# WeChat's codes of delivery companies (get_delivery_list).
CARRIERS = {
    "SF": "顺丰速运",
    "ZTO": "中通快递",
    "YTO": "圆通速递",
    "STO": "申通快递",
    "YD": "韵达速递",
    "JTSD": "极兔速递",
    "JD": "京东快递",
    "EMS": "中国邮政",
    "DB": "德邦快递",
}


def add_carriers(apps, schema_editor):
    Carrier = apps.get_model("orders", "Carrier")
    Carrier.objects.bulk_create(Carrier(code=code, name=name) for code, name in CARRIERS.items())


def remove_carriers(apps, schema_editor):
    Carrier = apps.get_model("orders", "Carrier")
    Carrier.objects.filter(code__in=CARRIERS).delete()


class Migration(migrations.Migration):
    dependencies = [("orders", "0001_initial")]
    operations = [migrations.RunPython(add_carriers, remove_carriers)]
