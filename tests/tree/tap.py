# SPDX-License-Identifier: MIT
"""Test Anything Protocol for the tests of the tree itself, and the list of its files."""
import os
import sys

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
_count = 0
_failed = 0


def report(name, problems=()):
    """One test: fine if there are no problems, each of which is a line for the person who reads."""
    global _count, _failed
    _count += 1
    problems = list(problems)
    print(f"{'not ok' if problems else 'ok'} {_count} - {name}")
    for p in problems[:50]:
        print(f"# {p}")
    _failed += bool(problems)


def skip(name, reason):
    global _count
    _count += 1
    print(f"ok {_count} - {name} # SKIP {reason}")


def done():
    print(f"1..{_count}")
    sys.exit(1 if _failed else 0)


def files(*suffixes, under=(), root=ROOT):
    """Paths of the project's own files, relative to root: no build folders, nothing hidden but
    .ci. under: only in these folders."""
    found = []
    for top, dirs, names in os.walk(root):
        here = os.path.relpath(top, root)
        if here == ".":
            dirs[:] = [d for d in dirs if not d.startswith("build") and (d[0] != "." or d == ".ci")]
        else:
            dirs[:] = [d for d in dirs if d != "__pycache__"]
        for name in names:
            path = os.path.normpath(os.path.join(here, name))
            if suffixes and not path.endswith(suffixes):
                continue
            if under and not path.startswith(tuple(f"{u}/" for u in under)):
                continue
            found.append(path)
    return sorted(found)


def read(path, root=ROOT):
    with open(os.path.join(root, path), errors="replace") as f:
        return f.read()
