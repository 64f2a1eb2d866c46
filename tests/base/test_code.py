"""Which code decides a result: what must change a fingerprint or a stage's state does, and what must not does not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from src.base import code
from tests.conftest import ROOT

FINGERPRINT = "from src import config; from src.train import run; print(run.fingerprint(config.load(), 'x'))"
DIGESTS = (
    "from src.base import code; print(*(code.digest(n) for n in "
    "('src.library.demo.compose', 'src.manifest.facts', 'src.clips.cut')))"
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the code and the parameters, to be edited."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "params", tmp_path / "params")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


def printed(checkout: Path, program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=checkout, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def known() -> str:
    """The fingerprint of this code."""
    return printed(ROOT, FINGERPRINT)


def edit(checkout: Path, file: str, before: str, after: str) -> None:
    path = checkout / file
    text = path.read_text()
    assert text.count(before) >= 1, f"{file} no longer says {before!r}"
    path.write_text(text.replace(before, after, 1))


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("src/clips/clipset.py", "np.float32(1 / 32768)", "np.float32(1 / 32767)"),
        ("src/train/step.py", "epsilon=settings.epsilon", "epsilon=2 * settings.epsilon"),
        ("src/train/step.py", "step / settings.warmup_steps", "(step - 1) / settings.warmup_steps"),
        ("src/train/step.py", 'clip.split == "train"', 'clip.split != "train"'),
        ("src/config.py", "epsilon: float = Field(default=1e-4", "epsilon: float = Field(default=1e-5"),
        (
            "src/wavenet/shape.py",
            "quantization_channels: int = Field(default=256",
            "quantization_channels: int = Field(default=64",
        ),
        ("src/wavenet/optimizers.py", "torch._foreach_sqrt(second)", "torch._foreach_abs(second)"),
    ],
)
def test_a_line_that_decides_a_number_makes_a_new_run(
    checkout: Path, known: str, file: str, before: str, after: str
) -> None:
    edit(checkout, file, before, after)
    assert printed(checkout, FINGERPRINT) != known


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("src/train/step.py", '"""The steps of a training', '"""All steps of a training'),
        ("src/clips/clipset.py", "import hashlib", "# why\nimport hashlib"),
        ("src/base/console.py", "def say(", "def unused() -> None:\n    pass\n\n\ndef say("),
        ("src/train/attempt.py", "SYNC_EVERY_S = 1.0", "SYNC_EVERY_S = 2.0"),
        ("src/wavenet/sampler.py", '"""Generation', '"""The generation'),
    ],
)
def test_a_comment_or_the_console_makes_no_new_run(
    checkout: Path, known: str, file: str, before: str, after: str
) -> None:
    edit(checkout, file, before, after)
    assert printed(checkout, FINGERPRINT) == known


@pytest.mark.parametrize(
    ("file", "position"),
    [
        ("src/library/demo/compose.py", 0),
        ("src/audio/fingerprint.py", 1),
        ("src/manifest/tags.py", 1),
        ("src/clips/cut.py", 2),
    ],
)
def test_what_is_remembered_belongs_to_the_code_that_found_it_out(checkout: Path, file: str, position: int) -> None:
    known = printed(ROOT, DIGESTS).split()
    (checkout / file).write_text((checkout / file).read_text() + "\n\nNEW = 1\n")
    changed = [old != new for old, new in zip(known, printed(checkout, DIGESTS).split(), strict=True)]
    assert changed == [number == position for number in range(3)]


@pytest.mark.parametrize(
    ("stage", "file"),
    [
        ("generate", "src/wavenet/sampler.py"),
        ("generate", "src/audio/encode.py"),
        ("clips", "src/audio/decode.py"),
        ("evaluate", "src/evaluate/intervals.py"),
        ("train", "src/config.py"),
        ("compare", "src/compare/sentences.py"),
    ],
)
def test_dvc_runs_a_stage_again_whose_code_changed(stage: str, file: str) -> None:
    deps = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]["deps"]
    assert any(file == dep or file.startswith(f"{dep}/") for dep in deps)


def test_imports_inside_functions_and_for_types_count() -> None:
    names = code.modules("src.train.step")
    assert "src.wavenet.cpu.fused_kernels" in names  # imported in a function of src.wavenet.training
    assert not any(name.startswith(("src.base", "src.record", "src.config")) for name in names)


def test_comments_and_docstrings_have_no_meaning_but_code_has() -> None:
    before = 'def f(x):\n    """Doc."""\n    return x + 1  # why\n'
    assert code.meaning(before) == code.meaning("def f(x):\n    'Other.'\n\n    return (x + 1)\n")
    assert code.meaning(before) != code.meaning("def f(x):\n    return x + 2\n")
