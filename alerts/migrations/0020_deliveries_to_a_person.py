import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0003_alert_rules"),
        ("tenants", "0006_closed_months"),
    ]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="link",
            field=models.CharField(blank=True, default="", max_length=500),
        ),
        migrations.AddField(
            model_name="delivery",
            name="recipient",
            field=models.EmailField(blank=True, default="", max_length=254),
        ),
        migrations.AlterField(
            model_name="delivery",
            name="channel",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="alerts.channel",
            ),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.UniqueConstraint(
                condition=models.Q(("recipient", ""), _negated=True),
                fields=("organization", "alert", "recipient"),
                name="delivery_once_per_alert_and_person",
            ),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("channel__isnull", False), ("link", ""), ("recipient", "")),
                    models.Q(("channel__isnull", True), models.Q(("recipient", ""), _negated=True)),
                    _connector="OR",
                ),
                name="delivery_to_a_channel_or_a_person",
            ),
        ),
    ]
