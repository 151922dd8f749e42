from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0001_initial'),
    ]

    operations = [
        migrations.AlterField(
            model_name='stockmovement',
            name='kind',
            field=models.CharField(choices=[('initial', 'initial'), ('adjust', 'adjusted by staff'), ('reserve', 'taken by an order'), ('release', 'given back by an order'), ('return', 'returned by a customer')], max_length=10, verbose_name='kind'),
        ),
    ]
