"""polkit: may this caller do that? Asks, never caches, and refuses whenever the answer is not a plain yes.

The subject is always the caller's unique bus name. polkit is asked first what it can say at once; only when that is
"after a password", and somebody may be asked for one, a person is. That may take minutes: it is awaited, it is
withdrawn when the caller leaves the bus, and there are limits on how many wait, for a person and for polkit itself.
"""

import asyncio
import contextlib
import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from cablecar.helper.bus import Bus, Caller, CallError
from cablecar.helper.errors import (
    AuthorityUnavailable,
    LimitExceeded,
    NotAuthorized,
    NotAuthorizedCanObtain,
    NotAuthorizedDismissed,
)
from cablecar.helper.wire import Variant

log = logging.getLogger(__name__)

POLKIT: Final = (
    "org.freedesktop.PolicyKit1",
    "/org/freedesktop/PolicyKit1/Authority",
    "org.freedesktop.PolicyKit1.Authority",
)
# Questions that may wait at once, of one user and altogether: for a person, and for polkit's own answer. The bus lets
# nobody wait for more than 128 answers.
PEOPLE: Final = (2, 8)
AT_ONCE: Final = (32, 64)
PATIENCE: Final = 25.0  # seconds for an answer that needs no person
PATIENCE_WITH_PEOPLE: Final = 300.0


@dataclass(slots=True)
class _Places:
    """Where questions of one kind wait."""

    per_user: int
    altogether: int
    _taken: Counter[int] = field(default_factory=Counter)

    @contextlib.contextmanager
    def of(self, uid: int) -> Iterator[None]:
        """Hold a place for a question of this user.

        Raises:
            LimitExceeded: There is none left.
        """
        if self._taken[uid] >= self.per_user or self._taken.total() >= self.altogether:
            raise LimitExceeded("Other requests are still waiting to be authorized. Answer or close those first.")
        self._taken[uid] += 1
        try:
            yield
        finally:
            self._taken[uid] -= 1
            if not self._taken[uid]:
                del self._taken[uid]


class Authority:
    """The one who asks polkit."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._at_once = _Places(*AT_ONCE)
        self._people = _Places(*PEOPLE)

    async def demand(self, caller: Caller, action: str, details: Mapping[str, str]) -> None:
        """Return when `caller` may do `action`.

        Root is not asked about: polkit answers yes for it by definition, and scripts at boot must not depend on
        polkit running.

        Raises:
            NotAuthorized, NotAuthorizedCanObtain, NotAuthorizedDismissed: polkit says no.
            AuthorityUnavailable: polkit cannot say.
            LimitExceeded: Too many questions of this user are waiting.
        """
        if caller.uid == 0:
            return
        try:
            with self._at_once.of(caller.uid):
                await self._ask_while_present(caller, action, details, of_people=False)
        except NotAuthorizedCanObtain:
            if not caller.interactive:
                raise
            with self._people.of(caller.uid):
                await self._ask_while_present(caller, action, details, of_people=True)

    async def _ask_while_present(
        self, caller: Caller, action: str, details: Mapping[str, str], of_people: bool
    ) -> None:
        cancel_id = os.urandom(16).hex()
        answer = asyncio.ensure_future(self._ask(caller, action, details, of_people, cancel_id))
        gone = asyncio.ensure_future(self._bus.until_gone(caller.sender))
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                answer.result()
                return
            self._bus.spawn(self._withdraw(cancel_id))
            raise NotAuthorized("The caller has left the bus.")
        finally:
            for task in (answer, gone):
                task.cancel()
            await asyncio.gather(answer, gone, return_exceptions=True)

    async def _ask(
        self, caller: Caller, action: str, details: Mapping[str, str], of_people: bool, cancel_id: str
    ) -> None:
        patience = PATIENCE_WITH_PEOPLE if of_people else PATIENCE
        subject = ["system-bus-name", {"name": Variant("s", caller.sender)}]
        body = [subject, action, dict(details), int(of_people), cancel_id]
        try:
            answer = await self._bus.ask(POLKIT, "CheckAuthorization", "(sa{sv})sa{ss}us", body, patience)
        except CallError as error:
            self._bus.spawn(self._withdraw(cancel_id))  # not waited for: polkit may hang
            log.warning("polkit could not say whether %s may %s: %s", caller.sender, action, error)
            raise AuthorityUnavailable(
                "Whether this is allowed could not be found out. Is polkit running, and Cablecar's policy installed?"
            ) from None
        try:
            authorized, challenge, facts = answer[0]
        except (IndexError, TypeError, ValueError):
            raise AuthorityUnavailable("polkit's answer was not understood.") from None
        if authorized is True:
            return
        if "polkit.dismissed" in facts:
            raise NotAuthorizedDismissed("The question for a password was closed.")
        if challenge:
            raise NotAuthorizedCanObtain("This needs an administrator's password, and nobody could be asked for it.")
        raise NotAuthorized("This user may not do that.")

    async def _withdraw(self, cancel_id: str) -> None:
        with contextlib.suppress(CallError):
            await self._bus.ask(POLKIT, "CancelCheckAuthorization", "s", [cancel_id], 5.0)
