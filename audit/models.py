from __future__ import annotations

from django.db import models


class AuditEvent(models.Model):
    """Who did what, dotted verb first: `gate.approve`, `launch_plan.activate`, `token.create`."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.CharField(max_length=150)
    verb = models.CharField(max_length=64)
    project = models.CharField(max_length=64, blank=True, default="")
    domain = models.CharField(max_length=64, blank=True, default="")
    subject = models.CharField(max_length=500)
    detail = models.JSONField(default=dict)

    class Meta:
        db_table = "accounts_auditevent"  # it was one of the accounts' once

    def __str__(self) -> str:
        return f"{self.actor} {self.verb} {self.subject}"
