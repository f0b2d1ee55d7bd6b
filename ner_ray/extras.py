"""Optional packages: found missing before any work is done, in one way, with the command that installs them.

    require("matplotlib", extra="train", purpose="the learning curves")

The extras are those of `pyproject.toml`. Ask in a command's or an extension's `check`, not where the package is
first used: hours of work may lie between the two.
"""

from __future__ import annotations

from importlib.util import find_spec

from ner_ray.errors import MissingExtraError


def require(*modules: str, extra: str | tuple[str, ...], purpose: str = "") -> None:
    """Checks that modules can be imported, without importing them.

    Args:
        modules: top-level or dotted names, as in an `import` statement.
        extra: the extra of `ner-ray` that installs them; several where any one of them does.
        purpose: what needs them, to begin the message with, such as `the engine vllm`.

    Raises:
        MissingExtraError: names every module that is missing, and the `pip install` that adds it.

    >>> require("json", extra="train")
    >>> require("json", "no_such_module", extra="train", purpose="the trainer")
    Traceback (most recent call last):
    ner_ray.errors.MissingExtraError: the trainer needs no_such_module, which is not installed
      hint: pip install 'ner-ray[train]'
    """
    missing = [module for module in modules if not is_installed(module)]
    if not missing:
        return
    names, verb = ", ".join(missing), "is" if len(missing) == 1 else "are"
    extras = (extra,) if isinstance(extra, str) else extra
    raise MissingExtraError(
        f"{purpose} needs {names}, which {verb} not installed" if purpose else f"{names} {verb} not installed",
        hint="pip install " + " or ".join(f"'ner-ray[{name}]'" for name in extras),
    )


def is_installed(module: str) -> bool:
    """Whether a module can be found; its parent packages are imported, the module itself is not.

    >>> is_installed("json.decoder"), is_installed("no_such_package.module")
    (True, False)
    """
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a parent package is missing
        return False
