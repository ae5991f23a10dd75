#!/usr/bin/env python3
"""Does a JSON document on standard input fit a definition of a schema?

    check_json.py SCHEMA NAME

It knows the keywords that the schemas of this project use, and fails on any other, so that none is without effect."""
import json
import re
import sys

KINDS = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def is_kind(value, kind):
    if kind in ("integer", "number"):
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, KINDS[kind])


class Checker:
    def __init__(self, schema):
        self.definitions = schema["$defs"]

    def check(self, schema, value, where):
        for keyword, argument in schema.items():
            yield from getattr(self, "check_" + keyword.replace("$", ""))(argument, value, where, schema)

    def check_ref(self, name, value, where, _):
        yield from self.check(self.definitions[name.removeprefix("#/$defs/")], value, where)

    def check_type(self, kinds, value, where, _):
        kinds = kinds if isinstance(kinds, list) else [kinds]
        if not any(is_kind(value, kind) for kind in kinds):
            yield f"{where}: {value!r} is no {' or '.join(kinds)}"

    def check_enum(self, values, value, where, _):
        if value not in values:
            yield f"{where}: {value!r} is none of {values}"

    def check_required(self, names, value, where, _):
        for name in names:
            if isinstance(value, dict) and name not in value:
                yield f"{where}: {name} is missing"

    def check_properties(self, properties, value, where, _):
        for name, schema in properties.items():
            if isinstance(value, dict) and name in value:
                yield from self.check(schema, value[name], f"{where}.{name}")

    def check_additionalProperties(self, allowed, value, where, schema):
        for name in value if isinstance(value, dict) and allowed is False else []:
            if name not in schema["properties"]:
                yield f"{where}: {name} is not expected"

    def check_items(self, schema, value, where, _):
        for i, item in enumerate(value if isinstance(value, list) else []):
            yield from self.check(schema, item, f"{where}[{i}]")

    def check_pattern(self, pattern, value, where, _):
        if isinstance(value, str) and not re.search(pattern, value):
            yield f"{where}: {value!r} is not like {pattern}"

    def check_minLength(self, least, value, where, _):
        if isinstance(value, str) and len(value) < least:
            yield f"{where}: {value!r} is shorter than {least}"

    def check_maxLength(self, most, value, where, _):
        if isinstance(value, str) and len(value) > most:
            yield f"{where}: {value!r} is longer than {most}"

    def check_minimum(self, least, value, where, _):
        if is_kind(value, "integer") and value < least:
            yield f"{where}: {value} is below {least}"

    def check_maximum(self, most, value, where, _):
        if is_kind(value, "integer") and value > most:
            yield f"{where}: {value} is above {most}"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = json.load(file)
    text = sys.stdin.read()
    try:
        document = json.loads(text)
    except ValueError as error:
        sys.exit(f"no JSON document: {error}\n{text}")
    complaints = list(Checker(schema).check(schema["$defs"][sys.argv[2]], document, sys.argv[2]))
    if complaints:
        sys.exit("\n".join(complaints) + "\n" + text)


main()
