"""What `import ner_ray` gives: every public name, nothing else, and nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import ner_ray

HEAVY = ("numpy", "omegaconf", "pyarrow", "pydantic", "ray", "torch", "transformers", "vllm", "yaml")


def test_every_name_that_is_promised_is_there() -> None:
    for name in ner_ray.__all__:
        assert getattr(ner_ray, name) is not None, name
    assert ner_ray.__all__ == sorted(ner_ray.__all__)


def test_every_public_name_that_is_there_is_promised() -> None:
    modules = {name for name, value in vars(ner_ray).items() if type(value) is type(ner_ray)}
    machinery = {"Any", "TYPE_CHECKING", "annotations", "import_module"}
    public = {name for name in dir(ner_ray) if not name.startswith("_")} - modules - machinery

    assert public == set(ner_ray.__all__) - {"__version__"}


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'ner_ray' has no attribute 'Anotator'"):
        ner_ray.Anotator  # noqa: B018


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = f"import sys, ner_ray; print([name for name in {HEAVY} if name in sys.modules])"

    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"


def test_types_are_visible_to_type_checkers() -> None:
    assert (Path(ner_ray.__file__).parent / "py.typed").is_file()


def test_the_package_runs_as_a_program() -> None:
    said = subprocess.check_output([sys.executable, "-m", "ner_ray", "--version"], text=True)

    assert said.strip() == ner_ray.__version__
