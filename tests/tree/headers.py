#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every header compiles alone and twice in a row, with gcc and with clang, without a warning."""
import os
import shutil
import subprocess

import tap

FLAGS = ("-std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Wshadow -Wstrict-prototypes -Wundef -Werror "
         "-fsyntax-only -x c -").split()


def compile_alone(compiler, header):
    name = header.split("/", 1)[1]
    text = f'#include "{name}"\n#include "{name}"\n'
    where = [f"-I{os.path.join(tap.ROOT, d)}" for d in ("src", "include")]
    p = subprocess.run([compiler, *where, *FLAGS], input=text, text=True, capture_output=True)
    return p.stderr.splitlines()[:5] if p.returncode else []


def main():
    for compiler in ("gcc", "clang"):
        name = f"every header compiles alone with {compiler}"
        if not shutil.which(compiler):
            tap.skip(name, f"{compiler} is not installed")
            continue
        problems = []
        for header in tap.files(".h", under=("src", "include")):
            problems += compile_alone(compiler, header)
        tap.report(name, problems)
    tap.done()


main()
