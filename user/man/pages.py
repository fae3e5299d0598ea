#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Write the man pages of zcp.

usage: pages.py TOP OUTPUT ZCPCTL

The pages come from where each thing is described anyway: those of functions and types from
the kernel-doc of include/zcp/*.h, the ioctls and the netlink family from that of
include/uapi/linux/*.h, the module's parameters from MODULE_PARM_DESC(), the verbs and options
from what the program ZCPCTL prints for -h. What has no other place is in TOP/docs/man/*.in,
where a line @NAME ARGUMENT... stands for one of these parts.
"""

import glob
import os
import re
import subprocess
import sys

import kdoc
import roff
import verbs


class Library:
    """What include/zcp/*.h has."""

    def __init__(self, top):
        self.headers = []
        self.functions, self.types = [], []
        for path in sorted(glob.glob(f'{top}/include/zcp/*.h'), key=self.order):
            docs = kdoc.parse(path)
            name = 'zcp/' + os.path.basename(path)
            self.headers.append((name, docs, kdoc.constants(path)))
            for doc in docs:
                doc.header = name
                if doc.kind == 'function':
                    self.functions.append(doc)
                elif doc.kind in ('struct', 'enum'):
                    self.types.append(doc)
        self.pages = {doc.name for doc in self.functions + self.types}

    @staticmethod
    def order(path):
        """The main header first."""
        return (not path.endswith('/zcp.h'), path)


class Book:
    """All pages, and where their parts come from."""

    def __init__(self, top, zcpctl):
        self.top = top
        self.library = Library(top)
        self.uapi = {
            os.path.basename(path): (kdoc.parse(path), kdoc.constants(path))
            for path in glob.glob(f'{top}/include/uapi/linux/*.h')
        }
        self.zcpctl = zcpctl
        with open(f'{top}/CHANGELOG.md', encoding='utf-8') as file:
            entry = re.search(r'^## ([\d.]+)(?: - (\S+))?', file.read(), re.M)
        self.version, self.date = entry[1], entry[2] or ''

    def title(self, name, section):
        about = {1: 'User Commands', 3: 'Library Functions', 4: 'Kernel Interfaces',
                 7: 'Miscellaneous'}[section]
        return [r'.\" SPDX-License-Identifier: GPL-2.0-only',
                r'.\" Generated; what it says comes from the sources of zcp.',
                f'.TH {name} {section} "{self.date}" "zcp {self.version}" "{about}"']

    # Pages of functions and types.

    def see_also(self, doc):
        """What it speaks of, and what belongs to the same noun."""
        text = ' '.join([doc.code, *doc.body, *doc.returns,
                         *(' '.join(lines) for _, lines in doc.members)])
        noun = re.match(r'zcp_[a-z]+_', doc.name)
        names = {name for name in re.findall(r'\bzcp_\w+', text) if name in self.library.pages}
        if noun and doc.kind == 'function':
            names |= {other.name for other in self.library.functions
                      if other.name.startswith(noun[0])}
        if doc.kind != 'function':
            names |= {other.name for other in self.library.functions
                      if re.search(rf'\b{doc.name}\b', other.code)}
        names.discard(doc.name)
        pages = [f'{name} 3' for name in sorted(names)] + ['libzcp 3', 'zcp 4']
        lines = [f'.BR {page.split()[0]} ({page.split()[1]}),' for page in pages]
        lines[-1] = lines[-1].rstrip(',')
        return ['.SH SEE ALSO', '.ad l', '.nh', *lines]

    @staticmethod
    def prototype(code):
        """A declaration, its parameters in italics, lines at most 78 columns wide."""
        code = re.sub(r'\s+', ' ', code.replace('ZCP_API ', ''))
        head, parameters = re.match(r'(.*?\w\()(.*)\);$', code).groups()
        depth, parts = 0, ['']
        for char in parameters:
            depth += {'(': 1, ')': -1}.get(char, 0)
            if char == ',' and depth == 0:
                parts.append('')
            else:
                parts[-1] += char
        lines = [head]
        for index, part in enumerate(part.strip() for part in parts):
            part += ');' if index == len(parts) - 1 else ','
            if index and len(lines[-1]) + 1 + len(part) > 70:
                lines.append(' ' * len(head) + part)
            else:
                lines[-1] += (' ' if index else '') + part
        name = re.compile(r'(?:(?<=\(\*)\w+(?=\)\()|\b\w+(?=(?:\[\w*\])?(?:,|\);)))')
        out = []
        for line in lines:
            line = roff.literal(line)
            head_length = len(head) if line.startswith(roff.literal(head)) else 0
            rest = name.sub(lambda found: found[0] if found[0] == 'void' and 'void)' in line
                            else rf'\fI{found[0]}\fB', line[head_length:])
            out.append(rf'\fB{line[:head_length]}{rest}\fR')
        return ['.nf', *out, '.fi']

    @staticmethod
    def members(doc, own=None):
        out = []
        for name, lines in doc.members:
            font = roff.bold if doc.kind == 'enum' else roff.italic
            out += roff.term(font(name), lines, own)
        return out

    @staticmethod
    def short(text):
        """As it stands after a dash in the line of NAME."""
        text = re.sub(r'[@%]', '', text.rstrip('.'))
        return text if text[1:2].isupper() else text[:1].lower() + text[1:]

    def function_page(self, doc):
        returns = roff.paragraph(doc.returns, doc.name) if doc.returns else ['None.']
        out = [*self.title(doc.name, 3),
               '.SH NAME', rf'{doc.name} \- {roff.escape(self.short(doc.short))}',
               '.SH LIBRARY', r'Transfers by the kernel (libzcp, \-lzcp)',
               '.SH SYNOPSIS', '.nf', rf'\fB#include <{doc.header}>\fR', '.fi', '.PP',
               *self.prototype(doc.code),
               '.SH DESCRIPTION', *roff.paragraph([doc.short + '.'], doc.name)]
        if doc.members:
            out += ['.PP', 'The arguments are:', *self.members(doc, doc.name)]
        if doc.body:
            out += ['.PP', *roff.blocks(doc.body, doc.name)]
        out += ['.SH RETURN VALUE', *returns]
        if re.search(r'-E[A-Z]|-errno', ' '.join(doc.returns)):
            out += ['.SH ERRORS', 'What each errno means is said in', '.BR zcp (4).']
        if doc.since:
            out += ['.SH HISTORY', f'Since libzcp {doc.since}.']
        return roff.tidy(out + self.see_also(doc))

    def type_page(self, doc):
        out = [*self.title(doc.name, 3),
               '.SH NAME', rf'{doc.name} \- {roff.escape(self.short(doc.short))}',
               '.SH LIBRARY', r'Transfers by the kernel (libzcp, \-lzcp)',
               '.SH SYNOPSIS', '.nf', rf'\fB#include <{doc.header}>\fR', '.fi',
               *roff.verbatim(kdoc.tidy_code(doc.code)),
               '.SH DESCRIPTION', *self.members(doc)]
        if doc.body:
            out += ['.PP', *roff.blocks(doc.body)]
        if doc.since:
            out += ['.SH HISTORY', f'Since libzcp {doc.since}.']
        return roff.tidy(out + self.see_also(doc))

    # Parts of the other pages.

    def about(self, header):
        """The lines of a header's DOC comment: up to the paragraph that announces its table,
        and from there on."""
        docs, _ = self.uapi[header]
        lines = [line for doc in docs if doc.kind == 'DOC' for line in ['', *doc.body]]
        at = next((index for index, line in enumerate(lines) if line.startswith('===')),
                  len(lines) + 1) - 1
        while at < len(lines) and lines[at - 1]:
            at -= 1
        return lines[:at], lines[at:]

    def part_about(self, header):
        return roff.blocks(self.about(header)[0])

    def part_errors(self, header):
        lines = self.about(header)[1]
        if not lines:
            raise kdoc.KdocError(f'{header} has no table of errors')
        return roff.blocks(lines)

    def describe(self, doc, heading):
        out = [f'.SS {heading}']
        if doc.kind == 'struct':
            out += roff.verbatim(kdoc.tidy_code(doc.code))
        out += self.members(doc)
        if doc.body:
            out += ['.PP', *roff.blocks(doc.body)]
        return out

    def part_ioctls(self, header):
        out = []
        for doc in self.uapi[header][0]:
            about = re.match(r'ioctl\((\w+)\): (.*)', doc.short or '')
            if about:
                out += self.describe(doc, f'"{about[1]}: {roff.escape(about[2])}"')
        return out

    def part_types(self, header, kind):
        """Structures that are no ioctl's, or enumerations."""
        out = []
        for doc in self.uapi[header][0]:
            if doc.kind == kind and not doc.short.startswith('ioctl('):
                out += self.describe(doc, f'"{kind} {doc.name}: {roff.escape(self.short(doc.short))}"')
        return out

    def part_constants(self, header):
        out = []
        for name, text in self.uapi[header][1]:
            text = text[:1].upper() + text[1:]
            out += roff.term(roff.bold(name), [text if text.endswith('.') else text + '.'])
        return out

    def part_parameters(self):
        out = []
        for path in sorted(glob.glob(f'{self.top}/kmod/*.c')):
            with open(path, encoding='utf-8') as file:
                text = file.read()
            for name, strings in re.findall(r'^MODULE_PARM_DESC\((\w+),\s*((?:"[^"]*"\s*)+)\);',
                                            text, re.M):
                about = ''.join(re.findall(r'"([^"]*)"', strings))
                out += roff.term(roff.bold(name), [about + '.'])
        return out

    def part_fixes(self):
        """The table of kernel fixes that zcpctl doctor has."""
        with open(f'{self.top}/user/zcpctl/cve.c', encoding='utf-8') as file:
            text = file.read()
        out = []
        for cve, title in re.findall(r'^\t\{\n(?:\t\t\.cve = "(.*)",\n)?\t\t\.title = "(.*)",', text,
                                     re.M):
            out += [r'.IP \(bu 2', roff.escape(f'{title} ({cve})' if cve else title)]
        if not out:
            raise kdoc.KdocError('user/zcpctl/cve.c has no table of fixes')
        return out

    def part_library(self):
        """The DOC comments, functions, types and constants of each header."""
        out = []
        for name, docs, constants in self.library.headers:
            out += [f'.SS <{name}>']
            for doc in docs:
                if doc.kind == 'DOC':
                    out += roff.blocks(doc.body)
            for kinds in ('function',), ('struct', 'enum'):
                for doc in docs:
                    if doc.kind in kinds:
                        what = '' if doc.kind == 'function' else doc.kind + ' '
                        out += ['.TP', rf'{what}{roff.bold(doc.name)}(3)',
                                *roff.paragraph([doc.short + '.'])]
            for constant, text in constants:
                out += roff.term(roff.bold(constant), [text])
        return out

    def part_file(self, path):
        """A file of the tree, as a program."""
        with open(f'{self.top}/{path}', encoding='utf-8') as file:
            text = file.read()
        return roff.verbatim(re.sub(r'\A// SPDX.*\n', '', text))

    def part_synopsis(self):
        out = []
        for verb in verbs.names(self.zcpctl):
            out += [f'.SY "zcpctl {verb}"', *verbs.arguments(self.zcpctl, verb), '.YS']
        return out

    def part_verbs(self):
        out = []
        for verb in verbs.names(self.zcpctl):
            out += verbs.section(self.zcpctl, verb)
        return out

    def template_page(self, path):
        name, section, _ = os.path.basename(path).rsplit('.', 2)
        out = self.title(name, int(section))
        with open(path, encoding='utf-8') as file:
            for line in file.read().splitlines():
                if line.startswith('@'):
                    word, *arguments = line[1:].split()
                    out += getattr(self, 'part_' + word)(*arguments)
                elif not line.startswith(r'.\"'):
                    out.append(line)
        return f'{name}.{section}', roff.tidy(out)

    def pages(self):
        for doc in self.library.functions:
            yield f'{doc.name}.3', self.function_page(doc)
        for doc in self.library.types:
            yield f'{doc.name}.3', self.type_page(doc)
        for path in sorted(glob.glob(f'{self.top}/docs/man/*.in')):
            yield self.template_page(path)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__.split('\n\n')[1])
    top, output, zcpctl = sys.argv[1:]
    try:
        pages = dict(Book(top, zcpctl).pages())
    except (kdoc.KdocError, roff.RoffError, verbs.VerbError, OSError,
            subprocess.CalledProcessError) as error:
        sys.exit(f'pages.py: {error}')
    os.makedirs(output, exist_ok=True)
    for old in set(os.listdir(output)) - set(pages):
        os.unlink(f'{output}/{old}')
    for name, lines in pages.items():
        with open(f'{output}/{name}', 'w', encoding='ascii') as file:
            file.write('\n'.join(lines) + '\n')


if __name__ == '__main__':
    main()
