#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Print gcovr's counts as a table, and write down what was not run.

usage: coverage.py TOP UNCOVERED RUN.json...
"""
import collections
import json
import os
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


def main(top, uncovered, *runs):
    lines, branches = read(runs)
    form = "{:26}{:>8}{:>8}{:>8}{:>10}{:>8}{:>8}"
    print(form.format("file", "lines", "run", "%", "branches", "taken", "%"))
    all_lines, all_branches = {}, {}
    with open(uncovered, "w", encoding="utf-8") as out:
        for name in sorted(lines):
            print(form.format(name, *part(lines[name]), *part(branches[name])))
            all_lines.update({(name, key): n for key, n in lines[name].items()})
            all_branches.update({(name, key): n for key, n in branches[name].items()})
            with open(os.path.join(top, name), encoding="utf-8") as source:
                text = source.read().splitlines()
            for number in sorted(lines[name]):
                if not lines[name][number]:
                    print(f"{name}:{number}:{text[number - 1]}", file=out)
    print(form.format("all", *part(all_lines), *part(all_branches)))
    print(f"Lines that were not run: {uncovered}")


main(*sys.argv[1:])
