"""Tiny checkpoints with random weights, in the layouts in which the presets' models are released.

Files, classes, special tokens and the keys of the configuration files are those of the released repositories; only the
sizes and the vocabularies are not. Each function writes a checkpoint to a folder and returns the folder.
"""

from tests.released.internlm2 import save_internlm2, save_internlm2_adapter
from tests.released.llama import save_llama, save_llama_3
from tests.released.others import save_flan_t5, save_qwen

__all__ = [
    "save_flan_t5",
    "save_internlm2",
    "save_internlm2_adapter",
    "save_llama",
    "save_llama_3",
    "save_qwen",
]
