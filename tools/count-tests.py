#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the tests that ran, from meson's testlog.json files and from plain TAP files.

count-tests.py FILE...: prints each failure, the reasons of what was skipped, and as its last line
"N passed, N failed, N skipped". A program that ends badly without a failed test of its own (a
crash, a sanitizer's report, a timeout, fewer tests than planned) is one failure. Exit code 1 if
anything failed, a file is missing, or nothing passed.
"""
import json
import re
import sys

POINT = re.compile(r"(not )?ok\b(?: +\d+)?(?: *-? *)?([^#]*)(?:# *(skip|todo)\w*:? *(.*))?", re.I)
PLAN = re.compile(r"1\.\.(\d+)(?: *# *skip\w*:? *(.*))?", re.I)


class Count:
    def __init__(self):
        self.passed = 0
        self.failures = []
        self.skips = {}

    def skip(self, reason, n=1):
        self.skips[reason] = self.skips.get(reason, 0) + n

    def tap(self, name, text, bad_end):
        """bad_end: None, or how the program itself ended."""
        planned = None
        seen = failed = 0
        for line in text.splitlines():
            plan = PLAN.match(line)
            point = POINT.match(line)
            if line.startswith("Bail out!"):
                bad_end = line
            elif plan:
                planned = int(plan[1])
                if planned == 0:
                    self.skip(plan[2] or "no reason given")
            elif point:
                seen += 1
                if (point[3] or "").lower() == "skip":
                    self.skip(point[4] or "no reason given")
                elif point[1]:
                    failed += 1
                    self.failures.append(f"{name}: {point[2].strip()}")
                else:
                    self.passed += 1
        if planned is not None and seen != planned and not bad_end:
            bad_end = f"{seen} tests of {planned} planned"
        if planned is None and not bad_end and seen == 0:
            bad_end = "no test ran"
        if bad_end and not failed:
            self.failures.append(f"{name}: {bad_end}")

    def meson(self, path, lines):
        for line in lines:
            t = json.loads(line)
            result = t["result"]
            good = result in ("OK", "SKIP", "EXPECTEDFAIL")
            name = f'{path.split("/")[0]}: {t["name"]}'
            out = t.get("stdout") or ""
            if PLAN.search(out):
                self.tap(name, out, None if good else f'{result.lower()}, exit {t["returncode"]}')
            elif result == "SKIP":
                self.skip(f"{name} says skip")
            elif good:
                self.passed += 1
            else:
                self.failures.append(f'{name}: {result.lower()}, exit {t["returncode"]}')


def main(paths):
    count = Count()
    for path in paths:
        try:
            with open(path, errors="replace") as f:
                if path.endswith(".json"):
                    count.meson(path, f)
                else:
                    count.tap(path, f.read(), None)
        except OSError as e:
            count.failures.append(f"{path}: {e.strerror}: that part did not run")
    for reason, n in sorted(count.skips.items()):
        print(f"skipped {n}: {reason}")
    for f in count.failures:
        print(f"failed: {f}")
    print(f"{count.passed} passed, {len(count.failures)} failed, {sum(count.skips.values())} skipped")
    return 1 if count.failures or not count.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
