# SPDX-License-Identifier: GPL-2.0-only
"""The kernel-doc of a C header: what it says, and about which declaration."""

import re

# A comment in the style of kernel-doc, and the code that follows it.
COMMENT = re.compile(r'^/\*\*\n(.*?)^ \*/\n', re.M | re.S)
PLAIN = re.compile(r'^/\*(?!\*)((?:(?!\*/)[\s\S])*)\*/\n((?:#define .*\n)+)', re.M)
HEAD = re.compile(r'(?:(DOC): *|(struct|enum|union) +)?(\w[^-(\n]*?)(?:\(\))?(?: +- +(.*))?$')


class KdocError(Exception):
    """A comment that is not what kernel-doc is."""


class Doc:
    """One comment.

    kind       'DOC', 'function', 'struct', 'enum'
    name       what it is about; of a DOC its title
    short      one line about it
    members    [(name, [line, ...])]: parameters, members, values
    body       [line, ...]: the text between them and what comes below
    returns    [line, ...]
    since      a version, or None
    code       the declaration, without comments
    """

    def __init__(self, kind, name, short):
        self.kind, self.name, self.short = kind, name, short
        self.members, self.body, self.returns = [], [], []
        self.since = None
        self.code = ''


def strip_star(line):
    """A line of a comment without what makes it a comment."""
    line = re.sub(r'^ \*(?: |$)', '', line)
    # " *<tab>text" goes on with a member's text.
    return re.sub(r'^ \*\t', '\t', line)


def declaration(text):
    """The code at the beginning of text, up to the end of one declaration."""
    text = re.sub(r'/\*.*?\*/', '', text, flags=re.S)
    depth = 0
    for at, char in enumerate(text):
        if char in '{(':
            depth += 1
        elif char in '})':
            depth -= 1
        elif char == ';' and depth == 0:
            return text[:at + 1].strip()
    return ''


def parse_comment(text, where):
    """A Doc from the lines between /** and */."""
    lines = [strip_star(line) for line in text.splitlines()]
    head = HEAD.match(lines[0])
    if not head:
        raise KdocError(f'{where}: "{lines[0]}" is no beginning of a kernel-doc comment')
    doc = Doc(head[1] or head[2] or 'function', head[3], head[4])
    lines = lines[1:]
    # The short text may go on in further lines.
    while doc.short and lines and lines[0] and not lines[0].startswith('@'):
        doc.short += ' ' + lines.pop(0)
    into = doc.body
    for line in lines:
        member = re.match(r'@([\w.]+): *(.*)', line) if doc.kind != 'DOC' else None
        if member:
            into = [member[2]]
            doc.members.append((member[1], into))
        elif re.match(r'Return: ', line):
            into = doc.returns
            into.append(line[len('Return: '):])
        elif re.match(r'Since: [\d.]+$', line):
            doc.since = line[len('Since: '):]
            into = doc.body
        elif not line and into is not doc.body:
            into = doc.body
        else:
            into.append(line)
    while doc.body and not doc.body[-1]:
        doc.body.pop()
    while doc.body and not doc.body[0]:
        doc.body.pop(0)
    return doc


def parse(path):
    """All comments of a header, in their order."""
    with open(path, encoding='utf-8') as file:
        text = file.read()
    docs = []
    for comment in COMMENT.finditer(text):
        where = f'{path}:{text.count(chr(10), 0, comment.start()) + 1}'
        doc = parse_comment(comment[1], where)
        if doc.kind != 'DOC':
            if not doc.short:
                raise KdocError(f'{where}: {doc.name} has no short description')
            doc.code = declaration(text[comment.end():])
            if not re.search(rf'\b{doc.name}\b', doc.code):
                raise KdocError(f'{where}: {doc.name} is not declared after its comment')
        docs.append(doc)
    return docs


def public_functions(path):
    """The names of all functions marked with ZCP_API, described or not."""
    with open(path, encoding='utf-8') as file:
        text = re.sub(r'^#.*$', '', file.read(), flags=re.M)
    return re.findall(r'\bZCP_API\b[^;(]*?(\w+)\s*\(', text)


def constants(path):
    """[(name, text)] of the #defines that a comment above or behind them explains.

    One comment may explain several: "ZCP_A: what a is. ZCP_B: what b is."
    """
    with open(path, encoding='utf-8') as file:
        text = file.read()
    found = []
    for comment in PLAIN.finditer(text):
        about = re.sub(r'^ \* ?', '', comment[1], flags=re.M)
        about = re.sub(r'\s+', ' ', about).strip()
        defines = re.findall(r'^#define (\w+)(.*)$', comment[2], re.M)
        parts = re.split(r'(?:^|(?<=\. ))([A-Z_0-9]+): ', about)
        named = dict(zip(parts[1::2], parts[2::2]))
        for name, rest in defines:
            behind = re.search(r'/\* (.*) \*/', rest)
            if behind:
                found.append((name, behind[1]))
            elif name in named:
                found.append((name, named[name].strip()))
            elif len(defines) == 1 and not named:
                found.append((name, about))
    return found


def tidy_code(code):
    """A declaration without the blank lines that its comments leave behind."""
    return re.sub(r'[ \t]+$', '', re.sub(r'\n\s*\n', '\n', code), flags=re.M)
