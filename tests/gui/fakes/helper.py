"""A fake of the Cablecar helper: the same bus name and members, no polkit, no pppd, links that exist in a dictionary.

What a link's Connect and the like answer is told by the test: at once, after a while, never, or with an error.
"""

import argparse
import asyncio
from typing import Any

from dbus_next import BusType, Message
from peer import Peer, variant

PROPERTIES = "org.freedesktop.DBus.Properties"
LINK = "org.cablecar1.Link"
MANAGER = "org.cablecar1.Manager"
PREFIX = "/org/cablecar1/link/"


class FakeHelper(Peer):
    def __init__(self, version: str = "0.1.0") -> None:
        super().__init__(BusType.SYSTEM)
        self.links: dict[str, dict[str, Any]] = {}
        self.outcomes: dict[str, Any] = {}
        self.listing: tuple[str, list[Any]] | None = None
        self.waiting: list[Message] = []
        self.version = version
        self.commands |= {
            "add": self.add,
            "remove": self.remove,
            "set": self.set,
            "outcome": self.outcome,
            "list_as": self.list_as,
            "release": self.release,
        }

    def add(self, name: str, quiet: bool = False, **properties: Any) -> None:
        self.links[name] = {
            "Name": name, "Title": name, "Protocol": "pptp", "State": "down", "Phase": "", "Reason": "",
            "Autoconnect": False, "Interface": "", "Since": 0, "Attempt": ["u", 0], "NextRetry": 0,
        } | properties  # fmt: skip
        if not quiet:
            self.emit("/org/cablecar1", MANAGER, "LinkAdded", "o", [PREFIX + name])

    def remove(self, name: str) -> None:
        del self.links[name]
        self.emit("/org/cablecar1", MANAGER, "LinkRemoved", "o", [PREFIX + name])

    def set(self, name: str, **properties: Any) -> None:
        self.links[name] |= properties
        changed = {key: variant(value) for key, value in properties.items()}
        self.emit(PREFIX + name, PROPERTIES, "PropertiesChanged", "sa{sv}as", [LINK, changed, []])

    def outcome(self, member: str, **what: Any) -> None:
        """Say what a member answers from now on: hang, or error=NAME text=TEXT; nothing means success.

        overtaken_by=[COMMAND, ARGUMENTS] does that once after the answer has been made up and before it is sent:
        QtDBus may hand the program a signal before an answer that came earlier.
        """
        self.outcomes[member] = what

    def list_as(self, signature: str, body: list[Any]) -> None:
        """Answer ListLinks with something else."""
        self.listing = (signature, body)

    def release(self) -> None:
        """Answer what was kept waiting."""
        for message in self.waiting:
            self.bus.send(Message.new_method_return(message))
        self.waiting.clear()

    def answer(self, message: Message) -> Message | bool | None:
        what = self.outcomes.get(message.member, {})
        if "overtaken_by" in what:
            command, arguments = self.outcomes.pop(message.member)["overtaken_by"]
            answer = self.answer(message)
            self.commands[command](**arguments)
            return answer
        if what.get("hang"):
            self.waiting.append(message)
            return True
        if "error" in what:
            return Message.new_error(message, what["error"], what.get("text", ""))
        if message.member == "ListLinks":
            links = [[name, PREFIX + name, str(self.links[name]["State"])] for name in sorted(self.links)]
            signature, body = self.listing or ("a(sos)", [links])
            return Message.new_method_return(message, signature, body)
        if (message.member, message.body) == ("Get", [MANAGER, "Version"]):
            return Message.new_method_return(message, "v", [variant(self.version)])
        name = message.path.removeprefix(PREFIX)
        if name not in self.links:
            return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownObject", "no such link")
        if message.member == "GetAll":
            values = {key: variant(value) for key, value in self.links[name].items()}
            return Message.new_method_return(message, "a{sv}", [values])
        return Message.new_method_return(message)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-name", action="store_true", help="an impostor: do not own the bus name")
    parser.add_argument("--version", default="0.1.0")
    options = parser.parse_args()
    helper = FakeHelper(options.version)
    await helper.run(None if options.no_name else "org.cablecar1", helper.answer)


if __name__ == "__main__":
    asyncio.run(main())
