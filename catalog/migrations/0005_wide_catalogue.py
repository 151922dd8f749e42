import catalog.models.pictures
import catalog.models.product
import django.core.validators
import django.db.models.deletion
import miniback.core.fields
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0004_reviews_and_limits'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Banner',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('title', models.CharField(max_length=50, verbose_name='title')),
                ('picture', models.ImageField(upload_to=catalog.models.pictures.picture_path, verbose_name='picture')),
                ('link_kind', models.CharField(choices=[('none', 'nowhere'), ('product', 'a product (its id)'), ('category', 'a category (its id)'), ('brand', 'a brand (its id)'), ('search', 'a search (its words)'), ('page', 'a page of the mini program (its path)'), ('web', 'a web page (https)')], default='none', max_length=10, verbose_name='leads to')),
                ('link_value', models.CharField(blank=True, max_length=300, verbose_name='which')),
                ('starts_at', models.DateTimeField(blank=True, null=True, verbose_name='from')),
                ('ends_at', models.DateTimeField(blank=True, null=True, verbose_name='until')),
                ('position', models.PositiveIntegerField(default=0, help_text='low first', verbose_name='position')),
                ('is_visible', models.BooleanField(default=True, verbose_name='visible')),
            ],
            options={
                'verbose_name': 'banner',
                'verbose_name_plural': 'banners',
            },
        ),
        migrations.CreateModel(
            name='Favourite',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(verbose_name='created at')),
            ],
            options={
                'verbose_name': 'favourite',
                'verbose_name_plural': 'favourites',
            },
        ),
        migrations.CreateModel(
            name='Footprint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('viewed_at', models.DateTimeField(verbose_name='viewed at')),
            ],
            options={
                'verbose_name': 'footprint',
                'verbose_name_plural': 'footprints',
            },
        ),
        migrations.CreateModel(
            name='HomeRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('title', models.CharField(max_length=50, verbose_name='title')),
                ('rule', models.CharField(choices=[('picked', 'chosen by hand'), ('newest', 'newest'), ('best_selling', 'best selling')], default='newest', max_length=15, verbose_name='products')),
                ('size', models.PositiveSmallIntegerField(default=6, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(20)], verbose_name='how many')),
                ('position', models.PositiveIntegerField(default=0, help_text='low first', verbose_name='position')),
                ('is_visible', models.BooleanField(default=True, verbose_name='visible')),
            ],
            options={
                'verbose_name': 'row of the home page',
                'verbose_name_plural': 'rows of the home page',
            },
        ),
        migrations.CreateModel(
            name='HomeRowProduct',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.PositiveIntegerField(default=0, help_text='low first', verbose_name='position')),
            ],
            options={
                'verbose_name': 'chosen product',
                'verbose_name_plural': 'chosen products',
            },
        ),
        migrations.CreateModel(
            name='HotKeyword',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('keyword', miniback.core.fields.ExactCharField(max_length=30, unique=True, verbose_name='keyword')),
                ('is_default', models.BooleanField(default=False, help_text='stands in the empty search field', verbose_name='default')),
                ('is_highlighted', models.BooleanField(default=False, verbose_name='highlighted')),
                ('position', models.PositiveIntegerField(default=0, help_text='low first', verbose_name='position')),
            ],
            options={
                'verbose_name': 'hot keyword',
                'verbose_name_plural': 'hot keywords',
            },
        ),
        migrations.CreateModel(
            name='ProductFacet',
            fields=[
                ('pk', models.CompositePrimaryKey('facet', 'product_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('facet', miniback.core.fields.ExactCharField(max_length=100)),
                ('product', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='facets', to='catalog.product')),
            ],
            options={
                'verbose_name': 'product facet',
                'verbose_name_plural': 'product facets',
            },
        ),
        migrations.CreateModel(
            name='ReviewSummary',
            fields=[
                ('product', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='review_summary', serialize=False, to='catalog.product')),
                ('stars_1', models.PositiveIntegerField(default=0)),
                ('stars_2', models.PositiveIntegerField(default=0)),
                ('stars_3', models.PositiveIntegerField(default=0)),
                ('stars_4', models.PositiveIntegerField(default=0)),
                ('stars_5', models.PositiveIntegerField(default=0)),
                ('with_images', models.PositiveIntegerField(default=0)),
            ],
            options={
                'verbose_name': 'review summary',
                'verbose_name_plural': 'review summaries',
            },
        ),
        migrations.CreateModel(
            name='SearchHistory',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('keyword', miniback.core.fields.ExactCharField(max_length=50)),
                ('searched_at', models.DateTimeField(verbose_name='searched at')),
            ],
            options={
                'verbose_name': 'search of a customer',
                'verbose_name_plural': 'searches of customers',
            },
        ),
        migrations.CreateModel(
            name='SearchText',
            fields=[
                ('product', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='search_text', serialize=False, to='catalog.product')),
                ('text', models.TextField()),
            ],
            options={
                'verbose_name': 'search text',
                'verbose_name_plural': 'search texts',
            },
        ),
        migrations.CreateModel(
            name='SearchToken',
            fields=[
                ('pk', models.CompositePrimaryKey('token', 'product_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('token', miniback.core.fields.ExactCharField(max_length=16)),
                ('weight', models.SmallIntegerField()),
                ('product', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='search_tokens', to='catalog.product')),
            ],
            options={
                'verbose_name': 'search token',
                'verbose_name_plural': 'search tokens',
            },
        ),
        migrations.AddField(
            model_name='category',
            name='is_shortcut',
            field=models.BooleanField(default=False, verbose_name='on the home page'),
        ),
        migrations.AddField(
            model_name='product',
            name='attributes',
            field=models.JSONField(blank=True, default=dict, help_text='such as {"material": "cotton", "season": ["spring", "autumn"]}', validators=[catalog.models.product.validate_attributes], verbose_name='attributes'),
        ),
        migrations.AddField(
            model_name='product',
            name='related',
            field=models.ManyToManyField(blank=True, help_text='shown first; others of the category follow', to='catalog.product', verbose_name='related products'),
        ),
        migrations.AddField(
            model_name='product',
            name='tags',
            field=models.JSONField(blank=True, default=list, help_text='such as ["new"]', validators=[catalog.models.product.validate_tags], verbose_name='tags'),
        ),
        migrations.AddField(
            model_name='review',
            name='follow_up',
            field=models.CharField(blank=True, max_length=1000, verbose_name='follow-up'),
        ),
        migrations.AddField(
            model_name='review',
            name='follow_up_images',
            field=models.JSONField(blank=True, default=list, verbose_name='pictures of the follow-up'),
        ),
        migrations.AddField(
            model_name='review',
            name='followed_up_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='followed up at'),
        ),
        migrations.AddField(
            model_name='review',
            name='has_images',
            field=models.BooleanField(default=False, editable=False, verbose_name='with pictures'),
        ),
        migrations.AddField(
            model_name='review',
            name='replied_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='replied at'),
        ),
        migrations.AddField(
            model_name='review',
            name='reply',
            field=models.CharField(blank=True, max_length=1000, verbose_name='reply'),
        ),
        migrations.AlterField(
            model_name='product',
            name='published_at',
            field=models.DateTimeField(help_text='a scheduled product goes on sale then', verbose_name='published at'),
        ),
        migrations.AlterField(
            model_name='product',
            name='status',
            field=models.CharField(choices=[('draft', 'draft'), ('scheduled', 'scheduled'), ('on_sale', 'on sale'), ('off_sale', 'off sale')], default='draft', max_length=10, verbose_name='status'),
        ),
        migrations.AddIndex(
            model_name='product',
            index=models.Index(fields=['category', 'status', 'published_at', 'id'], name='product_category'),
        ),
        migrations.AddIndex(
            model_name='product',
            index=models.Index(fields=['brand', 'status', 'published_at', 'id'], name='product_brand'),
        ),
        migrations.AddField(
            model_name='favourite',
            name='product',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='catalog.product'),
        ),
        migrations.AddField(
            model_name='favourite',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='favourites', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='footprint',
            name='product',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='catalog.product'),
        ),
        migrations.AddField(
            model_name='footprint',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='footprints', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='homerow',
            name='category',
            field=models.ForeignKey(blank=True, help_text='of a rule: only this category and what is below it', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='catalog.category', verbose_name='category'),
        ),
        migrations.AddField(
            model_name='homerowproduct',
            name='product',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='catalog.product', verbose_name='product'),
        ),
        migrations.AddField(
            model_name='homerowproduct',
            name='row',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='picked', to='catalog.homerow'),
        ),
        migrations.AddField(
            model_name='homerow',
            name='products',
            field=models.ManyToManyField(related_name='+', through='catalog.HomeRowProduct', to='catalog.product'),
        ),
        migrations.AddField(
            model_name='searchhistory',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='searches', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddConstraint(
            model_name='favourite',
            constraint=models.UniqueConstraint(fields=('user', 'product'), name='favourite_once'),
        ),
        migrations.AddIndex(
            model_name='footprint',
            index=models.Index(fields=['user', 'viewed_at', 'id'], name='footprint_latest'),
        ),
        migrations.AddConstraint(
            model_name='footprint',
            constraint=models.UniqueConstraint(fields=('user', 'product'), name='footprint_once'),
        ),
        migrations.AddConstraint(
            model_name='homerowproduct',
            constraint=models.UniqueConstraint(fields=('row', 'product'), name='homerowproduct_once'),
        ),
        migrations.AddIndex(
            model_name='searchhistory',
            index=models.Index(fields=['user', 'searched_at', 'id'], name='searchhistory_latest'),
        ),
        migrations.AddConstraint(
            model_name='searchhistory',
            constraint=models.UniqueConstraint(fields=('user', 'keyword'), name='searchhistory_once'),
        ),
        migrations.AddIndex(
            model_name='searchtoken',
            index=models.Index(fields=['token', 'weight', 'product'], name='searchtoken_relevance'),
        ),
    ]
