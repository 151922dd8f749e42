
import miniback.core.pictures
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0005_wide_catalogue'),
    ]

    operations = [
        migrations.AlterField(
            model_name='banner',
            name='picture',
            field=miniback.core.pictures.PictureField(upload_to='', verbose_name='picture'),
        ),
        migrations.AlterField(
            model_name='brand',
            name='logo',
            field=miniback.core.pictures.PictureField(blank=True, upload_to='', verbose_name='logo'),
        ),
        migrations.AlterField(
            model_name='category',
            name='picture',
            field=miniback.core.pictures.PictureField(blank=True, upload_to='', verbose_name='picture'),
        ),
        migrations.AlterField(
            model_name='product',
            name='cover',
            field=miniback.core.pictures.PictureField(blank=True, upload_to='', verbose_name='cover'),
        ),
        migrations.AlterField(
            model_name='productpicture',
            name='picture',
            field=miniback.core.pictures.PictureField(upload_to='', verbose_name='picture'),
        ),
        migrations.AlterField(
            model_name='sku',
            name='picture',
            field=miniback.core.pictures.PictureField(blank=True, upload_to='', verbose_name='picture'),
        ),
    ]
