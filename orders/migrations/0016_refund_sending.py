from django.db import migrations, models
from django.db.models import F


def fill(apps, schema_editor):
    """What the job has claimed before may have been sent."""
    refunds = apps.get_model("orders", "Refund").objects
    refunds.filter(out_refund_no__isnull=False, attempts__gt=0).update(sent_at=F("created_at"))


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0015_fill_accounts_and_numbers'),
    ]

    operations = [
        migrations.AddField(
            model_name='refund',
            name='is_amount_fixed',
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.AddField(
            model_name='refund',
            name='sent_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='sent to the platform at'),
        ),
        # The columns that it fills are taken away with them.
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
