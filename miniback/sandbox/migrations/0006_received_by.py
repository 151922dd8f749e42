"""Who received a refund's money."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sandbox", "0005_name_merchants")]

    operations = [
        migrations.AddField(
            model_name="refund",
            name="received_by",
            field=models.CharField(default="支付用户零钱", max_length=60),
        ),
    ]
