#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What every source file of the tree keeps to: licence line, sizes, calls, paths, scripts, format."""
import os
import py_compile
import re
import shutil
import statistics
import subprocess
import tempfile

import tap

SOURCE = (".c", ".h")
LINES_MEDIAN, LINES_MAX, FUNCTION_MAX = 250, 800, 100
# Longer than FUNCTION_MAX for a reason: tables and parsers of arguments.
LONG_FUNCTIONS = {}
# Split, so that this file does not find itself.
FORBIDDEN = re.compile(r"\b(str" r"cpy|str" r"cat|s" r"printf|vs" r"printf|ge" r"ts|ato" r"i|all"
                       r"oca)\s*\(")
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
MACHINE = re.compile(r"(^|[^\w./-])/(wo" r"rk|fa" r"rm|ho" r"me|Us" r"ers)/\w")
CONTROL = {"if", "for", "while", "switch"}


def scripts():
    for path in tap.files():
        if path.startswith("LICENSE") or path.endswith((*SOURCE, ".py", ".md", ".scd", ".txt")):
            continue
        text = tap.read(path)
        first = text.split("\n", 1)[0]
        if first.startswith("#!") and first.rstrip().endswith("bash"):
            yield path, "bash"
        elif not first.startswith("#!") and "shellcheck shell=bash" in text:
            yield path, "bash"  # read by another script
        elif first.startswith("#!") and first.rstrip().endswith("/sh") or path.endswith(".sh"):
            yield path, "sh"


def functions(text):
    """(name, lines) of each function: in this format its braces stand in the first column."""
    lines = text.split("\n")
    start = None
    for i, line in enumerate(lines):
        if line == "{" and i > 0:
            start = i
        elif line == "}" and start is not None:
            head = "\n".join(lines[max(0, start - 8):start])
            names = [n for n in re.findall(r"(\w+)\(", head.split("\n\n")[-1]) if n not in CONTROL]
            yield (names[0] if names else "?"), i - start - 1
            start = None


def licence():
    for path in tap.files(*SOURCE, ".py", ".sh"):
        if "SPDX-License-Identifier: MIT" not in "\n".join(tap.read(path).split("\n")[:3]):
            yield f"{path}: no SPDX line at its top"
    for path, _ in scripts():
        if "SPDX-License-Identifier: MIT" not in "\n".join(tap.read(path).split("\n")[:3]):
            yield f"{path}: no SPDX line at its top"


def sizes():
    lines = {p: tap.read(p).count("\n") for p in tap.files(*SOURCE)}
    yield from (f"{p}: {n} lines" for p, n in lines.items() if n > LINES_MAX)
    median = statistics.median(n for p, n in lines.items() if p.startswith("src/"))
    if median > LINES_MEDIAN:
        yield f"the median file of src has {median} lines"


def lengths():
    for path in tap.files(".c"):
        for name, n in functions(tap.read(path)):
            if n > FUNCTION_MAX and LONG_FUNCTIONS.get(name) != path:
                yield f"{path}: {name}() has {n} lines"


def matches(pattern, *suffixes):
    for path in tap.files(*suffixes):
        for i, line in enumerate(tap.read(path).split("\n"), 1):
            if pattern.search(line):
                yield f"{path}:{i}: {line.strip()[:100]}"


def shell_syntax():
    for path, shell in scripts():
        p = subprocess.run([shell, "-n", os.path.join(tap.ROOT, path)], text=True,
                           capture_output=True)
        yield from p.stderr.splitlines()


def python_syntax():
    with tempfile.TemporaryDirectory() as d:
        for path in tap.files(".py"):
            try:
                py_compile.compile(os.path.join(tap.ROOT, path), os.path.join(d, "x"), doraise=True)
            except py_compile.PyCompileError as e:
                yield str(e)


def format_problems():
    paths = [os.path.join(tap.ROOT, p) for p in tap.files(*SOURCE)]
    p = subprocess.run(["clang-format", "--dry-run", "-Werror", *paths], text=True,
                       capture_output=True)
    return [l for l in p.stderr.splitlines() if "error:" in l]


def main():
    tap.report("every source and script has its licence line", licence())
    tap.report(f"no file is longer than {LINES_MAX} lines, the median not than {LINES_MEDIAN}",
               sizes())
    tap.report(f"no function is longer than {FUNCTION_MAX} lines", lengths())
    planted = "int f(int a)\n{\n" + "    a++;\n" * 101 + "}\n"
    tap.report("the check of functions counts one of 101 lines",
               [] if list(functions(planted)) == [("f", 101)] else [str(list(functions(planted)))])
    tap.report("no call that cannot be bounded", matches(FORBIDDEN, *SOURCE))
    tap.report("nothing is left for later", matches(UNFINISHED, *SOURCE, ".sh", "meson.build"))
    tap.report("no path of somebody's machine",
               matches(MACHINE, *SOURCE, ".sh", ".py", ".md", ".scd", ".txt", "meson.build",
                       "Makefile"))
    tap.report("every shell script parses", shell_syntax())
    tap.report("every Python script parses", python_syntax())
    if shutil.which("clang-format"):
        tap.report("every C file is formatted (make format)", format_problems())
    else:
        tap.skip("every C file is formatted", "clang-format is not installed")
    tap.done()


main()
