#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""map.py BLKIF-CONFORM: conformance/COVERAGE.md against the program's own list, both ways."""
import fnmatch
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "tree"))
import tap  # noqa: E402

ADVISORIES = """CVE-2007-5498 CVE-2010-3699 CVE-2010-4247 CVE-2013-2140 XSA-48 XSA-71 XSA-142 XSA-155
XSA-180 XSA-216 XSA-229 XSA-300 XSA-332 XSA-349 XSA-350 XSA-362 XSA-365 XSA-441 XSA-528 XSA-391
XSA-57 XSA-325""".split()
EXPECTED = {f"PROTOCOL §3.{n}" for n in range(1, 16)} | {f"HOSTILE §1 {a}" for a in ADVISORIES}
# Rows of the parts that have no numbers of their own: how many there are.
COUNTED = {"PROTOCOL §2": 11, "HOSTILE §2": 21, "HOSTILE §3": 39}


def rows(text):
    """clause -> patterns of case ids, or None with a reason."""
    found = {}
    for line in text.split("\n"):
        cells = [c.strip() for c in line.strip("| ").split(" | ")]
        if line.startswith("| ") and len(cells) == 3 and cells[0] != "clause":
            found[cells[0]] = cells[2]
    return found


def patterns(cell):
    return [] if cell.startswith("none: ") else [p.strip() for p in cell.split(",")]


def problems(table, cases):
    """table: clause -> cell; cases: (id, level, clause, rule)."""
    ids = [c[0] for c in cases]
    for clause, cell in table.items():
        if cell.startswith("none:") and len(cell) < 20:
            yield f"{clause}: no case, and hardly a reason"
        for p in patterns(cell):
            if not fnmatch.filter(ids, p):
                yield f"{clause}: there is no case {p}"
    for case, level, clause, rule in cases:
        if clause not in table:
            yield f"{case}: its clause {clause} is no row"
        elif not any(fnmatch.fnmatch(case, p) for p in patterns(table[clause])):
            yield f"{case}: not in the row {clause}"
        if level not in ("MUST", "SHOULD") or not rule:
            yield f"{case}: {level} {rule}"


def missing(table):
    yield from sorted(EXPECTED - set(table))
    for part, n in COUNTED.items():
        have = sum(k.startswith(part) for k in table)
        if have != n:
            yield f"{part}: {have} rows instead of {n}"


def main():
    p = subprocess.run([sys.argv[1], "--list"], capture_output=True, text=True, check=True)
    cases = [line.split("\t") for line in p.stdout.splitlines()]
    table = rows(tap.read("conformance/COVERAGE.md"))
    ids = [c[0] for c in cases]

    tap.report("every clause has a row", missing(table))
    tap.report("rows and cases agree, both ways", problems(table, cases))
    tap.report("no id is used twice", sorted({i for i in ids if ids.count(i) > 1}))
    tap.report("ids are subject.rule", [i for i in ids if not re.fullmatch(r"[a-z_]+\.[a-z0-9-]+", i)])

    clause = cases[0][2]
    for name, bad in (
        ("a case that is not there", problems({**table, clause: table[clause] + ", io.none"}, cases)),
        ("a case in no row", problems(table, cases + [["io.new", "MUST", clause, "x"]])),
        ("a clause that is no row", problems(table, cases + [["io.new", "MUST", "RULE 7", "x"]])),
        ("a row that is gone", missing({k: v for k, v in table.items() if k != "PROTOCOL §3.7"})),
    ):
        found = list(bad)
        tap.report(f"the check finds {name}", [] if len(found) == 1 else [str(found)])
    tap.done()


main()
