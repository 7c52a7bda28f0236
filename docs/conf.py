"""Sphinx's settings: Markdown pages, and the reference taken from the docstrings."""

import re

from sphinx.application import Sphinx

from kernelwise.version import VERSION

project = "kernelwise"
author = "The kernelwise authors"
copyright = "The kernelwise authors, Apache License 2.0"
version = release = VERSION

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
default_role = "code"  # docstrings name their arguments in single backticks
exclude_patterns = ["_build"]

html_theme = "alabaster"
html_theme_options = {"description": "Convolution, whole, for Python.", "page_width": "70em"}
html_show_sphinx = False
html_copy_source = False


def definition_lists(lines: list[str]) -> list[str]:
    """Under `Parameters` and `Attributes` stand lines of `name : what it is`, up to a blank one: definition lists."""
    text = "\n".join([*lines, ""])
    for heading in ("Parameters", "Attributes"):
        head, found, rest = text.partition(f"{heading}\n{'-' * len(heading)}\n")
        if found:
            items, _, tail = rest.partition("\n\n")
            items = re.sub(r"^(\w+(?:, \w+)*) : ", r"`\1`\n    ", items, flags=re.MULTILINE)
            text = f"{head}**{heading}**\n\n{items}\n\n{tail}"
    return text.split("\n")


def plain_asterisks(line: str) -> str:
    """Code stands in backticks and nothing is set bold: the asterisks of `f(k, **options)` are asterisks."""
    if line.lstrip().startswith((">>>", "...")):
        return line
    parts = re.split(r"(`+[^`]*`+)", line)
    parts[::2] = [re.sub(r"\*+(?=\w)", lambda stars: stars[0].replace("*", r"\*"), part) for part in parts[::2]]
    return "".join(parts)


def read_docstring(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Docstrings are written to be read as they are, by `help()`; this makes of them what Sphinx reads."""
    lines[:] = definition_lists([plain_asterisks(line) for line in lines])


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", read_docstring)
