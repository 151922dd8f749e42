"""Of a payment without an order nothing may be left to refund."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orders", "0017_difference_approval")]

    operations = [
        migrations.RemoveConstraint(model_name="refund", name="refund_amount_not_negative"),
        migrations.AddConstraint(
            model_name="refund",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_fen__gte", 0)), name="refund_amount_not_negative"
            ),
        ),
    ]
