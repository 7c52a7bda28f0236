"""The Python code in README.md and in docs/ runs, and prints what the page says it prints.

Every block fenced as ```python runs, a page's blocks in order and in one namespace, in a temporary folder. A comment
that starts with `# ->`, behind a statement or on the lines below it, says what comes out: what the statement prints,
or else the `str` or `repr` of the expression. Following comment lines that are indented by at least four blanks
continue it. Runs of white space count as one blank, and as none after an opening bracket; `...` stands for anything.

    X + 1          # -> [[1. 2.]
                   #     [3. 4.]]
"""

import ast
import contextlib
import doctest
import io
import re
import textwrap
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^([ ]*)```python[ ]*\n(.*?)^\1```[ ]*$", re.MULTILINE | re.DOTALL)
LENIENT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass
class Step:
    """One top-level statement and what the page says comes out of it, if it says so."""

    statement: ast.stmt
    expected: list[str] = field(default_factory=list)


def blocks(page: Path) -> Iterator[tuple[int, str]]:
    """The first line and the code of every Python block of a page."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        yield text.count("\n", 0, match.start(2)) + 1, textwrap.dedent(match[2])


def steps(code: str) -> list[Step]:
    """The statements of a block, each with the comment that says what comes out of it."""
    found = [Step(statement) for statement in ast.parse(code).body]
    said_on = 0  # the line of the last line of an expectation
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type != tokenize.COMMENT:
            continue
        line = token.start[0]
        before = [step for step in found if (step.statement.end_lineno or 0) <= line]
        if token.string.startswith("# ->"):
            inside = any(step.statement.lineno <= line < (step.statement.end_lineno or 0) for step in found)
            assert before and not inside, f"line {line} of the block: `# ->` stands in no place behind a statement"
            assert not before[-1].expected, f"line {line} of the block: a second `# ->` for one statement"
            before[-1].expected.append(token.string.removeprefix("# ->"))
            said_on = line
        elif token.string.startswith("#    ") and said_on and line == said_on + 1:
            before[-1].expected.append(token.string.removeprefix("#"))
            said_on = line
    return found


def agrees(wanted: str, got: str) -> bool:
    wanted, got = (re.sub(r"\[\s+", "[", text) for text in (wanted, got))
    return doctest.OutputChecker().check_output(wanted, got, LENIENT)


def run_step(step: Step, namespace: dict[str, Any], where: str) -> list[str]:
    """Run one statement; what came out of it, in every form a page may show."""
    printed = io.StringIO()
    value = None
    with contextlib.redirect_stdout(printed):
        if isinstance(step.statement, ast.Expr):
            value = eval(compile(ast.Expression(step.statement.value), where, "eval"), namespace)
        else:
            exec(compile(ast.Module([step.statement], []), where, "exec"), namespace)
    return [printed.getvalue()] if value is None else [str(value), repr(value)]


def run_block(code: str, namespace: dict[str, Any], page: str = "page", first_line: int = 1) -> None:
    """Run a block and raise AssertionError, with page and line, where it says something else than comes out."""
    for step in steps(code):
        ast.increment_lineno(step.statement, first_line - 1)
        shown = run_step(step, namespace, page)
        wanted = " ".join(step.expected)
        if step.expected and not any(agrees(wanted, got) for got in shown):
            raise AssertionError(f"{page}:{step.statement.lineno}: it says {wanted.strip()!r} and gives {shown[0]!r}")


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES])
def test_the_code_of_the_page_runs_and_gives_what_the_page_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for first_line, code in blocks(page):
        run_block(code, namespace, page.name, first_line)


def test_the_readme_shows_code_with_its_results() -> None:
    assert any(step.expected for _, code in blocks(ROOT / "README.md") for step in steps(code))


RIGHT = [
    "1 + 1  # -> 2",
    "print('a')\n# -> a",
    "'a'  # -> a",
    "'a'  # -> 'a'",
    "for i in range(2):\n    print(i)\n# -> 0\n#    1",
    "import numpy as np\nnp.eye(2)  # -> [[1. 0.]\n           #     [0. 1.]]\n# prose",
    "f'{1 / 3} s'  # -> 0.33... s",
    "import numpy as np\nnp.array([1.0, 10.0])  # -> [1. 10.]",
    "a = 1  # no claim\nprint('# -> 7')",
]
WRONG = [
    "1 + 1  # -> 3",
    "print('a')\n# -> b",
    "'a'  # -> ",
    "a = 2  # -> 2",
    "for i in range(2):\n    print(i)\n# -> 0",
    "import numpy as np\nnp.eye(2)  # -> [[1. 0.]\n           #     [0. 2.]]",
    "# -> 1",
    "1  # -> 1\n# -> 1",
    "1\nfor i in range(2):\n    # -> 1\n    i",
]


@pytest.mark.parametrize("code", RIGHT)
def test_a_page_that_tells_the_truth_passes(code: str) -> None:
    run_block(code, {})


@pytest.mark.parametrize("code", WRONG)
def test_a_page_that_does_not_tell_the_truth_fails(code: str) -> None:
    with pytest.raises(AssertionError):
        run_block(code, {})


def test_a_page_whose_code_raises_fails_with_the_line_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Title\n\n```python\na = 1\n1 / 0\n```\n", encoding="utf-8")
    [(first_line, code)] = blocks(page)
    with pytest.raises(ZeroDivisionError) as caught:
        run_block(code, {}, page.name, first_line)
    assert caught.traceback[-1].lineno == 4  # counted from 0
