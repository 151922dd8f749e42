"""Roles of the staff, as groups (docs/roles.md)."""

from typing import Any

from django.db import migrations

from orders.services.roles import make_roles


def forwards(apps: Any, schema_editor: Any) -> None:
    make_roles(apps.get_model("auth", "Group"), apps.get_model("auth", "Permission"))


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0010_daily_totals"),
        ("catalog", "0011_avatars"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]
