from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sandbox", "0003_tokens_and_reminders")]

    operations = [
        migrations.CreateModel(
            name="Balance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("platform", models.CharField(max_length=10, unique=True)),
                ("amount_fen", models.BigIntegerField()),
            ],
        ),
        migrations.AddField(
            model_name="trade",
            name="merchant_id",
            field=models.CharField(default="", max_length=32),
            preserve_default=False,
        ),
        migrations.RemoveConstraint(model_name="trade", name="trade_once"),
        migrations.AddConstraint(
            model_name="trade",
            constraint=models.UniqueConstraint(
                fields=["platform", "merchant_id", "out_trade_no"], name="trade_once"
            ),
        ),
    ]
