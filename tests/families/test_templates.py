"""Templates are what was published, to the byte."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any

import pytest
import yaml

from ner_ray import plugins
from ner_ray.families.toolkit.template import placeholders, render, template
from ner_ray.types import StepInput
from tests.families.data import DEMONSTRATIONS, LABELS, entities, family_steps, shown

# SHA-256 of the texts as their repositories have them, with their own placeholders.
B2NER = {
    "labels": "{labels_str}",
    "descriptions": "{label_descriptions_str}",
    "examples": "@@examples@@",
    "text": "{text}",
}
PERCENT = {"labels": "%s", "text": "%s"}
PUBLISHED = {
    ("b2ner", "zero_shot", "en"): "f7c41295433d281e7efd5a557e1264613534d8f37f3a6d692061cc8fb2a309c9",
    ("b2ner", "described", "en"): "4be457c6a513511e5c437182fae1edb71053280fff966bf058791b9b1c327435",
    ("b2ner", "few_shot", "en"): "f6ddcf2843520eb7c7c9b88a0ca838a062a92dcbf190250dfec398b449d67df4",
    ("b2ner", "zero_shot", "zh"): "0191f833dcc0cb10f9057316c8979cd5e91cb3eda0b8d800abcc11f0864f87b3",
    ("b2ner", "described", "zh"): "9f3e15a8a638590f8ab45c8606f2776bd72c44ed4554f76d1986ba51742cafda",
    ("b2ner", "few_shot", "zh"): "237486079d66c726063b512e8e6c760f39ef0c41e0bbe20dc858088a44038002",
    ("b2ner", "zero_shot", "de"): "bd432f7f7962780b937f3e899db32210e77a6019fe199c9b73684a6e1e8b1641",
    ("b2ner", "zero_shot", "nl"): "410038c316a8aceed15a6730d1dcb4b7633c8ddf1ab61a4eebac3b4458950eb7",
    ("b2ner", "zero_shot", "es"): "3844dedb9975d436e9172e708a6f358a58e7ad124fa4567c1ad57b587d5c5356",
    ("instruct", "annotation", "zh", "json"): "f77727f53f3817510216d3ae3a4d011bde9d28e51f7f670310bda1020ceccbb6",
    ("instruct", "annotation", "zh", "tuples"): "1d53b2c5d7151dcc06990d81768a3606f7eae0620a1da05c6642fe5ff81fef7a",
    ("instruct", "annotation", "en", "json"): "df25642ad579760959d8835f29ff06dca9f81b12b15f94b1a216b75c79049e59",
    ("instruct", "evaluation", "zh", "json"): "14e131ea99dba0f5773cd73bb862d447f7843233312b9f3cbea96e856aa495cb",
    ("instruct", "evaluation", "en", "json"): "244efdfac6ab4e1d00525c0c3377807f51cd1ff0e08549f7385c10a011e78690",
}
GNER_INSTRUCTION = "c5776d9bc70593e8"

# SHA-256 of whole prompts for the passage below; demonstrations where the name says so.
TEXT = "Ann of Ghent 画了 {text}."
RENDERED: list[tuple[str, dict[str, Any], str, str]] = [
    ("gner", {"wrapper": "llama"}, "", "80414a2a8a8853f75b7eede8485682523aa1b3d2b5caa12ee9ba547b284af1b1"),
    ("gner", {"wrapper": "t5"}, "", "50ca36af813814c4ff82e08dd2aade6d46f044d522f76d0b8f69e3036c27fd8a"),
    ("gner", {"wrapper": "chat"}, "", "150dcac9373b1b7710e8c2e1b341016b6a1c561fc2d3b9980f431c6ce58b60c1"),
    (
        "gner",
        {"dataset": "toy", "words": "released"},
        "",
        "288b28ebeea9b837741ff280e0819d7ef062fd5f3a2606c357ab877fdfd60f0a",
    ),
    ("b2ner", {"language": "en"}, "", "1c4d1c1a703e7cae768836d8c7db4feda05fbecc733f81e93ca75cd4087fba7c"),
    (
        "b2ner",
        {"language": "en", "descriptions": True},
        "",
        "cccfc630989e477f1d2204185d40f5243fb740b6517936bb3021011d09bf0b04",
    ),
    ("b2ner", {"language": "en"}, "demos", "9fac72566c7f62cae332aa58d1e709d78ba633336afb486570279e5b9046a89f"),
    ("b2ner", {"language": "zh"}, "", "49b81daa07983c0c2fe4c1738fd6795383e7db335a02a34d4b65bbc2bed1545b"),
    (
        "b2ner",
        {"language": "zh", "descriptions": True},
        "",
        "c858cb385abdde29ec382000dd29f521f6654d78b6014ab258875534f598f414",
    ),
    ("b2ner", {"language": "zh"}, "demos", "ce3d6e874dd54931e3e9b963496f77bbcfa57fbac34b7a3352bb3ecbdba39049"),
    ("b2ner", {"language": "de"}, "", "60dea5131a70f4ac14b0ac51782515adb271d8a2e78bbde9a5c16bb44137955a"),
    ("b2ner", {"language": "nl"}, "", "fbabf28fb1cd2992f162d7ff80b165d8e5aa6102274ca69d294798a4d27e6843"),
    ("b2ner", {"language": "es"}, "", "46e80fa515f510d56faa962116bf411c8dece3f3712eedcd5d4fcfb7b148fbae"),
    ("universal_ner", {}, "", "5f5ea9a7a7994935d1da5aa7b66a8deedf202af054868a61c07c7cb418414cfa"),
    (
        "universal_ner",
        {"system": "paragraph", "definitions": True, "dataset": "toy"},
        "",
        "9bcfb2100cea9512b8fc6bcf7a9d9f16b78611f6d92911ec535f26c5e0e87543",
    ),
    ("universal_ner", {"wrapper": "chat"}, "", "b86cad4cfd1bf4f1e16fd6fe6628276fc179517fe083f6e12d2dedfc2739075b"),
    (
        "ra_it",
        {"language": "en", "wording": "training", "wrapper": "llama-3"},
        "demos",
        "cb54299cd8d3a60b7414f3d333ada2fd03560bc06692cfda82b4ed61da1889f3",
    ),
    (
        "ra_it",
        {"language": "en", "wording": "training", "wrapper": "qwen"},
        "demos",
        "b9a0a6d6b48466ca3392a275435892b002abe8956e9539917853210a48fad44f",
    ),
    (
        "ra_it",
        {"language": "en", "wording": "generator", "wrapper": "llama-3"},
        "demos",
        "b8b1ffff8d099e2c4d11152894c47bd2ae276e2084d1c1d52dc812871101e354",
    ),
    (
        "ra_it",
        {"language": "en", "wording": "generator", "wrapper": "qwen"},
        "demos",
        "a58a30d4e43b0b25479477e1e3bf4c01a25f602816a06762c60dc15796cc65da",
    ),
    (
        "ra_it",
        {"language": "en", "wording": "serve", "wrapper": "llama-3"},
        "demos",
        "a910dd518d61b38f53e58a2333dd8d0d6ae817267889d13ebce375d8fb98124e",
    ),
    (
        "ra_it",
        {"language": "en", "wording": "serve", "wrapper": "qwen"},
        "demos",
        "0d39571b4a7628aa3479331573cca851e8f5b373717daf76110042d84c4a624a",
    ),
    (
        "ra_it",
        {"language": "zh", "wording": "training", "wrapper": "llama-3"},
        "demos",
        "6053a87197560d274842728e2ed952a61ca721e50b4bf2b3fe7be5c7a392115d",
    ),
    (
        "ra_it",
        {"language": "zh", "wording": "training", "wrapper": "qwen"},
        "demos",
        "0f0829413169aa5a9a509e403c8e16a2259b9dbb30fd169e12969a6de3c4f7fa",
    ),
    (
        "ra_it",
        {"language": "zh", "wording": "generator", "wrapper": "llama-3"},
        "demos",
        "6053a87197560d274842728e2ed952a61ca721e50b4bf2b3fe7be5c7a392115d",
    ),
    (
        "ra_it",
        {"language": "zh", "wording": "generator", "wrapper": "qwen"},
        "demos",
        "0f0829413169aa5a9a509e403c8e16a2259b9dbb30fd169e12969a6de3c4f7fa",
    ),
    (
        "ra_it",
        {"language": "zh", "wording": "serve", "wrapper": "llama-3"},
        "demos",
        "b3ca03b89337921e766a7393adab9ec70e75136fece276b3d32c554017d62e4c",
    ),
    (
        "ra_it",
        {"language": "zh", "wording": "serve", "wrapper": "qwen"},
        "demos",
        "974721e22d66909acdf0786ab241fba03d812fd21ccb036816d62266feeb9f18",
    ),
    (
        "ra_it",
        {"language": "zh", "dataset": "toy", "wrapper": "chat"},
        "",
        "c0981dec123e4ebeed88a7189136306123855e6f226e9297804ab5283086a14b",
    ),
    ("cascade", {"wording": "infer"}, "", "e438fa152f48cf7c43822a611d4d88ac54e051f890f3e404212771691ed3ab4a"),
    ("cascade", {"wording": "infer_lower"}, "", "0e92c6d55014e7c9ec12ac8266701139b51d758f71a10c31bdf1e795af48d3a9"),
    ("cascade", {"wording": "training"}, "", "9797e1cd3389d6898c73a5cbc8644eedc1f96507015ad048c3c6b3aae57d8476"),
    (
        "instruct",
        {"prompt": "annotation", "language": "en", "returns": "json"},
        "demos",
        "d8dad4bca5a5fd653a395f16616546f7e142505a6e36cf1d0938050707fa2be0",
    ),
    (
        "instruct",
        {"prompt": "annotation", "language": "en", "returns": "tuples"},
        "demos",
        "1d72706c9fab49ac63d07de443fd96e3b1d679998583098b78cfcdca80dc985b",
    ),
    ("instruct", {"language": "en"}, "", "a072adecdbf5dd94fd2f32b0fd080a930c2f04c3e39d96e0eef7ea108287347c"),
    (
        "instruct",
        {"prompt": "annotation", "language": "zh", "returns": "json"},
        "demos",
        "2ab44de2da769862010f6591f53f3b290a86d997b6169a7cbc0e75d5f035cd18",
    ),
    (
        "instruct",
        {"prompt": "annotation", "language": "zh", "returns": "tuples"},
        "demos",
        "3abd1921a64e924427a7ad1c5586dbf7b7f24f00d695310ee38b58051b1db20b",
    ),
    ("instruct", {"language": "zh"}, "", "4c02a244e7a05ffbbf87aa302cae754bf78eea9701621f4c8b4bc3776e2d0a04"),
]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("path", PUBLISHED, ids="-".join)
def test_a_template_is_the_published_one(path: tuple[str, ...]) -> None:
    original = render(template(*path), **(B2NER if path[0] == "b2ner" else PERCENT))

    assert digest(original) == PUBLISHED[path]


def test_gners_instruction_is_the_published_one() -> None:
    instruction, _, rest = template("gner", "prompt").partition("\nUse the specific entity tags: ")

    assert digest(instruction)[:16] == GNER_INSTRUCTION
    assert rest == "{labels} and O.\n{dataset}Sentence: {sentence}"


@pytest.mark.parametrize(("family", "options", "demonstrations", "expected"), RENDERED)
def test_a_rendered_prompt_has_not_changed(
    family: str, options: dict[str, Any], demonstrations: str, expected: str
) -> None:
    found = entities(TEXT, ("Ann", ""), ("Ghent", ""))
    passage = StepInput(TEXT, LABELS, DEMONSTRATIONS if demonstrations else (), tuple(found))
    prompts = [shown(prompt) for step in family_steps(family, **options) for prompt in step.ask(passage, ())]

    assert digest("\0".join(prompts)) == expected


@pytest.mark.parametrize("family", plugins.names("families"))
def test_a_template_file_says_where_it_is_from(family: str) -> None:
    file = resources.files("ner_ray.families") / "templates" / f"{family}.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))

    assert content.keys() == {"checkpoint", "source", "licence", "texts"}
    assert "http" in content["source"]
    assert content["licence"]


def test_what_is_put_in_is_never_rendered_again() -> None:
    assert render("{a}-{b}-{c}-{}-{0}-{{a}}", a="{b}", b="{a}{") == "{b}-{a}{-{c}-{}-{0}-{{b}}"


def test_placeholders_are_lower_case_names_in_braces() -> None:
    assert placeholders('{text} {"entity": "x"} {0} {} {Text} {two_words}') == {"text", "two_words"}
