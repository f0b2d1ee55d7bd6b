"""What all pages share: one look, templates in which everything is escaped, and no script but their own.

A page is a template of its room, with a style and a script beside it. `base.css` comes before each style: colours of
labels, marks, type, light and dark.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def page(package: str, name: str = "page", *, connects: bool = False, **values: Any) -> str:
    """A page as HTML, from `templates/NAME.html`, `.css` and `.js` of a package.

    The page's own policy allows no script and no style but these, by their hash.

    Args:
        package: whose page it is.
        name: of the files.
        connects: whether the script may ask the server that the page comes from.
        values: what the template shows; all of it is escaped.
    """
    style, script = asset("ner_ray.pages", "base.css") + asset(package, f"{name}.css"), asset(package, f"{name}.js")
    source = "; connect-src 'self'" if connects else ""
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}{source}; base-uri 'none'"
    template = _environment(package).get_template(f"{name}.html")
    return template.render(style=style, script=script, policy=policy, **values)


@cache
def asset(package: str, name: str) -> Markup:
    """A file of a package's `templates`, as it is."""
    return Markup((files(package) / "templates" / name).read_text(encoding="utf-8"))  # noqa: S704 - our own file


@cache
def _environment(package: str) -> Environment:
    return Environment(
        loader=PackageLoader(package), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _hash(content: str) -> str:
    """As a Content-Security-Policy names an inline script or style that may be used."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
