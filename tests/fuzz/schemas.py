"""Holds texts that grammars of JSON schemas let through against the validator of the Python package jsonschema.

    schemas.py PROGRAM [--random N] [--seed S] [--suite FOLDER] [--files FOLDER] [--texts N] [--show N]

PROGRAM is longship_schema_texts. --random makes schemas of all keywords; --suite reads a folder of the JSON Schema test
suite; --files every *.json below a folder as a schema. Prints a table of what was compiled, refused (with causes) and
refused though an instance of the suite is valid; exits with 1 if a text is invalid, a refusal has no cause, or a schema
took more than 200 ms of this process's time.
"""

import argparse
import collections
import datetime
import fractions
import json
import pathlib
import random
import re
import subprocess
import sys

import jsonschema

MOST_MS = 200
FORMATS = ["date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"]
UNSUPPORTED = ["contains", "$dynamicRef"]


CHECKER = jsonschema.FormatChecker(FORMATS)


# Of RFC 3339; the package that jsonschema asks takes no offsets above 12 hours.
@CHECKER.checks("time", ValueError)
def is_time(value):
    return not isinstance(value, str) or bool(datetime.time.fromisoformat(value).tzinfo)


@CHECKER.checks("date-time", ValueError)
def is_date_time(value):
    return not isinstance(value, str) or bool(datetime.datetime.fromisoformat(value).tzinfo)


class Random:
    """A seeded maker of schemas: all keywords, nested, with references, most of them sensible."""

    NAMES = ["name", "names", "n", "id", "größe", "a\"b", "x/y", "~t", "", "$ref", "type", "语言", "a b", "\u0001", "😀"]
    WORDS = ["red", "grün", "a\"b\\c", "", "  ", "x" * 40, "\u2028", "😀!", "null", "\n\t", "1", "true", "é", "e\u0301"]
    PATTERNS = ["^[a-z]+$", "^(foo|b\"ar\\\\|\\n)*$", "^\\d{3}-\\w{1,4}$", "^[^a-z]?x$", "^.{2,5}$", "a", "^$", "^a|b$",
                "[A-Z]{2}", "^\\S+\\s\\S+$", "^[\\u00e0-\\u00ff]{1,3}$", "^(?:[a-f0-9]{2}:){5}[a-f0-9]{2}$", "^x*?y+?$",
                "^[a-z]{1,100}$", "\\.json$", "^(a|ab|abc){1,80}$", "^-?\\d+(\\.\\d+)?$", "^[\\w.%+-]+@[\\w.-]+$", "^😀?$",
                "^(?!a)b", "(a)\\1", "\\bword\\b", "^\\p{L}+$", "^[a-z", "(", "^a{5,2}$", "[]", "[^]"]

    def __init__(self, seed):
        self.r = random.Random(seed)

    def chance(self, percent):
        return self.r.random() * 100 < percent

    def make(self):
        self.defs = self.r.sample(["a", "b", "c d", "e/f", "g~h", "%25"], self.r.randint(1, 4))
        root = self.schema(0)
        if isinstance(root, bool):
            root = {"type": "object"}
        root[self.r.choice(["$defs", "definitions"])] = {name: self.schema(2) for name in self.defs}
        self.where = "#/$defs/" if "$defs" in root else "#/definitions/"
        if self.chance(10):
            root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
        return json.loads(json.dumps(root).replace("#/DEFS/", self.where))

    def schema(self, depth):
        kinds = [(4, lambda: self.chance(90)), (8, self.enumeration), (44, lambda: self.scalar()), (6, self.reference)]
        if depth <= 3:
            kinds += [(6, lambda: self.several("anyOf", depth)), (3, lambda: self.several("oneOf", depth)),
                      (3, lambda: self.told_apart(depth)), (6, lambda: self.all_of(depth)), (4, lambda: self.types(depth)),
                      (14, lambda: self.object(depth)), (10, lambda: self.array(depth)), (2, lambda: {})]
        made = self.r.choices([k for _, k in kinds], [w for w, _ in kinds])[0]()
        if isinstance(made, dict):
            if self.chance(15):
                made["description"] = self.r.choice(self.WORDS)
            if self.chance(4):
                made["default"] = self.value(1)
            if self.chance(3):
                made.update(self.restriction())
            if self.chance(2):
                made["nullable"] = True
            if self.chance(1):
                key = self.r.choice(UNSUPPORTED)
                made[key] = {"$dynamicRef": "#"}.get(key, {"type": "string"})
            if depth <= 3 and self.chance(4):
                made.update(self.condition(depth))
        return made

    def condition(self, depth):
        kind = self.r.randint(0, 3)
        if kind == 0:
            return {"not": self.simple(depth)}
        made = {"if": self.simple(depth)}
        if kind < 3:
            made["then"] = self.simple(depth)
        if kind > 1:
            made["else"] = self.simple(depth)
        return made

    def simple(self, depth):
        """What can be denied, mostly."""
        name = self.r.choice(self.NAMES)
        return self.r.choice([lambda: {"required": [name]}, lambda: {"properties": {name: self.simple(depth)}},
                              lambda: {"const": self.r.choice(self.WORDS + [1, 2.5, True, None])},
                              lambda: {"enum": self.r.sample(self.WORDS, 3)}, lambda: self.number(True), self.string,
                              lambda: {"type": self.r.choice(["string", "integer", "object", ["null", "array"]])},
                              lambda: {"anyOf": [self.simple(depth), {"maxLength": 2}]}, lambda: {"maxItems": 1}])()

    def scalar(self):
        made = {"type": self.r.choice(["string", "string", "integer", "number", "boolean", "null"])}
        made.update(self.of_type(made["type"]))
        return made

    def of_type(self, kind):
        if kind == "string":
            return self.string()
        return self.number(kind == "number") if kind in ("integer", "number") else {}

    def restriction(self):
        return self.r.choice([self.string, lambda: self.number(True), lambda: {"maxItems": self.r.randint(0, 3)},
                              lambda: {"required": [self.r.choice(self.NAMES)]},
                              lambda: {"additionalProperties": self.chance(50)}])()

    def string(self):
        made = {}
        if self.chance(25):
            made["pattern"] = self.r.choice(self.PATTERNS)
        elif self.chance(15):
            made["format"] = self.r.choice(FORMATS + ["regex", "uri-reference", "iri"])
        if self.chance(5):
            made["allOf"] = [{"pattern": self.r.choice(self.PATTERNS[:19])} for _ in range(self.r.randint(1, 2))]
        if not made or self.chance(25):
            least = self.r.choice([0, 0, 1, 2, 5, 30])
            if self.chance(40):
                made["minLength"] = self.r.choice([least, float(least)])
            if self.chance(40):
                made["maxLength"] = least + self.r.choice([0, 1, 2, 5, 40, 200, 10**6])
        return made

    def number(self, fractions):
        def bound():
            whole = self.r.choice([self.r.randint(-5, 5), self.r.randint(-110, 110), self.r.randint(-2**40, 2**40), 0,
                                   2**53, -2**63, 10**14])
            return whole + self.r.choice([0.5, 0.001, 0.25, 1e-9]) if self.chance(50 if fractions else 10) else whole
        low, high = sorted([bound(), bound()])
        made = {}
        if self.chance(50):
            made[self.r.choice(["minimum", "minimum", "exclusiveMinimum"])] = low
        if self.chance(50):
            made[self.r.choice(["maximum", "maximum", "exclusiveMaximum"])] = high
        if self.chance(12):
            made["multipleOf"] = self.r.choice([1, 2, 3, 5, 7, 10, 60, 100, 1000, 997, 0.5, 0.25, 2.5, 2.0, 0.1, 0.01, 0.05, 0.4])
        return made

    def value(self, depth):
        kind = self.r.randint(0, 9 if depth < 3 else 6)
        if kind < 3:
            return self.r.choice(self.WORDS)
        if kind < 7:
            large = [1e20, 12345678901234567890]
            return self.r.choice(large if self.chance(1) else [0, 1, -1, 1.0, 2.5, -0.0, 1e-7, True, False, None, 2**62])
        if kind == 7:
            return [self.value(depth + 1) for _ in range(self.r.randint(0, 3))]
        return {self.r.choice(self.NAMES): self.value(depth + 1) for _ in range(self.r.randint(0, 3))}

    def enumeration(self):
        if self.chance(30):
            return {"const": self.value(0)}
        made = {"enum": [self.value(0) for _ in range(self.r.randint(1, 6))]}
        if self.chance(30):
            made.update(self.restriction())
        if self.chance(20):
            made["type"] = self.r.choice(["string", "number", "integer", ["string", "null"]])
        return made

    def several(self, keyword, depth):
        made = {keyword: [self.schema(depth + 1) for _ in range(self.r.randint(1, 3))]}
        if self.chance(15):
            made.update(self.scalar())
        return made

    def told_apart(self, depth):
        parts = []
        for kind in ["x", "y", "z"][: self.r.randint(2, 3)]:
            part = self.object(depth + 1)
            part.setdefault("properties", {})["kind"] = {"const": kind}
            part["required"] = list(dict.fromkeys(part.get("required", []) + ["kind"]))
            parts.append(part)
        return {"oneOf": parts}

    def all_of(self, depth):
        kind = self.r.randint(0, 2)
        if kind == 0:
            parts = [self.object(depth + 1) for _ in range(2)]
        elif kind == 1:
            parts = [self.scalar() for _ in range(2)]
            parts[1]["type"] = parts[0]["type"]
        else:
            parts = [self.schema(depth + 1) for _ in range(self.r.randint(1, 3))]
        made = {"allOf": parts}
        if self.chance(20):
            made.update(self.object(depth + 1))
        return made

    def types(self, depth):
        kinds = self.r.sample(["string", "integer", "number", "boolean", "null", "object", "array"], self.r.randint(1, 3))
        made = {"type": kinds}
        for kind in kinds:
            if self.chance(40):
                more = self.object(depth + 1) if kind == "object" else self.array(depth + 1) if kind == "array" else self.of_type(kind)
                made.update({key: value for key, value in more.items() if key != "type"})
        return made

    def reference(self):
        name = self.r.choice(self.defs).replace("~", "~0").replace("/", "~1").replace("%", "%25").replace(" ", "%20")
        made = {"$ref": self.r.choice(["#/DEFS/" + name] * 8 + ["#", "#/DEFS/none"])}
        if self.chance(10):
            made.update(self.restriction())
        return made

    def object(self, depth):
        made = {"type": "object"} if self.chance(92) else {}
        names = self.r.sample(self.NAMES, self.r.randint(0, 5))
        if self.chance(90):
            made["properties"] = {name: self.schema(depth + 1) for name in names}
        if self.chance(60):
            made["required"] = [name for name in names if self.chance(60)]
            if self.chance(8):
                made["required"].append(self.r.choice(self.NAMES))
                made["required"] = list(dict.fromkeys(made["required"]))
        if self.chance(40):
            made["additionalProperties"] = self.chance(50) if self.chance(50) else self.schema(depth + 1)
        if self.chance(8):
            made["patternProperties"] = {self.r.choice(self.PATTERNS[:19]): self.schema(depth + 1)
                                         for _ in range(self.r.randint(1, 3))}
        if self.chance(6):
            made["propertyNames"] = self.r.choice([self.string, lambda: {"enum": self.r.sample(self.NAMES, 4)}])()
        if self.chance(6):
            made["dependentRequired"] = {name: self.r.sample(self.NAMES, 2) for name in self.r.sample(names, min(2, len(names)))}
        if self.chance(3):
            made["dependentSchemas"] = {name: self.object(depth + 1) for name in names[:1]}
        if self.chance(4):
            made["unevaluatedProperties"] = self.r.choice([False, {"type": "integer"}])
        return made

    def array(self, depth):
        made = {"type": "array"} if self.chance(92) else {}
        if self.chance(30):
            made["prefixItems"] = [self.schema(depth + 1) for _ in range(self.r.randint(1, 3))]
        if self.chance(75):
            made["items"] = self.enumeration() if self.chance(15) else self.schema(depth + 1)
        if self.chance(15):
            made["uniqueItems"] = True
        if self.chance(3):
            made["unevaluatedItems"] = self.r.choice([False, {"type": "integer"}])
        least = self.r.choice([0, 0, 1, 2, 3])
        if self.chance(40):
            made["minItems"] = least
        if self.chance(60):
            made["maxItems"] = least + self.r.choice([0, 1, 2, 3, 100])
        return made


def random_cases(seed, count):
    for i in range(count):
        yield f"random {seed + i}", Random(seed + i).make(), []


def suite_cases(folder):
    """The schemas of the suite with their valid instances."""
    for path in sorted(pathlib.Path(folder).rglob("*.json")):
        for group in json.loads(path.read_text()):
            valid = [(t["data"], t["description"]) for t in group["tests"] if t["valid"]]
            yield f"{path.relative_to(folder)}: {group['description']}", group["schema"], valid


def file_cases(folder):
    for path in sorted(pathlib.Path(folder).rglob("*.json")):
        try:
            schema = json.loads(path.read_text())
        except ValueError:
            continue
        if isinstance(schema, (dict, bool)):
            yield path.name, schema, []


def class_of(cause):
    cause = re.sub(r'the (keyword|format) "([^"]*)"', r"the \1 '\2'", cause)
    cause = re.sub(r"leads (nowhere|out of the schema): .*", r"leads \1", cause)
    return re.sub(r"\d+", "N", cause)


def why_invalid(schema, text):
    def no(constant):
        raise ValueError(f"{constant} is no JSON")
    try:
        value = json.loads(text, parse_constant=no)
    except ValueError as error:
        return f"is no JSON: {error}"
    cls = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    cls = jsonschema.validators.extend(cls, {"multipleOf": multiple_of})
    try:
        error = next(cls(nullable_too(schema), format_checker=CHECKER).iter_errors(value), None)
    except Exception as error:  # the schema is none to the judge: nothing is known
        return f"?{type(error).__name__}: {str(error)[:100]}"
    return None if error is None else f"{error.message[:200]} at {list(error.absolute_path)}"


# The package divides doubles, by which 0.07 is no multiple of 0.01.
def multiple_of(validator, unit, value, schema):
    if validator.is_type(value, "number") and fractions.Fraction(repr(value)) % fractions.Fraction(repr(unit)):
        yield jsonschema.ValidationError(f"{value!r} is no multiple of {unit!r}")


def nullable_too(schema):
    """As OpenAPI has it, which the judge does not know."""
    if isinstance(schema, list):
        return [nullable_too(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: nullable_too(value) for key, value in schema.items()}
    if made.get("nullable") is True and "type" in made:
        kinds = made["type"] if isinstance(made["type"], list) else [made["type"]]
        made["type"] = list(dict.fromkeys(kinds + ["null"]))
    return made


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--suite")
    parser.add_argument("--files")
    parser.add_argument("--texts", type=int, default=3)
    parser.add_argument("--show", type=int, default=10)
    parser.add_argument("--causes", action="store_true")
    options = parser.parse_args()
    cases = list(random_cases(options.seed, options.random))
    cases += suite_cases(options.suite) if options.suite else []
    cases += file_cases(options.files) if options.files else []
    lines = "".join(json.dumps({"schema": s, "instances": [v for v, _ in valid]}) + "\n" for _, s, valid in cases)
    made = subprocess.run([options.program, str(options.texts)], input=lines.encode(), stdout=subprocess.PIPE, check=False)
    answers = [json.loads(line) for line in made.stdout.decode().split("\n") if line]
    causes, bad, unknown, slow, texts, missed = collections.Counter(), [], collections.Counter(), [], 0, []
    for (name, schema, valid), answer in zip(cases, answers):
        if answer["ms"] > MOST_MS:
            slow.append((answer["ms"], name))
        if "refused" in answer:
            causes[class_of(answer["refused"])] += 1
            if options.causes:
                print(f"refused {name}: {answer['refused']}")
            continue
        if "broken" in answer:
            bad.append((name, schema, "", answer["broken"]))
        for text in answer["texts"]:
            texts += 1
            why = why_invalid(schema, text)
            if why is not None and why.startswith("?"):
                unknown[class_of(why)] += 1
            elif why is not None:
                bad.append((name, schema, text, why))
        missed += [(name, schema, v, d) for (v, d), taken in zip(valid, answer["taken"]) if not taken]
    refused = sum(causes.values())
    times = sorted(answer["ms"] for answer in answers)
    print(f"{len(cases)} schemas: {len(answers) - refused} compiled, {refused} refused, {texts} texts, {len(bad)} of them invalid")
    if times:
        print(f"time to compile or refuse: median {times[len(times) // 2]:.2f} ms, 99 % {times[len(times) * 99 // 100]:.1f} ms, "
              f"most {times[-1]:.1f} ms")
    for cause, count in causes.most_common():
        print(f"{count:6} refused: {cause}")
    for cause, count in unknown.most_common():
        print(f"{count:6} texts not judged: {cause}")
    for name, schema, text, why in bad[: options.show]:
        print(f"INVALID {name}\n  schema {json.dumps(schema, ensure_ascii=False)[:1500]}\n  text   {text[:300]!r}\n  {why}")
    for name, schema, value, description in missed[: options.show * 20]:
        print(f"MISSED {name} ({description})\n  schema {json.dumps(schema)[:300]}\n  value  {json.dumps(value)[:200]}")
    for ms, name in sorted(slow, reverse=True)[: options.show]:
        print(f"SLOW {ms:.0f} ms {name}")
    if len(answers) < len(cases):
        print(f"the program ended with {made.returncode} at {cases[len(answers)][0]}: {json.dumps(cases[len(answers)][1])[:2000]}")
    return 1 if bad or slow or len(answers) < len(cases) or "" in causes else 0


if __name__ == "__main__":
    sys.exit(main())
