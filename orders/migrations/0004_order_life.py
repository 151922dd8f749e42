from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0003_ledger'),
    ]

    operations = [
        migrations.AddField(
            model_name='order',
            name='hidden_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='hidden by the customer at'),
        ),
        migrations.AddField(
            model_name='order',
            name='is_flagged',
            field=models.BooleanField(default=False, verbose_name='flagged'),
        ),
        migrations.AddField(
            model_name='order',
            name='reminded_at',
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name='reminded at'),
        ),
        migrations.AddField(
            model_name='order',
            name='staff_note',
            field=models.TextField(blank=True, max_length=1000, verbose_name="staff's note"),
        ),
        migrations.AddField(
            model_name='orderevent',
            name='kind',
            field=models.CharField(choices=[('status', 'status'), ('reminder', 'reminded to pay'), ('price', 'price adjusted'), ('address', 'address changed'), ('note', 'note')], default='status', max_length=10, verbose_name='kind'),
        ),
    ]
