"""The files for containers and clusters: linted, parsed, and their commands are commands of this program."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.paths import ROOT

from samotion.runtime.options import build_parser

DEPLOY = ROOT / "docs/deploy"


@pytest.mark.parametrize("file", sorted(DEPLOY.glob("*.Dockerfile")), ids=lambda path: path.name)
def test_hadolint_has_nothing_to_say(file: Path) -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([hadolint, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_script_for_slurm_is_a_script() -> None:
    text = (DEPLOY / "slurm.sh").read_text(encoding="utf-8")
    subprocess.run(["bash", "-n", str(DEPLOY / "slurm.sh")], check=True)
    command = re.sub(r"\\\n", " ", text[text.index("srun ") + 5 :])
    values = {"1": "clips", "2": "out", "SLURM_CPUS_PER_TASK": "4", "SLURM_ARRAY_TASK_ID": "3"}
    values["SLURM_ARRAY_TASK_COUNT"] = "8"
    words = shlex.split(re.sub(r"\$(\w+)", lambda name: values[name[1]], command))
    assert words[0] == "samotion-run"
    assert build_parser().parse_args(words[1:]).shard == (3, 8)


def test_the_job_for_kuberay_is_whole() -> None:
    job: dict[str, Any] = yaml.safe_load((DEPLOY / "rayjob.yaml").read_text(encoding="utf-8"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    program, *arguments = shlex.split(job["spec"]["entrypoint"])
    asked = build_parser().parse_args(arguments)
    assert (program, asked.ray, asked.resume) == ("samotion-run", "auto", True)
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert [mount["name"] for mount in container["volumeMounts"]] == [volume["name"] for volume in pod["volumes"]]
        assert asked.out.is_relative_to(container["volumeMounts"][0]["mountPath"])
    assert int(container["resources"]["limits"]["cpu"]) == asked.threads, "one worker a pod"
