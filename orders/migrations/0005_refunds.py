import django.db.models.deletion
import miniback.core.fields
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0002_stock_returns'),
        ('orders', '0004_order_life'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='RefundLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('quantity', models.PositiveIntegerField(verbose_name='quantity')),
                ('claimed_fen', miniback.core.fields.FenField(verbose_name='asked for')),
                ('amount_fen', miniback.core.fields.FenField(verbose_name='amount')),
            ],
            options={
                'verbose_name': 'refund line',
                'verbose_name_plural': 'refund lines',
            },
        ),
        migrations.AddField(
            model_name='orderline',
            name='refunded_fen',
            field=miniback.core.fields.FenField(default=0, verbose_name='refunded'),
        ),
        migrations.AddField(
            model_name='orderline',
            name='refunded_quantity',
            field=models.PositiveIntegerField(default=0, verbose_name='refunded pieces'),
        ),
        migrations.AddField(
            model_name='orderline',
            name='released_quantity',
            field=models.PositiveIntegerField(default=0, verbose_name='pieces not to ship'),
        ),
        migrations.AddField(
            model_name='refund',
            name='decided_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='decided at'),
        ),
        migrations.AddField(
            model_name='refund',
            name='decided_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='decided by'),
        ),
        migrations.AddField(
            model_name='refund',
            name='decision',
            field=models.CharField(blank=True, max_length=200, verbose_name="staff's answer"),
        ),
        migrations.AddField(
            model_name='refund',
            name='freight_fen',
            field=miniback.core.fields.FenField(default=0, verbose_name='freight'),
        ),
        migrations.AddField(
            model_name='refund',
            name='images',
            field=models.JSONField(blank=True, default=list, verbose_name='pictures'),
        ),
        migrations.AddField(
            model_name='refund',
            name='is_shipped',
            field=models.BooleanField(default=False, verbose_name='after shipment'),
        ),
        migrations.AddField(
            model_name='refund',
            name='kind',
            field=models.CharField(choices=[('auto', 'late or second payment'), ('refund_only', 'refund only'), ('return', 'return and refund')], default='auto', max_length=12, verbose_name='kind'),
        ),
        migrations.AddField(
            model_name='refund',
            name='return_carrier',
            field=models.CharField(blank=True, max_length=50, verbose_name='carrier of the return'),
        ),
        migrations.AddField(
            model_name='refund',
            name='return_tracking',
            field=models.CharField(blank=True, max_length=50, verbose_name='tracking number of the return'),
        ),
        migrations.AddConstraint(
            model_name='orderline',
            constraint=models.CheckConstraint(condition=models.Q(('refunded_fen__gte', 0), ('refunded_quantity__lte', models.F('quantity')), ('released_quantity__lte', models.F('refunded_quantity'))), name='orderline_refunds'),
        ),
        migrations.AddField(
            model_name='refundline',
            name='line',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='refund_lines', to='orders.orderline', verbose_name='order line'),
        ),
        migrations.AddField(
            model_name='refundline',
            name='refund',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='orders.refund'),
        ),
        migrations.AddConstraint(
            model_name='refundline',
            constraint=models.UniqueConstraint(fields=('refund', 'line'), name='refundline_once'),
        ),
        migrations.AddConstraint(
            model_name='refundline',
            constraint=models.CheckConstraint(condition=models.Q(('amount_fen__gte', 0), ('claimed_fen__gte', models.F('amount_fen')), ('quantity__gte', 1)), name='refundline_amounts'),
        ),
    ]
