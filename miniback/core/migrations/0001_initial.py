import django.db.models.deletion
import miniback.core.fields
import miniback.core.models
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='JobLease',
            fields=[
                ('due_at', models.DateTimeField(blank=True, db_index=True, null=True, verbose_name='due at')),
                ('attempts', models.PositiveIntegerField(default=0, verbose_name='attempts')),
                ('last_error', models.CharField(blank=True, max_length=300, verbose_name='last error')),
                ('name', miniback.core.fields.ExactCharField(max_length=50, primary_key=True, serialize=False, verbose_name='name')),
                ('started_at', models.DateTimeField(null=True, verbose_name='started at')),
                ('finished_at', models.DateTimeField(null=True, verbose_name='finished at')),
            ],
            options={
                'verbose_name': 'background job',
                'verbose_name_plural': 'background jobs',
            },
        ),
        migrations.CreateModel(
            name='OutboxMessage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('due_at', models.DateTimeField(blank=True, db_index=True, null=True, verbose_name='due at')),
                ('attempts', models.PositiveIntegerField(default=0, verbose_name='attempts')),
                ('last_error', models.CharField(blank=True, max_length=300, verbose_name='last error')),
                ('topic', models.CharField(max_length=50, verbose_name='topic')),
                ('event_key', miniback.core.fields.ExactCharField(max_length=150, unique=True, verbose_name='event key')),
                ('payload', models.JSONField(verbose_name='payload')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('done_at', models.DateTimeField(blank=True, null=True, verbose_name='done at')),
            ],
            options={
                'verbose_name': 'outbox message',
                'verbose_name_plural': 'outbox messages',
            },
        ),
        migrations.CreateModel(
            name='Upload',
            fields=[
                ('id', miniback.core.fields.ExactCharField(default=miniback.core.models.random_id, editable=False, max_length=22, primary_key=True, serialize=False)),
                ('purpose', models.CharField(choices=[('avatar', 'avatar'), ('review', 'review'), ('refund', 'refund')], max_length=10, verbose_name='purpose')),
                ('file', models.FileField(max_length=200, upload_to=miniback.core.models.upload_path, verbose_name='file')),
                ('width', models.PositiveIntegerField(verbose_name='width in pixels')),
                ('height', models.PositiveIntegerField(verbose_name='height in pixels')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='uploads', to=settings.AUTH_USER_MODEL, verbose_name='user')),
            ],
            options={
                'verbose_name': 'upload',
                'verbose_name_plural': 'uploads',
            },
        ),
        migrations.CreateModel(
            name='IdempotencyKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', miniback.core.fields.ExactCharField(max_length=64)),
                ('request_hash', models.CharField(max_length=64)),
                ('kind', models.CharField(blank=True, max_length=50)),
                ('object_id', models.CharField(blank=True, max_length=50)),
                ('created_at', models.DateTimeField(auto_now_add=True, db_index=True)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('user', 'key'), name='idempotencykey_once_per_user')],
            },
        ),
    ]
