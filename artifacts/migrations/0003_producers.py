from __future__ import annotations

from django.db import migrations, models

AT_ONCE = 500


def find_again_what_versions_with_an_at_made(apps, schema_editor) -> None:
    """`by:train` found nothing of `task:train@release@2`: the name was taken to end at the last `@`."""
    from artifacts.terms import terms_of

    versions = apps.get_model("artifacts", "ArtifactVersion").objects
    last = 0
    while rows := list(versions.filter(producer__contains="@", producer__regex="@.*@", pk__gt=last).order_by("pk")[:AT_ONCE]):
        for row in rows:
            versions.filter(pk=row.pk).update(terms=terms_of(row))
        last = rows[-1].pk


class Migration(migrations.Migration):
    dependencies = [("artifacts", "0002_complete")]

    operations = [
        migrations.AlterField(
            model_name="artifactversion",
            name="producer",
            field=models.CharField(blank=True, default="", max_length=600),
        ),
        migrations.RunPython(find_again_what_versions_with_an_at_made, migrations.RunPython.noop, elidable=True),
    ]
