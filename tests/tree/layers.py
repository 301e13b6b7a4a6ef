#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which folder of src/ includes what, against layers.txt; and that this check finds violations."""
import fnmatch
import os
import re
import tempfile

import tap

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<][^">]+[">])', re.M)


class Rules:
    def __init__(self, text):
        self.folders, self.libraries, self.pure = {}, {}, {}
        for line in text.splitlines():
            line = line.split("#")[0].strip()
            if not line:
                continue
            left, right = line.rsplit(":", 1) if line.startswith("<") else line.split(":", 1)
            if left.startswith("pure "):
                self.pure[left[5:]] = right.split()
            elif left.startswith("<"):
                self.libraries[left] = right.split()
            else:
                self.folders[left] = right.split()


def violations(root, rules):
    for path in tap.files(".c", ".h", under=("src",), root=root):
        folder = path.split("/")[1]
        if folder not in rules.folders:
            yield f"{path}: the folder {folder} has no row in layers.txt"
            continue
        for inc in INCLUDE.findall(tap.read(path, root)):
            name = inc[1:-1]
            if inc[0] == '"':
                allowed = [folder] + rules.folders[folder]
                if folder == "front" and name == "blkfront.h":  # the public header
                    continue
                if not any(name == a or name.startswith(a + "/") for a in allowed):
                    yield f"{path}: may not include {inc}"
            else:
                for pattern, who in rules.libraries.items():
                    if fnmatch.fnmatch(inc, pattern) and folder not in who:
                        yield f"{path}: may not include {inc}"
                if folder in rules.pure and inc not in rules.pure[folder]:
                    yield f"{path}: is pure and may not include {inc}"


def upward(rules):
    """The table itself: each row may name only rows above it."""
    seen = set()
    for folder, allowed in rules.folders.items():
        for a in allowed:
            if a.split("/")[0] not in seen:
                yield f"{folder} names {a}, which is not above it"
        seen.add(folder)


def planted(rules, path, line):
    """What the check says about a tree with that one line in that one file."""
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(os.path.join(root, os.path.dirname(path)))
        with open(os.path.join(root, path), "w") as f:
            f.write(f"/* planted */\n{line}\nint x;\n")
        return list(violations(root, rules))


def main():
    rules = Rules(tap.read("tests/tree/layers.txt"))
    tap.report("every folder includes only what its row allows", violations(tap.ROOT, rules))
    tap.report("no row allows what stands below it", upward(rules))
    folders = {p.split("/")[1] for p in tap.files(".c", ".h", under=("src",))}
    tap.report("every folder of src has a row", sorted(folders - set(rules.folders)))

    for path, line in (
        ("src/blkif/check.c", '#include "hv/hv.h"'),
        ("src/blkif/check.c", "#include <unistd.h>"),
        ("src/front/ring.c", '#include "blkif/ring.h"'),
        ("src/front/ring.c", '  #  include   "ring/ring.h"'),
        ("src/engine/uring.c", '#include "blkif/layout.h"'),
        ("src/engine/uring.c", "#include <xengnttab.h>"),
        ("src/ring/submit.c", '#include "engine/uring.h"'),
        ("src/daemon/bus.c", '#include "hv/hv.h"'),
        ("src/ctl/main.c", '#include "daemon/bus.h"'),
        ("src/new/thing.c", '#include "base/error.h"'),
    ):
        found = planted(rules, path, line)
        tap.report(f"the check finds {line.strip()} planted in {path}",
                   [] if len(found) == 1 else [f"it says {found}"])
    for path, line in (
        ("src/ring/submit.c", '#include "engine/engine.h"'),
        ("src/front/ring.c", '#include "blkif/layout.h"'),
    ):
        tap.report(f"the check lets {line} pass in {path}", planted(rules, path, line))
    tap.done()


main()
