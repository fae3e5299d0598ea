#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
#
# Does docs/netlink/zcp.yaml say what the headers say? Validates it against the
# kernel's own schema, and compares every name, number and type, both ways: what
# only one of them has is a failure. Prints TAP.
#
# usage: ynl.py SCHEMA     Documentation/netlink/genetlink.yaml of a kernel tree
import os
import re
import subprocess
import sys
import tempfile

import jsonschema
import yaml

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
UAPI = os.path.join(TOP, "include/uapi")
HEADERS = ("linux/zcp.h", "linux/zcp_netlink.h")
# What of <linux/zcp.h> the family speaks of.
SPOKEN_OF = r"ZCP_(STATE|MODE|COMPLETE|REASON|JOB|LINK|PATH)_"
# Counts and bounds, which a specification does not name.
BOUNDS = r"ZCP_REASON_(COUNT|MAX)$|.*_MAX$|.*_UNSPEC$"


def read(header):
    with open(os.path.join(UAPI, header), encoding="utf-8") as file:
        return file.read()


def c_name(name):
    return name.upper().replace("-", "_")


def names_in_headers():
    """The names of enumerators, flags and limits that the family speaks of."""
    names = set()
    for header in HEADERS:
        text = re.sub(r"/\*.*?\*/", "", read(header), flags=re.S)
        for body in re.findall(r"\benum\s*\w*\s*{(.*?)}", text, re.S):
            names.update(re.findall(r"^\s*(ZCP_\w+)", body, re.M))
        names.update(re.findall(r"^#define\s+(ZCP_\w+)\s+\(?\d+U?L*\s*(?:<<.*)?$", text, re.M))
    return {name for name in names
            if re.match(r"ZCP_NL_", name) or re.match(SPOKEN_OF, name)
            if not re.match(BOUNDS, name)} - {"ZCP_NL_FAMILY_VERSION"}


def numbers_of(names):
    """What the compiler says these names are."""
    lines = "".join(f'\tprintf("{name} %lld\\n", (long long)({name}));\n'
                    for name in sorted(names))
    source = "".join(f"#include <{header}>\n" for header in HEADERS)
    source += f"#include <stdio.h>\nint main(void)\n{{\n{lines}\treturn 0;\n}}\n"
    with tempfile.TemporaryDirectory() as scratch:
        program = os.path.join(scratch, "numbers")
        subprocess.run([os.environ.get("CC", "cc"), "-I", UAPI, "-x", "c", "-o", program, "-"],
                       input=source, text=True, check=True)
        output = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    return {name: int(value) for name, value in map(str.split, output.splitlines())}


def entries_of(definition):
    """Names and numbers of an enum or of flags."""
    value = definition.get("value-start", 0)
    for entry in definition["entries"]:
        if isinstance(entry, str):
            entry = {"name": entry}
        value = entry.get("value", value)
        number = 1 << value if definition["type"] == "flags" else value
        yield f"ZCP_{c_name(definition['name'])}_{c_name(entry['name'])}", number
        value += 1


def counted(items, prefix):
    """Names and numbers of attributes or operations, which count from 1."""
    value = 1
    for item in items:
        value = item.get("value", value)
        yield c_name(prefix + item["name"]), value
        value += 1


def numbers_in_spec(spec):
    numbers = {}
    for definition in spec["definitions"]:
        numbers.update(entries_of(definition))
    for space in spec["attribute-sets"]:
        numbers.update(counted(space["attributes"], space["name-prefix"]))
    operations = spec["operations"]
    numbers.update(counted(operations["list"], operations["name-prefix"]))
    return numbers


def types_in_header():
    """The types in the comments of the attributes."""
    types = {}
    for name, said in re.findall(r"@(ZCP_NL_A_\w+): (.*)", read(HEADERS[1])):
        match = re.match(r"(u16, in network order|\w+)", said)
        types[name] = {"nothing": "pad"}.get(match[1], match[1])
    return types


def types_in_spec(spec):
    types = {}
    for space in spec["attribute-sets"]:
        for attribute in space["attributes"]:
            said = attribute["type"]
            if attribute.get("byte-order") == "big-endian":
                said += ", in network order"
            types[c_name(space["name-prefix"] + attribute["name"])] = said
    return types


def compare(ours, theirs):
    """What two dictionaries disagree about."""
    return [f"{name}: {ours.get(name, 'missing')} here, {theirs.get(name, 'missing')} there"
            for name in sorted(ours.keys() | theirs.keys())
            if ours.get(name) != theirs.get(name)]


def check_schema(spec, schema):
    validator = jsonschema.Draft7Validator(schema)
    return [f"{'/'.join(map(str, error.path))}: {error.message}"
            for error in validator.iter_errors(spec)]


def check_family(spec):
    header = read(HEADERS[1])
    said = {
        "family": re.search(r'#define ZCP_NL_FAMILY_NAME\s+"(.*)"', header)[1],
        "version": int(re.search(r"#define ZCP_NL_FAMILY_VERSION\s+(\d+)", header)[1]),
        "groups": re.findall(r'#define ZCP_NL_MCGRP_\w+\s+"(.*)"', header),
    }
    return compare({
        "family": spec["name"],
        "version": 1,   # what a specification without one means
        "groups": [group["name"] for group in spec["mcast-groups"]["list"]],
    }, said)


def check_uses(spec):
    """Operations name attributes that exist, attributes enums that do."""
    wrong = []
    spaces = {space["name"]: {attribute["name"] for attribute in space["attributes"]}
              for space in spec["attribute-sets"]}
    enums = {definition["name"] for definition in spec["definitions"]}
    for space in spec["attribute-sets"]:
        for attribute in space["attributes"]:
            if attribute.get("enum", next(iter(enums))) not in enums:
                wrong.append(f"{attribute['name']}: no enum {attribute['enum']}")
            if attribute.get("nested-attributes", space["name"]) not in spaces:
                wrong.append(f"{attribute['name']}: no set {attribute['nested-attributes']}")
    for operation in spec["operations"]["list"]:
        for kind in ("do", "dump"):
            for message in operation.get(kind, {}).values():
                unknown = set(message["attributes"]) - spaces[operation["attribute-set"]]
                wrong += [f"{operation['name']}: no attribute {name}" for name in sorted(unknown)]
    return wrong


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: ynl.py SCHEMA")
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = yaml.safe_load(file)
    with open(os.path.join(TOP, "docs/netlink/zcp.yaml"), encoding="utf-8") as file:
        spec = yaml.safe_load(file)
    tests = (
        ("it is valid by the kernel's schema", check_schema(spec, schema)),
        ("family and groups are those of the header", check_family(spec)),
        ("names and numbers are those of the headers",
         compare(numbers_in_spec(spec), numbers_of(names_in_headers()))),
        ("types are those of the header", compare(types_in_spec(spec), types_in_header())),
        ("what it refers to is there", check_uses(spec)),
    )
    print(f"TAP version 13\n1..{len(tests)}")
    for number, (name, wrong) in enumerate(tests, 1):
        for line in wrong:
            print(f"# {line}")
        print(f"{'not ok' if wrong else 'ok'} {number} {name}")
    return any(wrong for _, wrong in tests)


sys.exit(main())
