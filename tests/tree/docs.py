#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs.py BUILD: man pages are well formed and say what --help says; the documentation names only
files, functions, tests, targets and options that exist."""
import os
import re
import shutil
import subprocess
import sys

import tap

PROGRAMS = {
    "blkbackd.8": "src/daemon/blkbackd",
    "blkbackctl.8": "src/ctl/blkbackctl",
    "blkfront.1": "src/front/blkfront",
    "blkback-loopd.8": "src/loopd/blkback-loopd",
    "blkback-loopctl.8": "src/loopd/blkback-loopctl",
}
TOKEN = r"`\w+(?:\(\))?`"
# `one()`, `two` and `three` in `path`
IN_FILE = re.compile(rf"({TOKEN}(?:(?:, (?:and )?| and ){TOKEN})*) in `([\w./-]+)`")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
# scdoc makes these itself.
LINT_NOISE = "skipping paragraph macro"


def lint(page):
    path = os.path.join(tap.ROOT, "man", page + ".scd")
    with open(path) as f:
        roff = subprocess.run(["scdoc"], stdin=f, capture_output=True)
    if roff.returncode:
        return roff.stderr.decode().splitlines()
    out = subprocess.run(["mandoc", "-T", "lint", "-W", "warning"], input=roff.stdout,
                         capture_output=True).stdout.decode()
    return [f"{page}: {l}" for l in out.splitlines() if LINT_NOISE not in l]


def verbs(text):
    """Words that stand alone at the head of a line of help, as a list of commands has them."""
    return set(re.findall(r"^  ([a-z]+)(?= |$)", text, re.M))


def help_problems(page, program):
    p = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=60)
    if p.returncode or p.stderr:
        return [f"{page}: --help exits with {p.returncode} {p.stderr}"]
    man = tap.read(f"man/{page}.scd")
    said, written = set(OPTION.findall(p.stdout)), set(OPTION.findall(man))
    problems = [f"{page}: {o} is in --help and not in the man page" for o in sorted(said - written)]
    problems += [f"{page}: {o} is in the man page and not in --help" for o in sorted(written - said)]
    problems += [f"{page}: the command {v} is not in the man page"
                 for v in sorted(verbs(p.stdout)) if f"*{v}*" not in man]
    return problems


def unknown_option(page, program):
    p = subprocess.run([program, "--no-such-option"], capture_output=True, text=True, timeout=60)
    if p.returncode != 2:
        yield f"{page}: an unknown option exits with {p.returncode}, not 2"
    if p.stdout:
        yield f"{page}: an unknown option prints to standard output"
    if not p.stderr.strip():
        yield f"{page}: an unknown option is refused without a word"


def links(path):
    for target in re.findall(r"\]\(([^)#:]+)\)", tap.read(path)):
        if not os.path.exists(os.path.join(tap.ROOT, os.path.dirname(path), target)):
            yield f"{path}: the link to {target} leads nowhere"


def make_targets(path):
    known = set(re.findall(r"^([a-z-]+):", tap.read("Makefile"), re.M))
    for target in re.findall(r"(?:`|^|&& )make ([a-z][a-z-]*)", tap.read(path), re.M):
        if target not in known:
            yield f"{path}: there is no make {target}"


def named(path, code):
    """What stands in `backticks`: paths and functions of this tree."""
    for token in re.findall(r"`([^`\n]+)`", tap.read(path)):
        if re.fullmatch(r"(src|tests|include|tools|man|docs|packaging|\.ci)/[\w./-]*", token):
            if not os.path.exists(os.path.join(tap.ROOT, token)):
                yield f"{path}: {token} does not exist"
        elif re.fullmatch(r"[a-z_0-9]+\(\)", token) and token[:-2] not in code:
            yield f"{path}: there is no function {token}"


def walkthrough(code):
    """Its tables: the kernel's names in the first column, ours in the second, tests in the last."""
    path = "docs/walkthrough.md"
    rows = [r for r in tap.read(path).split("\n") if r.startswith("| ") and not r.startswith("|--")]
    steps = 0
    for row in rows:
        cells = [c.strip() for c in row.strip("| ").split(" | ")]
        if len(cells) != 3 or cells[0] == "the kernel's driver":
            continue
        steps += 1
        for token in re.findall(r"`([^`]+)`", cells[1] + " " + cells[2]):
            if "/" in token and not os.path.exists(os.path.join(tap.ROOT, token)):
                yield f"{path}: {token} does not exist"
            elif re.fullmatch(r"\w+(\(\))?", token) and token.rstrip("()") not in code:
                yield f"{path}: nothing is called {token}"
        for tokens, where in IN_FILE.findall(cells[1] + " | " + cells[2]):
            if os.path.isfile(os.path.join(tap.ROOT, where)):
                words = set(re.findall(r"\w+", tap.read(where)))
                for token in re.findall(r"`(\w+)", tokens):
                    if token not in words:
                        yield f"{path}: {token} is not in {where}"
        if "tests/" not in cells[2]:
            yield f"{path}: no test shows the step {cells[0]}"
    if steps < 10:
        yield f"{path}: only {steps} steps"


def main():
    build = sys.argv[1]
    pages = [p[4:-4] for p in tap.files(".scd", under=("man",))]
    code = set()
    for path in tap.files(".c", ".h", ".sh", ".py", under=("src", "include", "tests", "tools")):
        code.update(re.findall(r"\w+", tap.read(path)))
    documents = tap.files(".md")

    name = "every man page is well formed"
    if shutil.which("scdoc") and shutil.which("mandoc"):
        tap.report(name, [p for page in pages for p in lint(page)])
    else:
        tap.skip(name, "scdoc and mandoc are not installed")
    tap.report("every program has a man page",
               [f"{p} has none" for p in PROGRAMS if p not in pages])
    for page, path in PROGRAMS.items():
        program = os.path.join(build, path)
        tap.report(f"{page} says what --help says", help_problems(page, program))
        tap.report(f"{os.path.basename(path)} refuses an unknown option, with 2",
                   unknown_option(page, program))
    tap.report("links lead somewhere", [p for d in documents for p in links(d)])
    tap.report("make targets exist", [p for d in documents for p in make_targets(d)])
    tap.report("files and functions that are named exist",
               [p for d in documents for p in named(d, code)])
    tap.report("the walkthrough names what exists, and a test for each step", walkthrough(code))
    tap.report("the README shows its two commands",
               [c for c in ("make demo", "make check") if c not in tap.read("README.md")])
    tap.done()


main()
