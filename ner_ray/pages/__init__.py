"""What all pages share: one look, templates in which everything is escaped, and no script but their own.

A page is a template of its room, with a style and perhaps a script beside it; it extends `base.html`. `base.css` comes
before each style: type, colours of labels, marks, tables, light and dark.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

Filters = Mapping[str, Callable[..., Any]]


def page(
    package: str,
    name: str = "page",
    *,
    title: str,
    connects: bool = False,
    loads: bool = False,
    filters: Filters | None = None,
    **values: Any,
) -> str:
    """A page as HTML, from `templates/NAME.html`, `.css` and perhaps `.js` of a package.

    The page's own policy allows no script and no style but these, by their hash.

    Args:
        package: whose page it is.
        name: of the files.
        title: of the page.
        connects: whether the script may ask the server that the page comes from.
        loads: whether the script may load further ones, from beside the page.
        filters: further functions that the template uses as filters.
        values: what the template shows; all of it is escaped.
    """
    style, script = asset("base.css") + asset(f"{name}.css", package), asset(f"{name}.js", package)
    allowed = {
        "default-src": "'none'",
        "style-src": _hash(style),
        "script-src": _hash(script) + (" 'strict-dynamic'" if loads else "") if script else "'none'",
        "connect-src": "'self'" if connects else "'none'",
        "base-uri": "'none'",
    }
    policy = "; ".join(f"{what} {whose}" for what, whose in allowed.items())
    environment = _environment(package).overlay()
    environment.filters = environment.filters | dict(filters or {})
    template = environment.get_template(f"{name}.html")
    return template.render(title=title, style=style, script=script, policy=policy, **values)


@cache
def asset(name: str, package: str = __name__) -> Markup:
    """A file of a package's `templates`, as it is; empty if there is none."""
    file = files(package) / "templates" / name
    return Markup(file.read_text(encoding="utf-8") if file.is_file() else "")  # noqa: S704 - our own file


@cache
def _environment(package: str) -> Environment:
    return Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader(__name__)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _hash(content: str) -> str:
    """As a Content-Security-Policy names an inline script or style that may be used."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
