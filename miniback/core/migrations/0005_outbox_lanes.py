from django.db import migrations, models

LANES = {
    # Of Alipay too: any lane delivers what stands in it.
    'payment.close': 'wechatpay',
    'message.send': 'wechat',
    'shipping.upload': 'wechat',
    'review.check': 'wechat',
    'avatar.check': 'wechat',
    'catalog.reindex': 'long',
}


def fill_lanes(apps, schema_editor):
    """What is delivered needs no lane."""
    messages = apps.get_model('core', 'OutboxMessage').objects.filter(due_at__isnull=False)
    for topic, lane in LANES.items():
        messages.filter(topic=topic).update(lane=lane)


def forget_leases(apps, schema_editor):
    """Jobs have other names now; each makes its row when it first runs."""
    apps.get_model('core', 'JobLease').objects.all().delete()


class Migration(migrations.Migration):

    dependencies = [
        ('core', '0004_back_office'),
    ]

    operations = [
        migrations.AddField(
            model_name='outboxmessage',
            name='lane',
            field=models.CharField(choices=[('shop', 'the shop itself'), ('wechatpay', 'WeChat Pay'), ('alipay', 'Alipay'), ('wechat', 'WeChat'), ('long', 'long work')], default='shop', max_length=10, verbose_name='waits for'),
        ),
        migrations.AddIndex(
            model_name='outboxmessage',
            index=models.Index(fields=['lane', 'due_at'], name='outboxmessage_lane_due'),
        ),
        migrations.RunPython(fill_lanes, migrations.RunPython.noop),
        migrations.RunPython(forget_leases, forget_leases),
    ]
