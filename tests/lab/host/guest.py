"""A guest from its start to its end: booted, or thawed from one that booted before, and given its job.

Booting takes most of the time that a run costs beside its script. So the first run with a tree boots it up to where it
waits for the host's word, freezes it there (QEMU's migration into a file), and every later run thaws a copy: each is
as fresh as the first, only sooner. Nothing of the host is mounted and no lease is taken before that point.
"""

import fcntl
import hashlib
import shutil
import tempfile
import time
from pathlib import Path

from tests.lab.host.conversation import Conversation, Limits
from tests.lab.host.initrd import initrd
from tests.lab.host.job import Job
from tests.lab.host.machine import Machine, fixed_options, qemu_version
from tests.lab.host.say import LabError, say
from tests.lab.host.tree import Tree


def run(tree: Tree, job: Job, results: Path, limits: Limits, *, desktop: bool, fresh: bool) -> int:
    """Have TREE do JOB, and return the script's exit status."""
    results.mkdir(parents=True, exist_ok=True)
    frozen = None if fresh else _Frozen(tree, desktop)
    if frozen is not None:
        try:
            frozen.ensure(limits)
            return _thawed(frozen, job, results, limits)
        except _CannotThaw as error:
            say(f"{error}: booting instead")
            frozen.discard()
    return _booted(tree, job, results, limits, desktop)


class _CannotThaw(Exception):
    """Freezing or thawing failed before the guest was told anything."""


def _booted(tree: Tree, job: Job, results: Path, limits: Limits, desktop: bool) -> int:
    say("booting")
    ramdisk = results / ".initrd"
    ramdisk.write_bytes(initrd(tree))
    machine = Machine(tree, ramdisk, results)
    try:
        conversation = Conversation(machine, limits)
        conversation.until_ready()
        say("the guest is up")
        if desktop:
            machine.tell("desktop")
            conversation.until_ready()
        return _do(job, machine, conversation)
    except LabError as error:
        raise LabError(f"{error}\n{machine.evidence()}") from error
    finally:
        machine.end()
        ramdisk.unlink(missing_ok=True)
        job.take_away(results)


def _thawed(frozen: "_Frozen", job: Job, results: Path, limits: Limits) -> int:
    machine = Machine(frozen.tree, frozen.ramdisk, results, frozen.state)
    try:
        try:
            machine.thaw()
        except LabError as error:
            raise _CannotThaw(f"the frozen guest cannot be thawed ({error})") from error
        say("the guest is thawed")
        return _do(job, machine, Conversation(machine, limits))
    except LabError as error:
        raise LabError(f"{error}\n{machine.evidence()}") from error
    finally:
        machine.end()
        job.take_away(results)


def _do(job: Job, machine: Machine, conversation: Conversation) -> int:
    job.put(machine.results)
    machine.tell(f"go {time.time():.3f}")
    return conversation.until_off(shell=job.script is None)


class _Frozen:
    """A guest that has booted and waits, in a file.

    Attributes:
        tree: what it was booted from.
        folder: the files, named after everything that they depend on.
    """

    def __init__(self, tree: Tree, desktop: bool) -> None:
        self.tree = tree
        self._desktop = desktop
        self._image = initrd(tree)
        key = hashlib.sha256(self._image + "\0".join([*fixed_options(), qemu_version()]).encode()).hexdigest()[:12]
        self._kind = "desktop" if desktop else "plain"
        self.folder = tree.folder / f"frozen-{self._kind}-{key}"

    @property
    def state(self) -> Path:
        """All that the guest was."""
        return self.folder / "state"

    @property
    def ramdisk(self) -> Path:
        """The RAM disk that it was booted with; QEMU wants it to have the same size again."""
        return self.folder / "initrd"

    def ensure(self, limits: Limits) -> None:
        """Boot and freeze the guest unless that was done before."""
        if self.folder.is_dir():
            return
        with (self.tree.folder / "frozen.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another run is freezing such a guest: waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.folder.is_dir():
                self._make(limits)

    def discard(self) -> None:
        """Forget the frozen guest."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make(self, limits: Limits) -> None:
        for left_over in self.tree.folder.glob("tmp-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix="tmp-", dir=self.tree.folder))
        try:
            say("booting a guest to freeze it: this run takes longer, the next ones thaw it")
            (folder / "initrd").write_bytes(self._image)
            (folder / "results").mkdir()
            machine = Machine(self.tree, folder / "initrd", folder / "results")
            try:
                conversation = Conversation(machine, limits)
                conversation.until_ready()
                if self._desktop:
                    say("starting its desktop")
                    machine.tell("desktop")
                    conversation.until_ready()
                say("freezing it")
                try:
                    machine.freeze(folder / "state")
                except LabError as error:
                    raise _CannotThaw(f"the guest cannot be frozen ({error})") from error
            except LabError as error:
                raise LabError(f"{error}\n{machine.evidence()}") from error
            finally:
                machine.end()
            # An older one of this kind is of no use any more. A run that thaws it has it open.
            for older in self.tree.folder.glob(f"frozen-{self._kind}-*"):
                shutil.rmtree(older, ignore_errors=True)
            folder.rename(self.folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
