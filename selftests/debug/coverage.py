#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Print gcovr's counts as a table, and write down what was not run.

usage: coverage.py [--check] TOP UNCOVERED RUN.json...

With --check each line that was not run has to be explained in docs/coverage.md,
in a row of a table: where (file and function), the lines, why; if one is not, the
status is 3. They are known by their function and text, so that the page stays true
when others move them. A text that several lines have explains as many of them as
it is there times. The status is 3, too, if the page explains what there is not.
"""
import collections
import json
import os
import re
import sys


def read(names):
    """Counts of lines, and of each line's branches, summed over the runs."""
    lines = collections.defaultdict(lambda: collections.defaultdict(int))
    branches = collections.defaultdict(lambda: collections.defaultdict(int))
    for name in names:
        with open(name, encoding="utf-8") as run:
            files = json.load(run)["files"]
        for entry in files:
            for line in entry["lines"]:
                if line.get("gcovr/noncode"):
                    continue
                number = line["line_number"]
                lines[entry["file"]][number] += line["count"]
                for index, branch in enumerate(line["branches"]):
                    branches[entry["file"]][number, index] += branch["count"]
    return lines, branches


def part(counts):
    """The cells for: how many there are, how many were run, per cent."""
    run = sum(1 for count in counts.values() if count)
    share = f"{100 * run / len(counts):.1f}" if counts else "-"
    return [len(counts), run, share]


def function_of(text, number):
    """The function that the line is in: the last one that begins before it."""
    for line in reversed(text[:number]):
        found = re.match(r"(?:[A-Za-z_][\w\s*]*?[\s*])?\*?(\w+)\(", line)
        if found and not line.endswith(";"):
            return found[1]
    return "-"


def cells(row):
    return [cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def explained(page):
    """How many lines the page explains, by (file, function, text)."""
    known = collections.Counter()
    with open(page, encoding="utf-8") as lines:
        for line in lines:
            found = cells(line) if line.startswith("|") else []
            if len(found) != 3 or not found[2]:
                continue
            where = re.fullmatch(r"`(\S+)`: `(\w+)`", found[0])
            if where:
                known.update((where[1], where[2], text)
                             for text in re.findall(r"`([^`]+)`", found[1]))
    return known


def rows(lines):
    """Those of a table, of a Counter of lines, for somebody to say why."""
    texts = collections.defaultdict(list)
    for name, function, text in sorted(lines.elements()):
        texts[name, function].append(f"`{text}`")
    for (name, function), code in texts.items():
        print(f"| `{name}`: `{function}` |", " ".join(code).replace("|", "\\|"), "| |")


def check(page, missed, there):
    """Tell which of the lines missed nobody has explained, and what is explained
    that is not there: both with the numbers of all that have their text."""
    known = explained(page)
    count = collections.Counter({line: len(numbers) for line, numbers in missed.items()})
    unknown = count - known
    gone = known - collections.Counter({line: len(numbers) for line, numbers in there.items()})
    if unknown:
        print(f"Not run, and not explained in {page}:")
        rows(unknown)
        for line in sorted(unknown):
            numbers = ", ".join(map(str, missed[line]))
            print(f"{line[0]}:{numbers}: {line[2]}: {known[line]} of {count[line]} explained")
    if gone:
        print(f"Explained in {page}, and not there, or not so often:")
        rows(gone)
    if unknown or gone:
        return 3
    print(f"Each line that was not run is explained in {page}")
    return 0


def main(top, uncovered, *runs, checked=False):
    lines, branches = read(runs)
    form = "{:26}{:>8}{:>8}{:>8}{:>10}{:>8}{:>8}"
    print(form.format("file", "lines", "run", "%", "branches", "taken", "%"))
    all_lines, all_branches = {}, {}
    missed = collections.defaultdict(list)
    there = collections.defaultdict(list)
    with open(uncovered, "w", encoding="utf-8") as out:
        for name in sorted(lines):
            print(form.format(name, *part(lines[name]), *part(branches[name])))
            all_lines.update({(name, key): n for key, n in lines[name].items()})
            all_branches.update({(name, key): n for key, n in branches[name].items()})
            with open(os.path.join(top, name), encoding="utf-8") as source:
                text = source.read().splitlines()
            for number, line in enumerate(text, 1):
                key = name, function_of(text, number), line.strip()
                there[key].append(number)
                if lines[name].get(number) == 0:
                    print(f"{name}:{number}:{line}", file=out)
                    missed[key].append(number)
    print(form.format("all", *part(all_lines), *part(all_branches)))
    print(f"Lines that were not run: {uncovered}")
    return check(os.path.join(top, "docs/coverage.md"), missed, there) if checked else 0


if sys.argv[1] == "--check":
    sys.exit(main(*sys.argv[2:], checked=True))
sys.exit(main(*sys.argv[1:]))
