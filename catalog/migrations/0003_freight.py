import catalog.models
import django.db.models.deletion
import miniback.core.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0002_stock_returns'),
    ]

    operations = [
        migrations.CreateModel(
            name='FreightTemplate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=50, unique=True, verbose_name='name')),
                ('unit', models.CharField(choices=[('piece', 'by piece'), ('weight', 'by weight (grams)'), ('fixed', 'fixed')], default='piece', max_length=10, verbose_name='charged')),
            ],
            options={
                'verbose_name': 'freight template',
                'verbose_name_plural': 'freight templates',
            },
        ),
        migrations.AddField(
            model_name='sku',
            name='weight_g',
            field=models.PositiveIntegerField(default=0, verbose_name='weight in grams'),
        ),
        migrations.AddField(
            model_name='product',
            name='freight_template',
            field=models.ForeignKey(blank=True, help_text='empty: delivered free', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='products', to='catalog.freighttemplate', verbose_name='freight template'),
        ),
        migrations.CreateModel(
            name='FreightRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('regions', models.JSONField(blank=True, default=list, help_text='provinces, cities or beginnings of region codes; empty: everywhere else', validators=[catalog.models.validate_regions], verbose_name='regions')),
                ('is_served', models.BooleanField(default=True, verbose_name='delivered')),
                ('first_units', models.PositiveIntegerField(default=1, verbose_name='first units')),
                ('first_fen', miniback.core.fields.FenField(default=0, verbose_name='price of the first units')),
                ('extra_units', models.PositiveIntegerField(default=1, verbose_name='each further units')),
                ('extra_fen', miniback.core.fields.FenField(default=0, verbose_name='price of each further')),
                ('free_from_fen', miniback.core.fields.FenField(blank=True, null=True, verbose_name='free from an amount of')),
                ('free_from_units', models.PositiveIntegerField(blank=True, null=True, verbose_name='free from units')),
                ('template', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rules', to='catalog.freighttemplate')),
            ],
            options={
                'verbose_name': 'freight rule',
                'verbose_name_plural': 'freight rules',
                'constraints': [models.CheckConstraint(condition=models.Q(('extra_fen__gte', 0), ('first_fen__gte', 0)), name='freightrule_not_negative')],
            },
        ),
    ]
