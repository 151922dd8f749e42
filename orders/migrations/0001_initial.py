import django.db.models.deletion
import django.db.models.expressions
import miniback.core.fields
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('accounts', '0001_initial'),
        ('catalog', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Carrier',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', miniback.core.fields.ExactCharField(max_length=20, unique=True, verbose_name='code')),
                ('name', models.CharField(max_length=50, verbose_name='name')),
                ('is_active', models.BooleanField(default=True, verbose_name='active')),
            ],
            options={
                'verbose_name': 'carrier',
                'verbose_name_plural': 'carriers',
            },
        ),
        migrations.CreateModel(
            name='Order',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', miniback.core.fields.ExactCharField(max_length=32, unique=True, verbose_name='order number')),
                ('status', models.CharField(choices=[('pending_payment', 'waiting for payment'), ('paid', 'paid, to be shipped'), ('partly_shipped', 'partly shipped'), ('shipped', 'shipped'), ('completed', 'completed'), ('cancelled', 'cancelled')], default='pending_payment', max_length=20, verbose_name='status')),
                ('goods_fen', miniback.core.fields.FenField(verbose_name='goods')),
                ('freight_fen', miniback.core.fields.FenField(verbose_name='freight')),
                ('discount_fen', miniback.core.fields.FenField(verbose_name='discount')),
                ('payable_fen', miniback.core.fields.FenField(verbose_name='to pay')),
                ('note', models.CharField(blank=True, max_length=200, verbose_name="customer's note")),
                ('recipient', models.CharField(max_length=50, verbose_name='recipient')),
                ('phone', miniback.core.fields.EncryptedTextField(verbose_name='phone')),
                ('phone_hash', models.CharField(db_index=True, editable=False, max_length=64)),
                ('phone_tail_hash', models.CharField(db_index=True, editable=False, max_length=64)),
                ('province', models.CharField(max_length=50, verbose_name='province')),
                ('city', models.CharField(max_length=50, verbose_name='city')),
                ('district', models.CharField(blank=True, max_length=50, verbose_name='district')),
                ('detail', miniback.core.fields.EncryptedTextField(verbose_name='street and number')),
                ('region_code', models.CharField(blank=True, max_length=6, verbose_name='region code')),
                ('placed_at', models.DateTimeField(verbose_name='placed at')),
                ('placed_on', models.DateField(db_index=True, verbose_name='placed on (Shanghai)')),
                ('pay_before', models.DateTimeField(verbose_name='pay before')),
                ('paid_at', models.DateTimeField(blank=True, null=True, verbose_name='paid at')),
                ('shipped_at', models.DateTimeField(blank=True, null=True, verbose_name='shipped at')),
                ('completed_at', models.DateTimeField(blank=True, null=True, verbose_name='completed at')),
                ('cancelled_at', models.DateTimeField(blank=True, null=True, verbose_name='cancelled at')),
                ('cancel_reason', models.CharField(blank=True, max_length=200, verbose_name='reason of cancellation')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='orders', to=settings.AUTH_USER_MODEL, verbose_name='customer')),
            ],
            options={
                'verbose_name': 'order',
                'verbose_name_plural': 'orders',
            },
        ),
        migrations.CreateModel(
            name='OrderEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('event_key', miniback.core.fields.ExactCharField(max_length=100, unique=True, verbose_name='event key')),
                ('from_status', models.CharField(blank=True, choices=[('pending_payment', 'waiting for payment'), ('paid', 'paid, to be shipped'), ('partly_shipped', 'partly shipped'), ('shipped', 'shipped'), ('completed', 'completed'), ('cancelled', 'cancelled')], max_length=20, verbose_name='from')),
                ('to_status', models.CharField(choices=[('pending_payment', 'waiting for payment'), ('paid', 'paid, to be shipped'), ('partly_shipped', 'partly shipped'), ('shipped', 'shipped'), ('completed', 'completed'), ('cancelled', 'cancelled')], max_length=20, verbose_name='to')),
                ('actor', models.CharField(choices=[('customer', 'customer'), ('staff', 'staff'), ('job', 'background job'), ('platform', 'platform')], max_length=10, verbose_name='by')),
                ('note', models.CharField(blank=True, max_length=200, verbose_name='reason')),
                ('created_at', models.DateTimeField(verbose_name='at')),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='events', to='orders.order')),
                ('user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='person')),
            ],
            options={
                'verbose_name': 'order event',
                'verbose_name_plural': 'order events',
            },
        ),
        migrations.CreateModel(
            name='OrderLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, verbose_name='name')),
                ('sku_code', miniback.core.fields.ExactCharField(max_length=50, verbose_name='SKU code')),
                ('options', models.JSONField(default=dict, verbose_name='options')),
                ('picture', models.CharField(blank=True, max_length=100)),
                ('unit_fen', miniback.core.fields.FenField(verbose_name='unit price')),
                ('quantity', models.PositiveIntegerField(verbose_name='quantity')),
                ('discount_fen', miniback.core.fields.FenField(default=0, verbose_name='discount')),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='orders.order', verbose_name='order')),
                ('product', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='catalog.product', verbose_name='product')),
                ('sku', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='catalog.sku', verbose_name='SKU')),
            ],
            options={
                'verbose_name': 'order line',
                'verbose_name_plural': 'order lines',
            },
        ),
        migrations.CreateModel(
            name='Payment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('due_at', models.DateTimeField(blank=True, db_index=True, null=True, verbose_name='due at')),
                ('attempts', models.PositiveIntegerField(default=0, verbose_name='attempts')),
                ('last_error', models.CharField(blank=True, max_length=300, verbose_name='last error')),
                ('channel', models.CharField(choices=[('wechat', 'WeChat Pay')], max_length=10, verbose_name='channel')),
                ('number', miniback.core.fields.ExactCharField(max_length=32, unique=True, verbose_name='payment number')),
                ('open_key', miniback.core.fields.ExactCharField(editable=False, max_length=80, null=True, unique=True)),
                ('amount_fen', miniback.core.fields.FenField(verbose_name='amount')),
                ('status', models.CharField(choices=[('created', 'created'), ('unknown', 'being asked at the platform'), ('paid', 'paid'), ('closed', 'closed')], default='created', max_length=10, verbose_name='status')),
                ('is_applied', models.BooleanField(default=False, help_text='No: a late or second payment, to be refunded.', verbose_name='applied')),
                ('transaction_id', miniback.core.fields.ExactCharField(blank=True, max_length=64, null=True, verbose_name='transaction id')),
                ('prepay_id', miniback.core.fields.ExactCharField(blank=True, editable=False, max_length=128)),
                ('prepay_until', models.DateTimeField(editable=False, null=True)),
                ('checked_at', models.DateTimeField(editable=False, null=True, verbose_name='asked by the customer at')),
                ('created_at', models.DateTimeField(verbose_name='created at')),
                ('paid_at', models.DateTimeField(blank=True, null=True, verbose_name='paid at')),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='payments', to='orders.order', verbose_name='order')),
                ('payer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.identity', verbose_name='payer')),
            ],
            options={
                'verbose_name': 'payment',
                'verbose_name_plural': 'payments',
            },
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('due_at', models.DateTimeField(blank=True, db_index=True, null=True, verbose_name='due at')),
                ('attempts', models.PositiveIntegerField(default=0, verbose_name='attempts')),
                ('last_error', models.CharField(blank=True, max_length=300, verbose_name='last error')),
                ('channel', models.CharField(choices=[('wechat', 'WeChat Pay')], max_length=10, verbose_name='channel')),
                ('notice_id', miniback.core.fields.ExactCharField(max_length=64, verbose_name='notice id')),
                ('event_type', models.CharField(max_length=40, verbose_name='event')),
                ('headers', models.JSONField(verbose_name='headers')),
                ('body', models.TextField(verbose_name='body')),
                ('content', models.JSONField(verbose_name='content')),
                ('outcome', models.CharField(choices=[('new', 'not processed yet'), ('applied', 'applied'), ('ignored', 'nothing to do'), ('anomaly', 'does not match our books')], default='new', max_length=10, verbose_name='outcome')),
                ('note', models.CharField(blank=True, max_length=300, verbose_name='note')),
                ('received_at', models.DateTimeField(verbose_name='received at')),
                ('processed_at', models.DateTimeField(blank=True, null=True, verbose_name='processed at')),
                ('payment', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='notices', to='orders.payment', verbose_name='payment')),
            ],
            options={
                'verbose_name': 'notice',
                'verbose_name_plural': 'notices',
            },
        ),
        migrations.CreateModel(
            name='Refund',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('due_at', models.DateTimeField(blank=True, db_index=True, null=True, verbose_name='due at')),
                ('attempts', models.PositiveIntegerField(default=0, verbose_name='attempts')),
                ('last_error', models.CharField(blank=True, max_length=300, verbose_name='last error')),
                ('number', miniback.core.fields.ExactCharField(max_length=64, unique=True, verbose_name='refund number')),
                ('amount_fen', miniback.core.fields.FenField(verbose_name='amount')),
                ('status', models.CharField(choices=[('requested', 'requested'), ('approved', 'approved'), ('returning', 'goods on their way back'), ('processing', 'with the platform'), ('succeeded', 'succeeded'), ('failed', 'failed, to be tried again'), ('rejected', 'rejected'), ('withdrawn', 'withdrawn')], default='requested', max_length=10, verbose_name='status')),
                ('reason', models.CharField(max_length=80, verbose_name='reason')),
                ('platform_id', miniback.core.fields.ExactCharField(blank=True, max_length=64, verbose_name="platform's refund id")),
                ('created_at', models.DateTimeField(verbose_name='created at')),
                ('succeeded_at', models.DateTimeField(blank=True, null=True, verbose_name='succeeded at')),
                ('payment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='orders.payment', verbose_name='payment')),
            ],
            options={
                'verbose_name': 'refund',
                'verbose_name_plural': 'refunds',
            },
        ),
        migrations.CreateModel(
            name='Shipment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tracking_number', miniback.core.fields.ExactCharField(max_length=50, verbose_name='tracking number')),
                ('shipped_at', models.DateTimeField(verbose_name='shipped at')),
                ('carrier', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='orders.carrier', verbose_name='carrier')),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='shipments', to='orders.order', verbose_name='order')),
            ],
            options={
                'verbose_name': 'shipment',
                'verbose_name_plural': 'shipments',
            },
        ),
        migrations.CreateModel(
            name='CartLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('quantity', models.PositiveIntegerField(verbose_name='quantity')),
                ('is_selected', models.BooleanField(default=True, verbose_name='selected')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('sku', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='catalog.sku', verbose_name='SKU')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='cart_lines', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'cart line',
                'verbose_name_plural': 'cart lines',
                'constraints': [models.UniqueConstraint(fields=('user', 'sku'), name='cartline_one_per_sku'), models.CheckConstraint(condition=models.Q(('quantity__gte', 1)), name='cartline_quantity')],
            },
        ),
        migrations.AddIndex(
            model_name='order',
            index=models.Index(fields=['user', 'status', 'id'], name='order_user_status'),
        ),
        migrations.AddIndex(
            model_name='order',
            index=models.Index(fields=['status', 'pay_before'], name='order_status_pay_before'),
        ),
        migrations.AddIndex(
            model_name='order',
            index=models.Index(fields=['status', 'id'], name='order_status'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('payable_fen', django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F('goods_fen'), '+', models.F('freight_fen')), '-', models.F('discount_fen')))), name='order_payable_adds_up'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('discount_fen__gte', 0), ('freight_fen__gte', 0), ('payable_fen__gte', 0)), name='order_amounts_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='orderline',
            constraint=models.UniqueConstraint(fields=('order', 'sku'), name='orderline_one_per_sku'),
        ),
        migrations.AddConstraint(
            model_name='orderline',
            constraint=models.CheckConstraint(condition=models.Q(('discount_fen__gte', 0), ('quantity__gte', 1), ('unit_fen__gte', 0)), name='orderline_amounts'),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.UniqueConstraint(fields=('channel', 'transaction_id'), name='payment_transaction_once'),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.CheckConstraint(condition=models.Q(('amount_fen__gt', 0)), name='payment_amount_positive'),
        ),
        migrations.AddConstraint(
            model_name='notice',
            constraint=models.UniqueConstraint(fields=('channel', 'notice_id'), name='notice_once'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(('amount_fen__gt', 0)), name='refund_amount_positive'),
        ),
        migrations.AddConstraint(
            model_name='shipment',
            constraint=models.UniqueConstraint(fields=('order', 'carrier', 'tracking_number'), name='shipment_once'),
        ),
    ]
