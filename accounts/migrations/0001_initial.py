import django.contrib.auth.models
import django.contrib.auth.validators
import django.utils.timezone
import miniback.core.fields
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='User',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('password', models.CharField(max_length=128, verbose_name='password')),
                ('last_login', models.DateTimeField(blank=True, null=True, verbose_name='last login')),
                ('is_superuser', models.BooleanField(default=False, help_text='Designates that this user has all permissions without explicitly assigning them.', verbose_name='superuser status')),
                ('email', models.EmailField(blank=True, max_length=254, verbose_name='email address')),
                ('is_staff', models.BooleanField(default=False, help_text='Designates whether the user can log into this admin site.', verbose_name='staff status')),
                ('is_active', models.BooleanField(default=True, help_text='Designates whether this user should be treated as active. Unselect this instead of deleting accounts.', verbose_name='active')),
                ('date_joined', models.DateTimeField(default=django.utils.timezone.now, verbose_name='date joined')),
                ('username', miniback.core.fields.ExactCharField(blank=True, help_text='For staff; empty for customers.', max_length=150, null=True, unique=True, validators=[django.contrib.auth.validators.UnicodeUsernameValidator()], verbose_name='username')),
                ('nickname', models.CharField(blank=True, max_length=32, verbose_name='nickname')),
                ('phone', miniback.core.fields.EncryptedTextField(blank=True, verbose_name='phone')),
                ('phone_hash', models.CharField(blank=True, db_index=True, editable=False, max_length=64)),
                ('phone_tail_hash', models.CharField(blank=True, db_index=True, editable=False, max_length=64)),
            ],
            options={
                'verbose_name': 'user',
                'verbose_name_plural': 'users',
            },
            managers=[
                ('objects', django.contrib.auth.models.UserManager()),
            ],
        ),
        migrations.CreateModel(
            name='Address',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('recipient', models.CharField(max_length=50, verbose_name='recipient')),
                ('phone', miniback.core.fields.EncryptedTextField(verbose_name='phone')),
                ('phone_hash', models.CharField(db_index=True, editable=False, max_length=64)),
                ('phone_tail_hash', models.CharField(db_index=True, editable=False, max_length=64)),
                ('province', models.CharField(max_length=50, verbose_name='province')),
                ('city', models.CharField(max_length=50, verbose_name='city')),
                ('district', models.CharField(blank=True, max_length=50, verbose_name='district')),
                ('detail', miniback.core.fields.EncryptedTextField(verbose_name='street and number')),
                ('region_code', models.CharField(blank=True, max_length=6, verbose_name='region code')),
                ('is_default', models.BooleanField(default=False, verbose_name='default')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
            ],
            options={
                'verbose_name': 'address',
                'verbose_name_plural': 'addresses',
            },
        ),
        migrations.CreateModel(
            name='Identity',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('platform', models.CharField(choices=[('wechat', 'WeChat')], max_length=10, verbose_name='platform')),
                ('app_id', miniback.core.fields.ExactCharField(max_length=64, verbose_name='app id')),
                ('openid', miniback.core.fields.ExactCharField(max_length=128, verbose_name='openid')),
                ('unionid', miniback.core.fields.ExactCharField(blank=True, db_index=True, max_length=128, verbose_name='unionid')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
            ],
            options={
                'verbose_name': 'identity',
                'verbose_name_plural': 'identities',
            },
        ),
        migrations.CreateModel(
            name='Session',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('refresh_hash', models.CharField(max_length=64)),
                ('previous_hash', models.CharField(blank=True, max_length=64)),
                ('device', models.CharField(blank=True, max_length=200, verbose_name='device')),
                ('created_at', models.DateTimeField(verbose_name='created at')),
                ('rotated_at', models.DateTimeField(null=True, verbose_name='last refreshed at')),
                ('revoked_at', models.DateTimeField(null=True, verbose_name='revoked at')),
            ],
            options={
                'verbose_name': 'session',
                'verbose_name_plural': 'sessions',
            },
        ),
    ]
