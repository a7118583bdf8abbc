"""What is switched on is noted before, and put back unless the whole machine has become a router."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cablecar.helper.forwarding import Forwarding


class Kernel:
    """Plays the switches of the interfaces."""

    def __init__(self) -> None:
        self.on = {"eth0": False, "eth1": False, "eth2": True}
        self.everywhere = False

    def links(self) -> list[Any]:
        class Link(dict[str, Any]):
            def get_attr(self, _: str) -> str:
                return str(self["index"])

        return [Link(index=name) for name in self.on]

    def forwards(self, link: Any) -> bool:
        return self.on[link["index"]]

    def forwards_everywhere(self) -> bool:
        return self.everywhere

    def set_forwarding(self, index: str, on: bool) -> None:
        self.on[index] = on


@pytest.fixture
def kernel() -> Any:
    return Kernel()


@pytest.fixture
def forwarding(tmp_path: Path) -> Iterator[Forwarding]:
    yield Forwarding(tmp_path / "note")


def begin(forwarding: Forwarding, kernel: Any) -> None:
    assert forwarding.switchable(kernel, {"eth1", "eth2"}) == {"eth1"}
    forwarding.switch_on(kernel, {"eth1", "eth2"})
    assert kernel.on == {"eth0": False, "eth1": True, "eth2": True}


def test_it_is_put_back_as_it_was_by_the_next_helper_too(forwarding: Forwarding, kernel: Any, tmp_path: Path) -> None:
    begin(forwarding, kernel)
    begin(Forwarding(tmp_path / "note"), kernel)
    after = Forwarding(tmp_path / "note")
    after.put_back(kernel, {"eth1"})
    assert kernel.on["eth1"] and after.is_ours
    after.put_back(kernel, set())
    assert kernel.on == {"eth0": False, "eth1": False, "eth2": True}
    assert not after.is_ours


def test_a_machine_that_has_become_a_router_stays_one(forwarding: Forwarding, kernel: Any) -> None:
    begin(forwarding, kernel)
    kernel.everywhere = True
    forwarding.put_back(kernel, set())
    assert kernel.on["eth1"] and not forwarding.is_ours


def test_what_somebody_else_has_forward_meanwhile_is_not_ours_to_bar(forwarding: Forwarding, kernel: Any) -> None:
    begin(forwarding, kernel)
    kernel.everywhere = True
    assert forwarding.switchable(kernel, {"eth1", "eth2"}) == set()
    kernel.everywhere = False
    assert forwarding.switchable(kernel, {"eth1", "eth2"}) == {"eth1"}


def test_the_one_interface_of_a_router_that_did_not_forward_is_put_back(forwarding: Forwarding, kernel: Any) -> None:
    kernel.everywhere = True
    begin(forwarding, kernel)
    begin(forwarding, kernel)
    forwarding.put_back(kernel, {"eth2"})
    assert not kernel.on["eth1"] and not forwarding.is_ours


def test_an_interface_that_has_come_anew_is_switched_on_again(forwarding: Forwarding, kernel: Any) -> None:
    begin(forwarding, kernel)
    kernel.on["eth1"] = False
    begin(forwarding, kernel)
