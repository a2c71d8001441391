from __future__ import annotations

from artifacts.exceptions import CausewayError


class Unimplemented(CausewayError):
    """A method of Flyte's API that this server does not serve; the message says why."""

    grpc_status = "UNIMPLEMENTED"
    http_status = 501
