"""A fake of the Cablecar helper for the forms: links with settings, judged by the helper's own rules.

How a call ends is planned by the test: `up`, or the id of a reason.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dbus_next import Message

from cablecar.helper import names, providers, reasons, settings
from cablecar.helper.errors import CablecarError, InvalidName, InvalidPassword, InvalidSetting, LinkExists
from cablecar.helper.wire import plain, variants
from helper import PREFIX, FakeHelper  # noqa: TID251 - the fake beside this file

# A preset as somebody might write one who wants to be taken for the program itself.
HOSTILE = {
    "id": "zz_evil",
    "title": "<b>Evil</b> & <img src='x'>",
    "country": "ZZ",
    "region": "<script>alert(1)</script>",
    "protocols": ["pptp"],
    "server_pptp": "evil.example.net",
    "login": "<i>{user}</i>",
    "remarks": "<h1>Huge</h1>",
    "sources": ["<a href='http://evil.example.net'>click</a>"],
    "verify": "<u>trust me</u>",
}


class FakeForms(FakeHelper):
    def __init__(self) -> None:
        super().__init__()
        self.settings: dict[str, settings.Settings] = {}
        self.passwords: dict[str, str] = {}
        self.peers: list[str] = []
        self.plans: list[str] = []
        self.concentrators: list[dict[str, Any]] = []
        self.presets = providers.load(Path(tempfile.mkdtemp()))
        self.methods: dict[str, Callable[[Message], tuple[str, list[Any]]]] = {
            "CheckSettings": lambda m: ("a{ss}", [settings.faults(plain(m.body[0]), self.presets)]),
            "Providers": self._providers,
            "ListPeers": lambda _: ("as", [self.peers]),
            "Settings": lambda m: ("a{sv}", [variants(settings.full_dict(self.settings[self._name(m)]))]),
            "Diagnose": self._diagnose,
            "Discover": lambda _: ("aa{sv}", [[variants(each) for each in self.concentrators]]),
            "AddLink": self._add_link,
            "RemoveLink": self._remove_link,
            "ImportPeer": self._import_peer,
            "Update": self._update,
            "SetPassword": self._set_password,
            "SetTunnelSecret": self._set_tunnel_secret,
        }
        self.commands |= {
            "link": self.link,
            "stored": self.stored,
            "change": self.change,
            "offer_peers": self.offer_peers,
            "answer_by_pppoe": self.answer_by_pppoe,
            "plan": self.plan,
            "take_little": self.take_little,
            "take_anything": self.take_anything,
        }

    def link(self, name: str, **values: Any) -> None:
        """Have a link of these settings from the start."""
        self.settings[name] = settings.parse({"server": "vpn.example.net", "user": "me@C012"} | values)
        self.add(name, Title=values.get("title", name), quiet=True)

    def stored(self, name: str) -> dict[str, Any]:
        """Tell what is stored of a link."""
        if name not in self.settings:
            return {}
        return self.settings[name].as_dict() | {"password": self.passwords.get(name)}

    def change(self, name: str, **values: Any) -> None:
        """Have other settings, as when somebody else has changed them."""
        self.settings[name] = settings.parse(settings.merge(self.settings[name], values, self.presets))

    def offer_peers(self, peers: list[str]) -> None:
        self.peers = peers

    def answer_by_pppoe(self, concentrators: list[dict[str, Any]]) -> None:
        self.concentrators = concentrators

    def plan(self, *, ends: list[str]) -> None:
        """Say how the next calls end."""
        self.plans = ends

    def take_little(self) -> None:
        """Be of a version that knows PPTP only, and leaves the network alone."""
        refused = dict.fromkeys(("protocol", "dns", "firewall", "strict", "share"), "not in this version")
        self.methods["CheckSettings"] = lambda _message: ("a{ss}", [refused])

    def take_anything(self) -> None:
        """Be of a version that has every setting."""
        self.methods["CheckSettings"] = lambda _message: ("a{ss}", [{}])

    def release(self) -> None:
        waiting, self.waiting = self.waiting, []
        self.outcomes.clear()
        for message in waiting:
            reply = self.answer(message)
            if isinstance(reply, Message):
                self.bus.send(reply)

    def answer(self, message: Message) -> Message | bool | None:
        what = self.outcomes.get(message.member, {})
        if message.member in ("Connect", "Reconnect") and not what:
            asyncio.get_running_loop().create_task(self._dial(message))
            return True
        method = self.methods.get(message.member)
        if method is None or what:
            return super().answer(message)
        try:
            signature, body = method(message)
        except CablecarError as error:
            return Message.new_error(message, error.dbus_name, str(error))
        return Message.new_method_return(message, signature, body)

    async def _dial(self, message: Message) -> None:
        name = self._name(message)
        plan = self.plans.pop(0) if self.plans else "up"
        for phase in names.PHASES[:3]:
            self.set(name, State="dialing", Phase=phase, Reason="")
            await asyncio.sleep(0.01)
        if plan == "up":
            self.set(name, State="up", Phase="", Reason="")
            self.bus.send(Message.new_method_return(message))
            return
        reason = reasons.BY_ID[plan]
        self.set(name, State="waiting" if reason.retry else "failed", Phase="", Reason=reason.id)
        self.bus.send(Message.new_error(message, names.ERROR_PREFIX + reason.error, reason.sentence))

    def _name(self, message: Message) -> str:
        return message.path.removeprefix(PREFIX)

    def _providers(self, _message: Message) -> tuple[str, list[Any]]:
        presets: list[dict[str, Any]] = [preset.as_dict() for preset in self.presets.values()]
        return "aa{sv}", [[variants(values) for values in [*presets, HOSTILE]]]

    def _add_link(self, message: Message) -> tuple[str, list[Any]]:
        name, values = message.body
        if names.LINK_NAME.fullmatch(name) is None:
            raise InvalidName("not a name")
        if name in self.settings or name == "taken":
            raise LinkExists("There is a link of this name already.")
        self.settings[name] = settings.parse(settings.fill(plain(values), self.presets))
        self.add(name, Title=self.settings[name].title or name)
        return "o", [PREFIX + name]

    def _import_peer(self, message: Message) -> tuple[str, list[Any]]:
        self.settings["imported"] = settings.parse({"server": "vpn.example.net", "user": "me"})
        self.passwords["imported"] = "secret"
        self.add("imported", Title=message.body[0])
        return "o", [PREFIX + "imported"]

    def _remove_link(self, message: Message) -> tuple[str, list[Any]]:
        self.remove(message.body[0])
        del self.settings[message.body[0]]
        return "", []

    def _update(self, message: Message) -> tuple[str, list[Any]]:
        values, name = plain(message.body[0]), self._name(message)
        if not values:
            raise InvalidSetting("nothing to change")
        merged = settings.merge(self.settings[name], values, self.presets)
        self.settings[name] = settings.parse(settings.fill(merged, self.presets) if "provider" in values else merged)
        return "", []

    def _set_password(self, message: Message) -> tuple[str, list[Any]]:
        if not message.body[0]:
            raise InvalidPassword("empty")
        self.passwords[self._name(message)] = message.body[0]
        return "", []

    def _set_tunnel_secret(self, message: Message) -> tuple[str, list[Any]]:
        name, secret = self._name(message), {settings.SECRET: message.body[0]}
        self.settings[name] = settings.parse(settings.merge(self.settings[name], secret, self.presets))
        return "", []

    def _diagnose(self, _message: Message) -> tuple[str, list[Any]]:
        finding = {
            "id": "double-dialers",
            "verdict": "bad",
            "seen": "/etc/crontab, line 3, dials `my-isp` time and again: remove this line.",
            "advice": "Take those out, so that only one program dials the line.",
        }
        return "aa{sv}", [[variants(finding)]]


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--link", help="a link that is there from the start")
    options = parser.parse_args()
    helper = FakeForms()
    if options.link:
        helper.link(options.link)
    await helper.run("org.cablecar1", helper.answer)


if __name__ == "__main__":
    asyncio.run(main())
