"""Sphinx's settings. Pages are templates: `pages.py` has what they call, so that reference pages follow the code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import pages  # noqa: E402

import ner_ray  # noqa: E402

project = "ner_ray"
release = ner_ray.__version__
copyright = "the ner_ray authors, Apache-2.0"  # noqa: A001  # Sphinx's name
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["README.md"]

html_theme = "furo"
html_title = "ner_ray"
html_css_files = ["tables.css"]
html_static_path = ["static"]
html_show_sphinx = False

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
napoleon_google_docstring = True
napoleon_use_ivar = True
copybutton_prompt_text = "$ "


def setup(app: Any) -> None:  # Sphinx's application
    """Renders each page's source before it is parsed."""
    app.connect("source-read", _rendered)


def _rendered(_: Any, name: str, source: list[str]) -> None:
    source[0] = pages.rendered(source[0], name)
