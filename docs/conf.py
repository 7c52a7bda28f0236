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


ITEM = re.compile(r"(\w+(?:, \w+)*) : (.*)")  # `name : what it is`, or several names


def definition_lists(lines: list[str]) -> list[str]:
    """Lines of `name : what it is`, with what follows indented, become definition lists.

    They stand under `Parameters` and `Attributes`, or on their own. A table among them, set in columns with blanks,
    stays as it is.
    """
    made: list[str] = []
    in_list = in_table = False
    for number, line in enumerate(lines):
        item = ITEM.fullmatch(line)
        if item and (in_list or starts_list(lines, number)):
            made += ["", f"`{item[1]}`", f"    {item[2]}"]
            in_list = True
            continue
        if in_list and line and not line.startswith(" "):
            made.append("")
            in_list = False
        in_table = bool(line) and (in_table or (in_list and is_table(lines, number)))
        if in_table and not lines[number - 1]:
            made += ["    ::", ""]
        made.append(f"    {line}" if in_table else line)
    text = "\n".join(made)
    for heading in ("Parameters", "Attributes"):
        text = text.replace(f"{heading}\n{'-' * len(heading)}\n", f"**{heading}**\n")
    return text.split("\n")


def starts_list(lines: list[str], number: int) -> bool:
    """Whether all lines from here to the next blank one are items or belong to one."""
    for line in lines[number:]:
        if not line:
            return True
        if not (line.startswith(" ") or ITEM.fullmatch(line)):
            return False
    return True


def is_table(lines: list[str], number: int) -> bool:
    """Whether a paragraph set in columns begins here."""
    starts = lines[number].startswith(" " * 4) and not lines[number - 1]
    return starts and re.search(r"\S {3,}\S", lines[number]) is not None


def plain_asterisks(line: str) -> str:
    """Code stands in backticks and nothing is set bold: the asterisks of `f(k, **options)` are asterisks, and the bars
    of |x| bars."""
    if line.lstrip().startswith((">>>", "...")):
        return line
    parts = re.split(r"(`+[^`]*`+)", line)
    parts[::2] = [re.sub(r"\*+(?=\w)", lambda stars: stars[0].replace("*", r"\*"), part) for part in parts[::2]]
    parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
    return "".join(parts)


def read_docstring(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Docstrings are written to be read as they are, by `help()`; this makes of them what Sphinx reads."""
    lines[:] = definition_lists([plain_asterisks(line) for line in lines])


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", read_docstring)
