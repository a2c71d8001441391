"""Views of lists that people keep for themselves: an address under a name."""

from __future__ import annotations

from artifacts.exceptions import FailedPrecondition, InvalidArgument, NotFound
from console.accounts.models import SavedView, User

MOST, MOST_NAME, MOST_ADDRESS = 100, 80, 2_000


def keep_view(user: User, name: str, address: str) -> SavedView:
    """The same name again keeps another address. InvalidArgument; FailedPrecondition when there are too many."""
    if not 0 < len(name) <= MOST_NAME:
        raise InvalidArgument(f"a view needs a name of at most {MOST_NAME} characters")
    if len(address) > MOST_ADDRESS:
        raise InvalidArgument(f"the address of a view has at most {MOST_ADDRESS} characters, not {len(address)}")
    if not SavedView.objects.filter(user=user, name=name).exists() and user.saved_views.count() >= MOST:
        raise FailedPrecondition(f"{MOST} views are kept already: remove one first")
    row, _ = SavedView.objects.update_or_create(user=user, name=name, defaults={"address": address})
    return row


def drop_view(user: User, pk: int) -> None:
    """NotFound for what is somebody else's, too."""
    if not SavedView.objects.filter(user=user, pk=pk).delete()[0]:
        raise NotFound("there is no such view among yours")
