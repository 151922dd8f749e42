import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Clock',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('seconds', models.FloatField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name='Fault',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('target', models.CharField(db_index=True, max_length=40)),
                ('fault', models.CharField(max_length=40)),
                ('times', models.IntegerField()),
                ('options', models.JSONField(default=dict)),
            ],
        ),
        migrations.CreateModel(
            name='Notification',
            fields=[
                ('id', models.CharField(max_length=36, primary_key=True, serialize=False)),
                ('url', models.CharField(max_length=500)),
                ('event_type', models.CharField(max_length=40)),
                ('resource', models.JSONField()),
                ('spoil', models.CharField(blank=True, max_length=30)),
                ('copies', models.IntegerField(default=1)),
                ('attempts', models.IntegerField(default=0)),
                ('due_at', models.DateTimeField(db_index=True, null=True)),
                ('answers', models.JSONField(default=list)),
                ('made_at', models.DateTimeField()),
                ('delivered_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Person',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('openid', models.CharField(max_length=128, unique=True)),
                ('unionid', models.CharField(blank=True, max_length=128)),
                ('name', models.CharField(blank=True, max_length=50)),
            ],
        ),
        migrations.CreateModel(
            name='StableToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('token', models.CharField(max_length=512, unique=True)),
                ('made_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Trade',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('out_trade_no', models.CharField(max_length=32, unique=True)),
                ('request', models.JSONField()),
                ('amount_fen', models.BigIntegerField()),
                ('openid', models.CharField(max_length=128)),
                ('notify_url', models.CharField(max_length=500)),
                ('expires_at', models.DateTimeField()),
                ('state', models.CharField(default='NOTPAY', max_length=10)),
                ('transaction_id', models.CharField(max_length=32, null=True, unique=True)),
                ('paid_at', models.DateTimeField(null=True)),
                ('made_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='LoginCode',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', models.CharField(max_length=64, unique=True)),
                ('made_at', models.DateTimeField()),
                ('used_at', models.DateTimeField(null=True)),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='sandbox.person')),
            ],
        ),
        migrations.CreateModel(
            name='Refund',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('out_refund_no', models.CharField(max_length=64, unique=True)),
                ('request', models.JSONField()),
                ('refund_id', models.CharField(max_length=32, unique=True)),
                ('amount_fen', models.BigIntegerField()),
                ('notify_url', models.CharField(blank=True, max_length=500)),
                ('status', models.CharField(default='PROCESSING', max_length=12)),
                ('outcome', models.CharField(default='SUCCESS', max_length=12)),
                ('settles_at', models.DateTimeField()),
                ('made_at', models.DateTimeField()),
                ('succeeded_at', models.DateTimeField(null=True)),
                ('trade', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='refunds', to='sandbox.trade')),
            ],
        ),
        migrations.CreateModel(
            name='Prepay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('prepay_id', models.CharField(max_length=64, unique=True)),
                ('ends_at', models.DateTimeField()),
                ('trade', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='prepays', to='sandbox.trade')),
            ],
        ),
    ]
