"""A guest from its start to its end: booted, given its job, and gone."""

from pathlib import Path

from tests.lab.host.conversation import Conversation, Limits
from tests.lab.host.initrd import initrd
from tests.lab.host.job import Job
from tests.lab.host.machine import Machine
from tests.lab.host.say import LabError, say
from tests.lab.host.tree import Tree


def run(tree: Tree, job: Job, results: Path, limits: Limits, *, desktop: bool) -> int:
    """Have TREE do JOB, and return the script's exit status."""
    results.mkdir(parents=True, exist_ok=True)
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
            say("its desktop is up")
        job.put(results)
        machine.tell("go")
        return conversation.until_off(shell=job.script is None)
    except LabError as error:
        raise LabError(f"{error}\n{machine.evidence()}") from error
    finally:
        machine.end()
        ramdisk.unlink(missing_ok=True)
        job.take_away(results)
