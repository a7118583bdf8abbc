"""A fake of the Cablecar helper for the windows about one link: tells details, past calls, a log and findings."""

import asyncio
from typing import Any

from dbus_next import Message, Variant
from peer import variant

from helper import MANAGER, FakeHelper  # noqa: TID251 - the module beside this one

SIGNATURES = {"Details": "a{sv}", "History": "aa{sv}", "Log": "as", "Diagnose": "aa{sv}"}
EMPTY: dict[str, Any] = {"Details": {}, "History": [], "Log": [], "Diagnose": []}


def variants(values: dict[str, Any]) -> dict[str, Variant]:
    """Encode a dictionary; a list is one of text."""
    return {key: Variant("as", value) if isinstance(value, list) else variant(value) for key, value in values.items()}


class FakeStatus(FakeHelper):
    def __init__(self) -> None:
        super().__init__()
        self.says = dict(EMPTY)
        self.commands |= {"say": self.say, "check": self.check, "kept": lambda: len(self.waiting)}

    def say(self, member: str, what: Any, times: int = 1) -> None:
        """Answer a method so from now on; a list that many times over, as much as an order cannot carry."""
        self.says[member] = what * times if isinstance(what, list) else what

    def check(self, link: str, finding: dict[str, Any]) -> None:
        """Tell of a check that is done."""
        self.emit("/org/cablecar1", MANAGER, "Checked", "sa{sv}", [link, variants(finding)])

    def answer(self, message: Message) -> Message | bool | None:
        outcome = self.outcomes.get(message.member, {})
        if message.member not in SIGNATURES or "error" in outcome:
            return super().answer(message)
        if outcome.get("hang"):
            self.waiting.append(message)
            return True
        return self._told(message)

    def release(self) -> None:
        for message in self.waiting:
            self.bus.send(self._told(message))
        self.waiting.clear()

    def _told(self, message: Message) -> Message:
        said = self.says[message.member]
        if isinstance(said, list) and all(isinstance(one, dict) for one in said):
            said = [variants(one) for one in said]
        elif isinstance(said, dict):
            said = variants(said)
        return Message.new_method_return(message, SIGNATURES[message.member], [said])


async def main() -> None:
    helper = FakeStatus()
    await helper.run("org.cablecar1", helper.answer)


if __name__ == "__main__":
    asyncio.run(main())
