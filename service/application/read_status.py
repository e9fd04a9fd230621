"""Read where a user stands."""

from __future__ import annotations

from dataclasses import dataclass

from service.application.errors import UserUnknown
from service.application.ports.unit_of_work import BeginWork
from service.domain.friendship import FriendshipStatus


@dataclass(frozen=True, slots=True)
class ReadStatus:
    """`GET /v1/friendship_status/{user_id}`."""

    begin_work: BeginWork

    async def __call__(self, user_id: str) -> FriendshipStatus:
        """Return score, level and topic metrics as of now.

        Raises:
            UserUnknown: nothing was ever suggested to this user, nor scored.
            Unavailable: the store is, see its port.
        """
        async with self.begin_work() as work:
            status = await work.friendships.read(user_id)
        if status is None:
            raise UserUnknown
        return status
