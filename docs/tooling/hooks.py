"""Events of the site's build: command tables, code, equations, notebooks, map, API reference.

Nothing of the packages is run but the command lines, which import neither Jittor nor torch.
"""

from __future__ import annotations

import ast
import html
import posixpath
import re
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from command_tables import option_tables
from notebooks import notebook_page
from package_map import draw_map

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("jstyleid_core", "jstyleid_dreambooth", "jstyleid_runner", "jdiff_checker")

_OPTIONS = re.compile(r"^<!-- options: (.+) -->$", re.M)
_MAP = re.compile(r"^<!-- map of the packages -->$", re.M)
_CODE = re.compile(r"^\[code of ([\w., ]+)\]\((.+\.py)\)$", re.M)
_EQUATION = re.compile(r'<(div|span) class="arithmatex">\\([\[(])(.*?)\\[\])]</\1>', re.S)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the generated pages of the API reference to the navigation."""
    (config.nav or []).append({"API reference": [
        {package: [{page.stem: f"reference/{package}/{page.name}"} for page in _reference(package)]}
        for package in _PACKAGES
    ]})
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages of the notebooks and of the API reference, and a font for equations."""
    for path in sorted((_ROOT / "docs/notebooks").glob("*.ipynb")):
        notebook = notebook_page(path)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=notebook.markdown))
        for name, picture in notebook.pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=picture))
    for package in _PACKAGES:
        for page, modules in _reference(package).items():
            title = package if page.stem == package else f"{package}.{page.stem}"
            text = "\n\n".join([f"# {title}", *(f"::: {module}" for module in modules)])
            files.append(File.generated(config, f"reference/{package}/{page.name}", content=text))
    font = distribution("ziamath").locate_file("ziamath/fonts/STIXTwoMath-Regular.ttf")
    files.append(File.generated(config, "stylesheets/STIXTwoMath.ttf", abs_src_path=str(font)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace the placeholders of option tables, of code and of the map."""
    place = posixpath.dirname(page.file.src_uri)

    def code(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join("docs", place, found[2]))
        return _excerpt(path, [name.strip() for name in found[1].split(",")])

    markdown = _OPTIONS.sub(lambda found: option_tables(found[1]), markdown)
    markdown = _MAP.sub(lambda _: draw_map(_ROOT / "pyproject.toml"), markdown)
    return _CODE.sub(code, markdown)


def on_page_content(content: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn equations into MathML, which browsers draw without a script or a download."""

    def equation(found: re.Match[str]) -> str:
        display = "block" if found[2] == "[" else "inline"
        return convert(html.unescape(found[3]), display=display)

    return _EQUATION.sub(equation, content)


def _reference(package: str) -> dict[PurePosixPath, list[str]]:
    """The pages of a package with their modules: its own modules, then one page for each folder."""
    [root] = _ROOT.glob(f"packages/*/src/{package}")
    pages: dict[PurePosixPath, list[str]] = {PurePosixPath(f"{package}.md"): []}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        if parts[-1] == "__main__":
            continue
        page = PurePosixPath(f"{parts[1] if len(parts) > 2 else package}.md")
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        pages.setdefault(page, []).append(".".join(parts))
    return pages


def _excerpt(path: str, names: list[str]) -> str:
    """The source of functions, classes and constants of a module, without their docstrings."""
    lines = (_ROOT / path).read_text("utf-8").splitlines()
    tree = ast.parse("\n".join(lines))
    parts = []
    for name in names:
        node: ast.AST | None = tree
        for part in name.split("."):
            node = next((each for each in getattr(node, "body", ()) if _named(each, part)), None)
        if not isinstance(node, ast.stmt) or node.end_lineno is None:
            raise PluginError(f"{path} has no {name}")
        decorators = getattr(node, "decorator_list", [])
        numbers = range(min(each.lineno for each in (node, *decorators)), node.end_lineno + 1)
        hidden = _docstring_lines(node, lines)
        kept = [lines[number - 1] for number in numbers if number not in hidden]
        indent = len(kept[0]) - len(kept[0].lstrip())
        parts.append("\n".join(line[indent:] for line in kept))
    shown = path.partition("/src/")[2]
    return f'```python title="{shown}"\n' + "\n\n\n".join(parts) + "\n```"


def _named(node: ast.stmt, name: str) -> bool:
    if isinstance(node, ast.Assign):
        return any(isinstance(each, ast.Name) and each.id == name for each in node.targets)
    if isinstance(node, ast.AnnAssign):
        return isinstance(node.target, ast.Name) and node.target.id == name
    return getattr(node, "name", None) == name


def _docstring_lines(node: ast.stmt, lines: list[str]) -> set[int]:
    """The lines of the docstrings in a definition, and the blank lines after them."""
    found: set[int] = set()
    for each in ast.walk(node):
        body = getattr(each, "body", None)
        if not isinstance(each, (ast.FunctionDef, ast.ClassDef)) or not isinstance(body, list):
            continue
        first = body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) \
                and isinstance(first.value.value, str) and first.end_lineno is not None:
            found.update(range(first.lineno, first.end_lineno + 1))
            if not lines[first.end_lineno].strip():
                found.add(first.end_lineno + 1)
    return found
