import django.db.models.deletion
import miniback.core.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0002_carriers'),
    ]

    operations = [
        migrations.CreateModel(
            name='LedgerTransaction',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('event_key', miniback.core.fields.ExactCharField(max_length=100, unique=True, verbose_name='event key')),
                ('posted_at', models.DateTimeField(verbose_name='posted at')),
                ('posted_on', models.DateField(db_index=True, verbose_name='posted on (Shanghai)')),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='ledger', to='orders.order', verbose_name='order')),
            ],
            options={
                'verbose_name': 'ledger transaction',
                'verbose_name_plural': 'ledger transactions',
            },
        ),
        migrations.CreateModel(
            name='LedgerEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('account', models.CharField(choices=[('receivable', 'receivable from customers'), ('platform:wechat', 'at WeChat Pay'), ('customer_refunds', 'owed back to customers'), ('goods', 'goods sold'), ('freight', 'freight charged'), ('coupons', 'discounts given')], db_index=True, max_length=20, verbose_name='account')),
                ('amount_fen', miniback.core.fields.FenField(verbose_name='amount')),
                ('transaction', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='orders.ledgertransaction', verbose_name='transaction')),
            ],
            options={
                'verbose_name': 'ledger entry',
                'verbose_name_plural': 'ledger entries',
                'constraints': [models.CheckConstraint(condition=models.Q(('amount_fen', 0), _negated=True), name='ledgerentry_not_nothing')],
            },
        ),
    ]
