"""A fake notification server: insists on the types of the specification, and tells what it was asked to show."""

import argparse
import asyncio

from dbus_next import BusType, Message, Variant
from peer import Peer, tell

NAME = "org.freedesktop.Notifications"
PATH = "/org/freedesktop/Notifications"
NOTIFY = "susssasa{sv}i"
HINTS = {"urgency": "y", "desktop-entry": "s", "transient": "b"}


class FakeServer(Peer):
    def __init__(self, capabilities: list[str], slow: bool) -> None:
        super().__init__(BusType.SESSION)
        self.capabilities = capabilities
        self.slow = slow
        self.last = 0
        self.commands |= {"permit": self.permit, "press": self.press, "close": self.close}

    def permit(self, id: int, token: str) -> None:
        self.emit(PATH, NAME, "ActivationToken", "us", [id, token])

    def press(self, id: int, key: str) -> None:
        self.emit(PATH, NAME, "ActionInvoked", "us", [id, key])

    def close(self, id: int) -> None:
        self.emit(PATH, NAME, "NotificationClosed", "uu", [id, 2])

    def answer(self, message: Message) -> Message | bool:
        if message.member == "GetCapabilities":
            return Message.new_method_return(message, "as", [self.capabilities])
        if message.member == "CloseNotification" and message.signature == "u":
            return Message.new_method_return(message)
        if message.member != "Notify" or message.signature != NOTIFY:
            tell(event="wrong", why=f"{message.member}({message.signature})")
            return Message.new_error(message, "org.freedesktop.DBus.Error.InvalidArgs", message.signature)
        _app, replaces, icon, title, body, actions, hints, _timeout = message.body
        wrong = [key for key, hint in hints.items() if HINTS.get(key) != hint.signature]
        if wrong:
            tell(event="wrong", why=f"hints {wrong}")
        if not replaces:
            self.last += 1
        id = replaces or self.last
        urgency = hints.get("urgency", Variant("y", 1)).value
        tell(
            event="shown", id=id, replaces=replaces, icon=icon, title=title, body=body, actions=actions, urgency=urgency
        )
        reply = Message.new_method_return(message, "u", [id])
        if not self.slow:
            return reply
        asyncio.get_running_loop().call_later(0.2, self.bus.send, reply)
        return True


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--capabilities", default="actions,body,body-markup,persistence")
    parser.add_argument("--slow", action="store_true")
    options = parser.parse_args()
    server = FakeServer([word for word in options.capabilities.split(",") if word], options.slow)
    await server.run(NAME, server.answer)


if __name__ == "__main__":
    asyncio.run(main())
