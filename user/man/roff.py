# SPDX-License-Identifier: GPL-2.0-only
"""Text as man(7) source: escapes, fonts, paragraphs, lists and tables."""

import errno
import re

# Beyond ASCII, only what is known to be the same on each terminal.
CHARACTERS = {'…': '...', 'µ': r'\(mc', '→': '->', '⇄': '<->', '–': r'\-'}

ERRNO = '|'.join(sorted(errno.errorcode.values(), key=len, reverse=True))
MARKUP = re.compile(rf'''
    ``(?P<code>[^`]+)``
  | (?<![\w*])\*(?P<emph>[a-z][\w ]*)\*(?![\w*])
  | %(?P<constant>[A-Z][A-Z0-9_]+)
  | @(?P<member>\w+(?:->\w+)?)
  | \b(?P<function>zcp_\w+)\(\)
  | (?P<page>\b[a-z][\w.-]*)\((?P<section>[1-8])\)
  | (?P<macro>\bZCP_[A-Z0-9_]+(?:\*|x\b)?)
  | (?<![\w-])-(?P<negative>{ERRNO})\b
  | \b(?P<errno>{ERRNO})\b
  | (?<![\w-])(?P<option>--?[a-zA-Z][a-z0-9-]*)
''', re.X)


class RoffError(Exception):
    """Text that cannot be written as roff."""


def escape(text):
    """Text in which nothing means something to roff."""
    text = text.replace('\\', r'\e')
    for char, roff in CHARACTERS.items():
        text = text.replace(char, roff)
    for char in text:
        if ord(char) > 126:
            raise RoffError(f'the character "{char}" of "{text}" has no escape here')
    return text


def guard(line):
    """A line of text that is no request."""
    return r'\&' + line if line[:1] in ('.', "'") else line


def literal(text):
    """Something to type or to read in a program: its hyphens are minus signs."""
    return escape(text).replace('-', r'\-')


def bold(text):
    return rf'\fB\%{literal(text)}\fR'


def italic(text):
    return rf'\fI\%{literal(text)}\fR'


def inline(text, own=None):
    """One line with its markup as fonts. A function is named with its section, except in
    its own page."""
    out, at = [], 0
    for found in MARKUP.finditer(text):
        out.append(escape(text[at:found.start()]))
        at = found.end()
        kind, value = found.lastgroup, found[found.lastgroup]
        if kind == 'section':
            out.append(rf'{bold(found["page"])}({value})')
        elif kind == 'function':
            out.append(bold(value) + ('()' if value == own else '(3)'))
        elif kind == 'negative':
            out.append(bold('-' + value))
        elif kind in ('emph', 'member'):
            out.append(italic(value))
        else:
            out.append(bold(value))
    out.append(escape(text[at:]))
    return guard(''.join(out))


def paragraph(lines, own=None):
    """Lines that belong together, each sentence on a line of its own."""
    text = ' '.join(line.strip() for line in lines)
    return [inline(part, own) for part in re.split(r'(?<=[A-Za-z0-9)"*][.:;]) (?=[A-Z*"`@])', text)]


def term(name, lines, own=None):
    """An entry of a list: a term that is roff already, and the text about it."""
    return ['.TP', name, *paragraph(lines, own)]


def table(lines, own=None):
    """A table of reStructuredText with two columns, as a list."""
    border = re.match(r'(=+ +)=', lines[0])
    width, out, rows = len(border[1]), [], []
    for line in lines[1:-1]:
        if line[:width].strip():
            rows.append((line[:width].strip(), []))
        rows[-1][1].append(line[width:])
    for name, text in rows:
        out += term(bold(name), text, own)
    return out


def blocks(lines, own=None):
    """Paragraphs, lists with dashes and tables, apart by empty lines."""
    out, block = [], []
    for line in [*lines, '']:
        if line:
            block.append(line)
            continue
        if not block:
            continue
        if block[0].startswith('==='):
            out += table(block, own) + ['.PP']
        elif block[0].startswith('- '):
            for item in re.split(r'\n(?=- )', '\n'.join(block)):
                out += [r'.IP \(bu 2', *paragraph(item[2:].split('\n'), own)]
            out.append('.PP')
        else:
            out += ['.PP', *paragraph(block, own)]
        block = []
    return tidy(out)


def verbatim(text):
    """A program, or what a terminal shows."""
    lines = [guard(literal(line.expandtabs(8))) for line in text.rstrip('\n').split('\n')]
    return ['.PP', '.in +4n', '.EX', *lines, '.EE', '.in']


def tidy(lines):
    """Without paragraphs that begin where another one begins."""
    out = []
    for line in lines:
        if out and out[-1] == '.PP' and line.split(' ')[0] in ('.PP', '.TP', '.SH', '.SS', '.IP'):
            out.pop()
        if line == '.PP' and out and out[-1].split(' ')[0] in ('.SH', '.SS'):
            continue
        out.append(line)
    while out and out[-1] == '.PP':
        out.pop()
    return out
