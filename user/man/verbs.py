# SPDX-License-Identifier: GPL-2.0-only
"""The verbs of zcpctl and their options, as the program itself tells them."""

import re
import subprocess

import roff


class VerbError(Exception):
    """Help that is not written as help is."""


def run(zcpctl, *arguments):
    return subprocess.run([zcpctl, *arguments], check=True, capture_output=True, text=True,
                          timeout=30).stdout


def names(zcpctl):
    """In the order in which zcpctl -h lists them."""
    found = re.findall(r'^  (\w+) ', run(zcpctl, '-h'), re.M)
    if not found:
        raise VerbError(f'{zcpctl} -h lists no verbs')
    return found


def options(zcpctl, verb):
    """Each option that the verb's help names at the beginning of a line."""
    found = []
    for line in run(zcpctl, 'help', verb).splitlines():
        if re.match(r'  +-', line):
            found += re.findall(r'(?<![\w-])--?[a-zA-Z][a-z0-9-]*',
                                re.split(r'  +', line.strip())[0])
    return found


def operand(text):
    """A command line with options in bold and what stands for a value in italics."""
    text = roff.literal(text)
    text = re.sub(r'(?<![\w\\])((?:\\-)+[a-zA-Z](?:[a-z0-9]|\\-)*)', r'\\fB\1\\fR', text)
    return re.sub(r'(?<![\w\\])([A-Z][A-Z0-9_]*)\b(?!\\)', r'\\fI\1\\fR', text)


def split(zcpctl, verb):
    """Its usage, its sentence, and the lines below."""
    found = re.match(rf'usage: zcpctl ({verb}.*)\n\n(.*)\n\n?((?:.*\n)*)\Z',
                     run(zcpctl, 'help', verb))
    if not found:
        raise VerbError(f'the help of {verb} does not begin with usage and a sentence')
    return found[1], found[2], found[3].splitlines()


def arguments(zcpctl, verb):
    """What comes behind the verb; what is in brackets stays together."""
    text = split(zcpctl, verb)[0].partition(' ')[2]
    return [roff.guard(operand(word)).replace(' ', r'\ ') + (r'\&' if word[-1] == '.' else '')
            for word in re.findall(r'\[[^]]*\]\S*|\S+', text)]


def usage(zcpctl, verb):
    return ' '.join([roff.bold('zcpctl ' + verb), *arguments(zcpctl, verb)])


def section(zcpctl, verb):
    """A verb's help as a section: entries of lists are indented by two blanks, and their
    text begins two blanks after them or in a line of its own, further in."""
    _, sentence, lines = split(zcpctl, verb)
    out = [f'.SS "{verb}"', usage(zcpctl, verb), '.PP', *roff.paragraph([sentence])]
    entry, block = None, []

    def flush():
        nonlocal entry, block
        if entry is not None:
            out.extend(roff.term(operand(entry) if entry.startswith('-') else roff.bold(entry),
                                 block or ['']))
        elif block:
            out.extend(['.PP', *roff.paragraph(block)])
        entry, block = None, []

    for line in lines:
        begin = re.match(r'  (\S.*?)(?:  +(\S.*))?$', line)
        if begin:
            flush()
            entry, block = begin[1], [begin[2]] if begin[2] else []
        elif not line:
            flush()
        else:
            if entry is not None and not line.startswith('   '):
                flush()
            block.append(line)
    flush()
    return out
