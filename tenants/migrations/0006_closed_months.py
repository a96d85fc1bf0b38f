"""Whether usage of closed months is refused."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0005_optional_fields"),
    ]

    operations = [
        migrations.AddField(
            model_name="organization",
            name="refuses_closed",
            field=models.BooleanField(default=False),
        ),
    ]
