import catalog.models
import django.db.models.deletion
import miniback.core.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Brand',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=50, unique=True, verbose_name='name')),
                ('logo', models.ImageField(blank=True, upload_to=catalog.models.picture_path, verbose_name='logo')),
            ],
            options={
                'verbose_name': 'brand',
                'verbose_name_plural': 'brands',
            },
        ),
        migrations.CreateModel(
            name='Category',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=50, verbose_name='name')),
                ('picture', models.ImageField(blank=True, upload_to=catalog.models.picture_path, verbose_name='picture')),
                ('position', models.PositiveIntegerField(default=0, help_text='low first', verbose_name='position')),
                ('is_visible', models.BooleanField(default=True, verbose_name='visible')),
                ('parent', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='children', to='catalog.category', verbose_name='parent')),
            ],
            options={
                'verbose_name': 'category',
                'verbose_name_plural': 'categories',
            },
        ),
        migrations.CreateModel(
            name='Product',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, verbose_name='name')),
                ('subtitle', models.CharField(blank=True, max_length=200, verbose_name='subtitle')),
                ('cover', models.ImageField(blank=True, upload_to=catalog.models.picture_path, verbose_name='cover')),
                ('detail_html', models.TextField(blank=True, verbose_name='description')),
                ('status', models.CharField(choices=[('draft', 'draft'), ('on_sale', 'on sale'), ('off_sale', 'off sale')], default='draft', max_length=10, verbose_name='status')),
                ('published_at', models.DateTimeField(verbose_name='published at')),
                ('price_fen', miniback.core.fields.FenField(default=0, editable=False, verbose_name='price')),
                ('market_price_fen', miniback.core.fields.FenField(editable=False, null=True, verbose_name='market price')),
                ('sales_count', models.PositiveIntegerField(default=0, editable=False, verbose_name='sold')),
                ('in_stock', models.BooleanField(default=False, editable=False, verbose_name='in stock')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated at')),
                ('brand', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='products', to='catalog.brand', verbose_name='brand')),
                ('category', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='products', to='catalog.category', verbose_name='category')),
            ],
            options={
                'verbose_name': 'product',
                'verbose_name_plural': 'products',
            },
        ),
        migrations.CreateModel(
            name='ProductOption',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=20, verbose_name='name')),
                ('values', models.JSONField(default=list, help_text='such as ["red", "blue"]', validators=[catalog.models.validate_option_values], verbose_name='values')),
                ('position', models.PositiveIntegerField(default=0, help_text='low first', verbose_name='position')),
                ('product', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='options', to='catalog.product')),
            ],
            options={
                'verbose_name': 'option',
                'verbose_name_plural': 'options',
            },
        ),
        migrations.CreateModel(
            name='ProductPicture',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('picture', models.ImageField(upload_to=catalog.models.picture_path, verbose_name='picture')),
                ('position', models.PositiveIntegerField(default=0, help_text='low first', verbose_name='position')),
                ('product', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='pictures', to='catalog.product')),
            ],
            options={
                'verbose_name': 'product picture',
                'verbose_name_plural': 'product pictures',
            },
        ),
        migrations.CreateModel(
            name='Sku',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', miniback.core.fields.ExactCharField(max_length=50, unique=True, verbose_name='SKU code')),
                ('options', models.JSONField(blank=True, default=dict, help_text='such as {"colour": "red"}', validators=[catalog.models.validate_sku_options], verbose_name='options')),
                ('price_fen', miniback.core.fields.FenField(verbose_name='price')),
                ('market_price_fen', miniback.core.fields.FenField(blank=True, null=True, verbose_name='market price')),
                ('stock', models.BigIntegerField(default=0, editable=False, verbose_name='stock')),
                ('picture', models.ImageField(blank=True, upload_to=catalog.models.picture_path, verbose_name='picture')),
                ('is_active', models.BooleanField(default=True, verbose_name='active')),
                ('product', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='skus', to='catalog.product', verbose_name='product')),
            ],
            options={
                'verbose_name': 'SKU',
                'verbose_name_plural': 'SKUs',
            },
        ),
        migrations.CreateModel(
            name='StockMovement',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('initial', 'initial'), ('adjust', 'adjusted by staff'), ('reserve', 'taken by an order'), ('release', 'given back by an order')], max_length=10, verbose_name='kind')),
                ('delta', models.BigIntegerField(verbose_name='change')),
                ('reference', miniback.core.fields.ExactCharField(db_index=True, help_text='such as an order number', max_length=40, verbose_name='reference')),
                ('event_key', miniback.core.fields.ExactCharField(max_length=100, unique=True, verbose_name='event key')),
                ('note', models.CharField(blank=True, max_length=200, verbose_name='reason')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('sku', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='movements', to='catalog.sku', verbose_name='SKU')),
            ],
            options={
                'verbose_name': 'stock movement',
                'verbose_name_plural': 'stock movements',
            },
        ),
        migrations.AddIndex(
            model_name='product',
            index=models.Index(fields=['status', 'published_at', 'id'], name='product_published'),
        ),
        migrations.AddIndex(
            model_name='product',
            index=models.Index(fields=['status', 'price_fen', 'id'], name='product_price'),
        ),
        migrations.AddIndex(
            model_name='product',
            index=models.Index(fields=['status', 'sales_count', 'id'], name='product_sales'),
        ),
        migrations.AddConstraint(
            model_name='productoption',
            constraint=models.UniqueConstraint(fields=('product', 'name'), name='productoption_once'),
        ),
        migrations.AddConstraint(
            model_name='sku',
            constraint=models.CheckConstraint(condition=models.Q(('stock__gte', 0)), name='sku_stock_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='sku',
            constraint=models.CheckConstraint(condition=models.Q(('price_fen__gte', 0)), name='sku_price_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='stockmovement',
            constraint=models.CheckConstraint(condition=models.Q(('delta', 0), _negated=True), name='stockmovement_not_nothing'),
        ),
    ]
