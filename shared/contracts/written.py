"""A document as YAML that every reader reads the same, whichever version of YAML it knows.

To a YAML 1.1 reader `no` is false, `1e-3` a text and `0:30` a number; to one of 1.2 only `true`, `false`, `null` and
numbers as JSON has them are more than text. What either would take for more than text is quoted.
"""

import re
from typing import Any

import yaml

TAG = "tag:yaml.org,2002:"
#: tag -> how its values look to YAML 1.2, and the signs that they begin with
SCALARS = {
    "null": (re.compile(r"^(~|null|)$"), ["~", "n", ""]),
    "bool": (re.compile(r"^(true|false)$"), ["t", "f"]),
    "int": (re.compile(r"^[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789")),
    "float": (re.compile(r"^[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?$"), list("-+.0123456789")),
}


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


for _name, (_looks, _begins) in SCALARS.items():
    _Dumper.add_implicit_resolver(f"{TAG}{_name}", _looks, _begins)


def to_yaml(document: dict[str, Any], *comments: str) -> str:
    """The document in YAML, in its own order, below some lines of comment."""
    head = "".join(f"# {line}\n" for comment in comments for line in comment.splitlines())
    return head + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=100)
