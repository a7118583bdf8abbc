"""A fake StatusNotifierWatcher with a host: takes tray icons in, tells their properties and menus, clicks on them."""

import asyncio
import re
from typing import Any

from dbus_next import BusType, Message, MessageType, Variant
from peer import Peer, tell

NAME = "org.kde.StatusNotifierWatcher"
PATH = "/StatusNotifierWatcher"
ITEM = "org.kde.StatusNotifierItem"
MENU = "com.canonical.dbusmenu"
PROPERTIES = "org.freedesktop.DBus.Properties"

# Qt 6.4 introspects the watcher before it believes in it.
INTROSPECTION = f"""\
<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">
<node>
  <interface name="{NAME}">
    <method name="RegisterStatusNotifierItem"><arg name="service" type="s" direction="in"/></method>
    <property name="RegisteredStatusNotifierItems" type="as" access="read"/>
    <property name="IsStatusNotifierHostRegistered" type="b" access="read"/>
    <property name="ProtocolVersion" type="i" access="read"/>
  </interface>
</node>
"""


class FakeWatcher(Peer):
    def __init__(self) -> None:
        super().__init__(BusType.SESSION)
        self.items: list[str] = []
        self.commands |= {"look": self.look, "click": self.click, "menu": self.menu, "choose": self.choose}

    def answer(self, message: Message) -> Message | None:
        if message.member == "RegisterStatusNotifierItem":
            service = message.body[0]
            self.items.append(service if not service.startswith("/") else message.sender)
            tell(event="item", service=self.items[-1])
            return Message.new_method_return(message)
        if message.member == "Introspect":
            return Message.new_method_return(message, "s", [INTROSPECTION])
        if message.interface == PROPERTIES:
            values = {
                "RegisteredStatusNotifierItems": Variant("as", self.items),
                "IsStatusNotifierHostRegistered": Variant("b", True),
                "ProtocolVersion": Variant("i", 0),
            }
            if message.member == "GetAll":
                return Message.new_method_return(message, "a{sv}", [values])
            return Message.new_method_return(message, "v", [values[message.body[1]]])
        return None

    async def look(self) -> dict[str, Any]:
        """Return what a host would show of the newest icon; nothing when it has just gone."""
        if not self.items:
            return {}
        reply = await self._ask("/StatusNotifierItem", PROPERTIES, "GetAll", "s", [ITEM])
        if not reply:
            return {}
        values = {key: value.value for key, value in reply[0].items()}
        pixmaps = [[width, height] for width, height, _data in values.get("IconPixmap", [])]
        told = {"icon": values["IconName"], "pixmaps": pixmaps, "tooltip": values["ToolTip"][2]}
        return told | {"id": values["Id"], "title": values["Title"]}

    async def click(self) -> None:
        await self._ask("/StatusNotifierItem", ITEM, "Activate", "ii", [0, 0])

    async def menu(self) -> list[Any]:
        """Return the menu as a host would show it: [id, label, enabled, children] of the visible lines.

        A single _ in a label underlines a letter, which newer Qt does by itself; hosts do not show it.
        """
        await self._ask("/MenuBar", MENU, "AboutToShow", "i", [0])
        reply = await self._ask("/MenuBar", MENU, "GetLayout", "iias", [0, -1, []])
        return self._lines(reply[1]) if reply else []

    async def choose(self, id: int) -> None:
        await self._ask("/MenuBar", MENU, "Event", "isvu", [id, "clicked", Variant("i", 0), 0])

    def _lines(self, node: Any) -> list[Any]:
        lines = []
        for child in node[2]:
            id, properties, _children = child.value
            values = {key: value.value for key, value in properties.items()}
            if values.get("visible", True):
                label = "---" if values.get("type") == "separator" else re.sub("_(?!_)", "", values.get("label", ""))
                lines.append([id, label, values.get("enabled", True), self._lines(child.value)])
        return lines

    async def _ask(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> list[Any]:
        message = Message(self.items[-1], path, interface, member, signature=signature, body=body)
        reply = await self.bus.call(message)
        assert reply is not None
        if reply.message_type is MessageType.ERROR:
            self.items.remove(message.destination)
            return []
        return reply.body


async def main() -> None:
    watcher = FakeWatcher()
    await watcher.run(NAME, watcher.answer)


if __name__ == "__main__":
    asyncio.run(main())
