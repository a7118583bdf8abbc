"""What is heard from a running guest and told to it, from the start to the end of its script."""

import os
import selectors
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.lab.host.machine import CONTROL, OUTPUT, SHELL, Machine
from tests.lab.host.say import TIMED_OUT, LabError, say

_KEYBOARD = "keyboard"
_TURN_OFF_SECONDS = 30


@dataclass(frozen=True)
class Limits:
    """How long things may take, in seconds; 0 is "as long as it likes".

    Attributes:
        boot: until the script starts.
        script: the script.
        silence: without a word of the script: a guest that hangs is not waited for until the other limit.
    """

    boot: float
    script: float
    silence: float


class Conversation:
    """The events of one guest, one per line: guest/usr/local/lib/lab/agent says which."""

    def __init__(self, machine: Machine, limits: Limits) -> None:
        self._machine = machine
        self._limits = limits
        self._deadline = time.monotonic() + limits.boot
        self._heard = time.monotonic()
        self._events = b""
        self._ready = False
        self._script = False
        self._status: int | None = None
        self._failure = ""

    def until_ready(self) -> None:
        """Wait until the guest can be told to go."""
        self._ready = False
        with selectors.DefaultSelector() as selector:
            for name in (CONTROL, OUTPUT):
                selector.register(self._machine.channels[name], selectors.EVENT_READ, name)
            while not self._ready:
                self._listen(selector)
                if self._failure or not selector.get_map():
                    raise LabError(self._failure or self._died())
                if time.monotonic() > self._deadline:
                    raise LabError(f"the guest was not ready in {self._limits.boot:.0f} s")

    def until_off(self, shell: bool) -> int:
        """Pass everything on until the guest is off; return the script's exit status."""
        with selectors.DefaultSelector() as selector, _raw_terminal(shell):
            for name, channel in self._machine.channels.items():
                selector.register(channel, selectors.EVENT_READ, name)
            if shell:
                selector.register(sys.stdin, selectors.EVENT_READ, _KEYBOARD)
            while any(key.data != _KEYBOARD for key in selector.get_map().values()):
                self._listen(selector)
                if self._deadline and time.monotonic() > self._deadline:
                    return self._late()
                if self._script and self._limits.silence and time.monotonic() > self._heard + self._limits.silence:
                    say(f"the script was silent for {self._limits.silence:.0f} s: the guest is ended")
                    return TIMED_OUT
        return self._verdict()

    def _listen(self, selector: selectors.BaseSelector) -> None:
        for key, _ in selector.select(0.5):
            if not self._take(key.data):
                selector.unregister(key.fileobj)

    def _take(self, name: str) -> bool:
        """Take what a channel has; return whether more may come."""
        self._heard = time.monotonic()
        if name == _KEYBOARD:
            typed = os.read(sys.stdin.fileno(), 4096)
            if typed:
                self._machine.channels[SHELL].sendall(typed)
            return bool(typed)
        try:
            data = self._machine.channels[name].recv(65536)
        except ConnectionResetError:
            data = b""
        if name == CONTROL:
            self._events += data
            while b"\n" in self._events:
                line, _, self._events = self._events.partition(b"\n")
                self._event(line.decode(errors="replace"))
        else:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        return bool(data)

    def _event(self, line: str) -> None:
        kind, _, text = line.partition(" ")
        if kind == "ready":
            self._ready = True
        elif kind == "say":
            say(text)
        elif kind == "failed":
            self._failure = text
        elif kind == "script":
            say("the script starts")
            self._script = True
            self._deadline = time.monotonic() + self._limits.script if self._limits.script else 0.0
        elif kind == "exit":
            self._status = int(text)
            self._deadline = time.monotonic() + _TURN_OFF_SECONDS
            say(f"the script ended with status {text}" if self._script else "the guest gave up")

    def _late(self) -> int:
        if self._status is not None:
            say("the guest did not turn itself off; it is ended")
            return self._verdict()
        if self._script:
            say(f"the script did not end in {self._limits.script:.0f} s: the guest is ended")
            return TIMED_OUT
        raise LabError(f"the script did not start in {self._limits.boot:.0f} s")

    def _verdict(self) -> int:
        if self._failure:
            raise LabError(self._failure)
        if self._status is None:
            raise LabError(self._died())
        return self._status

    def _died(self) -> str:
        return f"the guest ended by itself (QEMU's exit status {self._machine.exit_status()})"


@contextmanager
def _raw_terminal(wanted: bool) -> Iterator[None]:
    """Hand every key to the guest, the ones for signals too."""
    if not (wanted and sys.stdin.isatty()):
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    # What we print ourselves still needs its carriage returns.
    now = termios.tcgetattr(sys.stdin)
    now[1] = before[1]
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, now)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
