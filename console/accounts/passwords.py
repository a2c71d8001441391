"""What Django's own rules for passwords leave out."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.utils.translation import gettext

LEAST_DIFFERENT = 5


class VariedValidator:
    """Refuses what is long only because it repeats itself: `aaaaaaaaaaaa`, `123123123123`, `passwordpassword`."""

    def validate(self, password: str, user: object = None) -> None:
        if len(set(password)) < LEAST_DIFFERENT:
            raise ValidationError(self.get_help_text(), code="password_repetitive")
        whole = password.casefold()
        if any(whole[:length] * (len(whole) // length) == whole for length in range(1, len(whole) // 2 + 1)):
            raise ValidationError(gettext("This password repeats a shorter one."), code="password_repetitive")

    def get_help_text(self) -> str:
        return gettext("Your password must have at least five different characters.")
