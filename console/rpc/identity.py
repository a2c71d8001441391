from __future__ import annotations

from flyteidl.service import identity_pb2

from console.rpc.caller import Caller


def user_info(request: identity_pb2.UserInfoRequest, caller: Caller) -> identity_pb2.UserInfoResponse:
    user = caller.user
    return identity_pb2.UserInfoResponse(
        subject=user.get_username(),
        name=user.get_full_name() or user.get_username(),
        preferred_username=user.get_username(),
        given_name=user.first_name,
        family_name=user.last_name,
        email=user.email,
    )
