"""Notifications by mail, through Django's mail back end."""

from __future__ import annotations

import smtplib

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.mail import EmailMessage

from scheduler.models import Notification
from scheduler.notifications.refusal import NotSetUp, Refused
from scheduler.notifications.texts import subject_of, text_of

FOREVER = range(500, 600)  # SMTP's permanent refusals


def send(notification: Notification) -> None:
    """Raises Refused if the server does not take it, for good where trying again cannot help; NotSetUp without one."""
    if not is_set_up():
        raise NotSetUp("waits until a mail server is set: CAUSEWAY_SMTP_HOST")
    headers = {"Message-ID": f"<causeway-{notification.pk}@{_domain()}>"}  # sent twice, a reader shows it once
    to = _address_of(notification)
    message = EmailMessage(subject_of(notification), text_of(notification), to=[to], headers=headers)
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as refused:
        code, said = next(iter(refused.recipients.values()))
        raise Refused(f"{code} {said.decode(errors='replace')}", for_good=code in FOREVER) from None
    except smtplib.SMTPResponseException as refused:
        answer = refused.smtp_error
        told = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
        raise Refused(f"{refused.smtp_code} {told}", for_good=refused.smtp_code in FOREVER) from None
    except (OSError, smtplib.SMTPException) as error:
        raise Refused(f"{type(error).__name__}: {error}") from None
    except ValueError as error:  # an address that cannot be written into a header
        raise Refused(str(error), for_good=True) from None


def _address_of(notification: Notification) -> str:
    """A person's is the one of his account now."""
    if not notification.recipient:
        return notification.address
    person = get_user_model().objects.filter(username=notification.recipient, is_active=True).first()
    if person is None or not person.email:
        raise Refused(f"{notification.recipient} has no mail address", for_good=True)
    return person.email


def is_set_up() -> bool:
    return bool(settings.EMAIL_HOST)


def _domain() -> str:
    return settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip("> ")
