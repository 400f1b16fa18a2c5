"""The site: Sphinx with MyST Markdown. `make docs` builds it, warnings are errors.

Sphinx because it is the maintained one of the tools that read docstrings: Material for MkDocs ends in May 2027,
and its successor is not at a first release.
"""

from __future__ import annotations

import re
from typing import Any

project = "The ALP toolkit"
author = "the ALP toolkit's contributors"
copyright = "2026, the ALP toolkit's contributors. Apache-2.0"  # noqa: A001  # Sphinx's name
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
# Tables that pages link to (sweep.md, quantization.md) are in no table of contents: they have no headings.
suppress_warnings = ["toc.not_included"]
html_theme = "furo"
html_title = project
html_show_sourcelink = False
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

_CODE = re.compile(r"(?<![`:\w])`([^`\n]+)`(?!`)")


def _markdown_to_rst(*event: Any) -> None:
    """Docstrings write code as Markdown does, in single backticks."""
    lines: list[str] = event[-1]
    lines[:] = [_CODE.sub(r"``\1``", line).replace("**", "\\*\\*") for line in lines]


def setup(app: Any) -> None:
    """Hooks into Sphinx."""
    app.connect("autodoc-process-docstring", _markdown_to_rst, priority=100)
