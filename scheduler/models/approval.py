from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from scheduler.models.gate import Gate
from scheduler.models.promotion import Promotion

NAME = 150  # characters, of a user's name


def _names() -> ArrayField[list[str], list[str]]:
    return ArrayField(models.CharField(max_length=NAME), default=list, blank=True)


class ApproverGroup(models.Model):
    """People of a project who decide together, under a name that rules give."""

    project = models.CharField(max_length=64)
    name = models.CharField(max_length=64)
    members = _names()
    set_by = models.CharField(max_length=NAME)
    set_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="approver_group_unique")]

    def __str__(self) -> str:
        return f"{self.project}:{self.name}"


class ApprovalRule(models.Model):
    """Who decides about gates, and how many of them it takes. Empty `domain`, `workflow` or `signal_id`: any.

    Of several rules that fit a gate the narrowest counts: by signal before workflow before domain.
    """

    project = models.CharField(max_length=64)
    domain = models.CharField(max_length=64, blank=True, default="")
    workflow = models.CharField(max_length=255, blank=True, default="")
    signal_id = models.CharField(max_length=255, blank=True, default="")
    people = _names()
    groups = _names()
    role = models.CharField(max_length=16, blank=True, default="")
    quorum = models.PositiveIntegerField(default=1)
    rejections = models.PositiveIntegerField(default=1)  # so many end it
    author_may = models.BooleanField(default=False)
    escalate_before = models.DurationField(null=True)  # the time-out, others are asked too
    escalate_to = _names()  # people, and groups as `group:NAME`
    set_by = models.CharField(max_length=NAME)
    set_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "domain", "workflow", "signal_id"], name="approval_rule_unique"),
            models.CheckConstraint(condition=Q(quorum__gte=1, rejections__gte=1), name="approval_rule_counts"),
        ]

    def __str__(self) -> str:
        return "/".join((self.project, self.domain or "*", self.workflow or "*", self.signal_id or "*"))


class Delegation(models.Model):
    """While it lasts, `to` decides for `giver`; empty `project`: everywhere."""

    giver = models.CharField(max_length=NAME)
    to = models.CharField(max_length=NAME)
    project = models.CharField(max_length=64, blank=True, default="")
    reason = models.TextField(blank=True, default="")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    created_by = models.CharField(max_length=NAME)
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(ends_at__gt=models.F("starts_at")), name="delegation_ends")]
        indexes = [models.Index(fields=["to", "ends_at"], name="delegation_to", condition=Q(revoked_at__isnull=True))]

    def __str__(self) -> str:
        return f"{self.to} for {self.giver} until {self.ends_at:%Y-%m-%d %H:%M}"


class GateVote(models.Model):
    """What one person said about a gate, or about a promotion, and what he had before him. A voided one counts for
    nothing, and stays.
    """

    gate = models.ForeignKey(Gate, null=True, on_delete=models.CASCADE, related_name="votes")
    promotion = models.ForeignKey(Promotion, null=True, on_delete=models.CASCADE, related_name="votes")
    actor = models.CharField(max_length=NAME)
    acting_for = models.CharField(max_length=NAME)  # whose seat it was; himself, unless it was delegated
    approve = models.BooleanField()
    comment = models.TextField(blank=True, default="")
    at = models.DateTimeField()
    digest = models.CharField(max_length=64, blank=True, default="")  # of what was reviewed
    voided_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["gate", "actor"], condition=Q(voided_at__isnull=True), name="vote_once"),
            models.UniqueConstraint(
                fields=["gate", "acting_for"], condition=Q(voided_at__isnull=True), name="vote_one_seat"
            ),
            models.UniqueConstraint(
                fields=["promotion", "actor"], condition=Q(voided_at__isnull=True), name="promotion_vote_once"
            ),
            models.UniqueConstraint(
                fields=["promotion", "acting_for"], condition=Q(voided_at__isnull=True), name="promotion_vote_one_seat"
            ),
            models.CheckConstraint(
                condition=Q(gate__isnull=True) ^ Q(promotion__isnull=True), name="vote_about_one_thing"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.actor}: {'approve' if self.approve else 'reject'}"


class Decision(models.Model):
    """What came of the votes about a gate or a promotion, the rule it stood on, and what had been reviewed, fixed by a
    digest.

    Voided when what was reviewed is no longer what it was: it does not count from then on, and stays for the record.
    """

    gate = models.ForeignKey(Gate, null=True, on_delete=models.CASCADE, related_name="decisions")
    promotion = models.ForeignKey(Promotion, null=True, on_delete=models.CASCADE, related_name="decisions")
    approved = models.BooleanField()
    at = models.DateTimeField(db_index=True)
    rule = models.JSONField(default=dict)
    votes = models.JSONField(default=list)  # as they were counted
    reviewed = models.JSONField(default=dict)  # scheduler.approving.review
    digest = models.CharField(max_length=64)
    version = models.ForeignKey(
        "artifacts.ArtifactVersion", null=True, on_delete=models.PROTECT, related_name="decisions"
    )
    checked_at = models.DateTimeField(null=True)  # when what was reviewed was last found to be the same
    voided_at = models.DateTimeField(null=True)
    void_reason = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(gate__isnull=True) ^ Q(promotion__isnull=True), name="decision_about_one_thing"
            ),
        ]
        indexes = [
            models.Index(fields=["checked_at"], name="decision_to_check", condition=Q(voided_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.subject}: {'approved' if self.approved else 'rejected'}"

    @property
    def place(self) -> tuple[str, str]:
        """Project and domain where it was decided."""
        if self.gate is not None:
            return self.gate.execution.project, self.gate.execution.domain
        return (self.promotion.project, self.promotion.domain) if self.promotion is not None else ("", "")

    @property
    def subject(self) -> str:
        """What it is about, as the audit trail names it."""
        if self.gate is not None:
            return f"{self.gate.execution.key}/{self.gate.signal_id}"
        return str(self.promotion)


class SigningKey(models.Model):
    """The key that evidence is signed with: Ed25519, the private half sealed. The newest signs, all of them verify."""

    key_id = models.CharField(max_length=16, unique=True)  # of the public half: the beginning of its SHA-256
    public = models.BinaryField()  # 32 bytes
    sealed = models.BinaryField()  # scheduler.secrets.cipher
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.key_id
