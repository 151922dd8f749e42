from django.db import migrations
from django.db.models import F


def fill(apps, schema_editor):
    """Until now an order was shipped whole, in its one parcel."""
    OrderLine = apps.get_model("orders", "OrderLine")
    ShipmentLine = apps.get_model("orders", "ShipmentLine")
    Shipment = apps.get_model("orders", "Shipment")
    shipped = OrderLine.objects.filter(order__status__in=["shipped", "completed"])
    shipped.update(shipped_quantity=F("quantity") - F("released_quantity"))
    for shipment in Shipment.objects.iterator():
        lines = OrderLine.objects.filter(order_id=shipment.order_id, shipped_quantity__gt=0)
        ShipmentLine.objects.bulk_create(
            ShipmentLine(shipment=shipment, line=line, quantity=line.shipped_quantity)
            for line in lines
        )


def empty(apps, schema_editor):
    apps.get_model("orders", "ShipmentLine").objects.all().delete()
    apps.get_model("orders", "OrderLine").objects.update(shipped_quantity=0)


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0006_coupons_and_parcels'),
    ]

    operations = [
        migrations.RunPython(fill, empty),
    ]
