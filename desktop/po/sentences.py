"""Gathers the sentences that the helper says over the bus, for xgettext to read in the place of its modules.

usage: python3 desktop/po/sentences.py COPY    (from the top of the repository, into a copy of what it has)

The helper speaks English and knows nothing of languages: whoever changes a sentence there writes it as it is said.
Taken for sentences are what the errors and findings are made with, what else ends in a full stop, and the presets'
paragraphs and sources; beside them what the system says of a file or a network that is out of order. What an f-string
fills in becomes a {name} after the last word of its expression. The applet finds the sentence that has arrived by its
form again (`said` in applet/i18n.py).
"""

import ast
import builtins
import errno
import itertools
import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

# Texts that are never shown by the applet: the log's, and those of programs that are called by hand.
UNSEEN = ("log",)
UNSEEN_ARGUMENTS = ("description", "help")
# Speaks to whoever calls it in a terminal, and never on the bus.
UNHEARD = ("install.py",)
# Whose texts are put into other sentences: the settings' rules say only what is wrong with a value.
FRAGMENTS = {"settings.py": ("ValueError",), "dialers.py": ("Stanza",)}
# What may happen to a file, a socket or a route; the rarer ones stay in English.
SYSTEM = (
    errno.EPERM, errno.ENOENT, errno.ESRCH, errno.EIO, errno.EACCES, errno.EBUSY, errno.EEXIST, errno.ENODEV,
    errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.ENFILE, errno.EMFILE, errno.ENOSPC, errno.EROFS,
    errno.ENAMETOOLONG, errno.ELOOP, errno.EADDRINUSE, errno.ENETDOWN, errno.ENETUNREACH, errno.ENOBUFS,
    errno.ETIMEDOUT, errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.EDQUOT, errno.ENOEXEC,
)  # fmt: skip
_SENTENCE = re.compile(r"(?!#)(?=.*[a-z]).+ .+")  # not a word, nor a line of a file


def main() -> None:
    """Write in the place of each module of the helper its sentences alone."""
    folder = Path(sys.argv[1], "helper")
    errors = error_names(Path("helper/errors.py"))
    for path in sorted(path for path in Path("helper").glob("*.py") if path.name not in UNHEARD):
        found = list(sentences(path.read_text(), {"Finding", *errors, *FRAGMENTS.get(path.name, ())}, str(path)))
        if path.name == "providers.py":
            found += presets(Path("helper/providers.toml"))
        if path.name == "errors.py":
            found += map(os.strerror, SYSTEM)
        if found and path.name != "reasons.py":  # whose table xgettext reads as it is
            lines = [f'pgettext("helper", {json.dumps(text, ensure_ascii=False)})' for text in dict.fromkeys(found)]
            (folder / path.name).write_text("\n".join(lines) + "\n")


def error_names(path: Path) -> set[str]:
    """Return the names of the errors that may cross the bus."""
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)}


def presets(path: Path) -> list[str]:
    """Return what the presets say to people in words."""
    document = tomllib.loads(path.read_text())
    providers = document["provider"].values()
    found = [provider["remarks"]["value"] for provider in providers if "remarks" in provider]
    found += [source for source in document["sources"].values() if _SENTENCE.fullmatch(source)]
    # As the applet shows them: in one line.
    return [" ".join(text.split()) for text in found] + [each["region"] for each in providers if each.get("region")]


def sentences(source: str, makers: set[str], name: str) -> Iterator[str]:
    """Yield the sentences of a module, in their order.

    Args:
        source: The module.
        makers: What is made with sentences, whatever these end in.
        name: What to call the module in an error.
    """
    tree = ast.parse(source)
    told = {id(text) for node in ast.walk(tree) for text in arguments(node, makers, name)}
    for node in texts(tree):
        for text in forms(node):
            if _SENTENCE.fullmatch(text) and (id(node) in told or text.endswith(".")):
                yield text


def arguments(node: ast.AST, makers: set[str], name: str) -> Iterator[ast.expr]:
    """Yield the texts that an error or a finding is made with."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in makers:
        for argument in node.args:
            if isinstance(argument, ast.BinOp) or ".format(" in ast.unparse(argument):
                raise SystemExit(f"{name}:{argument.lineno}: make it one f-string; in pieces it cannot be translated")
            yield from (part for part in ast.walk(argument) if isinstance(part, ast.Constant | ast.JoinedStr))


def texts(node: ast.AST) -> Iterator[ast.Constant | ast.JoinedStr]:
    """Yield the texts in a piece of code that may be meant for people: without the comments and what is only logged."""
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        yield node
        return
    for child in ast.iter_child_nodes(node):
        if not is_unseen(child):
            yield from texts(child)


def is_unseen(node: ast.AST) -> bool:
    """Whether nobody sees this on the bus: a docstring, a call of the log, a help text."""
    match node:
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name))) if name in UNSEEN:
            return True
        case ast.keyword(arg=str(name)):
            return name in UNSEEN_ARGUMENTS
    return False


def forms(node: ast.expr) -> Iterator[str]:
    """Yield the forms of a text: one, or more when a part of it is there under a condition."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            for choice in itertools.product(*(list(forms(part)) for part in parts)):
                yield "".join(choice)
        case ast.FormattedValue(value=ast.IfExp(body=body, orelse=orelse)) if is_text(body) and is_text(orelse):
            yield from itertools.chain(forms(body), forms(orelse))
        case ast.FormattedValue(value=value):
            yield "{" + placeholder(value) + "}"


def is_text(node: ast.expr) -> bool:
    """Whether this is a text as it stands there."""
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def placeholder(value: ast.expr) -> str:
    """Name what is filled in."""
    if isinstance(value, ast.IfExp):
        return placeholder(value.body)
    words = re.findall(r"[A-Za-z_]\w*", re.sub(r"'[^']*'|\"[^\"]*\"", "", ast.unparse(value)))
    names = [str(word) for word in words if word not in dir(builtins)]
    return names[-1].strip("_").lower()


if __name__ == "__main__":
    main()
