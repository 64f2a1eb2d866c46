"""TensorFlow checkpoints: the real tiny one, and every way an index can be wrong."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.base.errors import Problem
from src.base.sorted_table import DamagedTableError, entries, uncompress
from src.base.tensorflow_checkpoint import read_index, read_tensors
from src.legacy import configuration
from src.wavenet.network import WaveNet
from src.wavenet.reference import from_reference
from tests.legacy import bundles

DATA = Path(__file__).parents[1] / "data" / "legacy"
SHARED = Path(__file__).parents[2].parent / "shared" / "reference"
DILATIONS = (1, 2, 4, 8, 1, 2, 4, 8)
TENSORS = {f"layer{k}/weights": np.arange(k, k + 12, dtype=np.float32).reshape(3, 4) for k in range(12)}


def test_the_tiny_reference_gives_its_logits() -> None:
    index = read_index(DATA / "model.ckpt-7.index")
    assert (index.step, len(index.variables), index.parameters, index.missing()) == (7, 86, 2792, [])
    tensors = read_tensors(index)
    config = configuration.infer(index.shapes, DILATIONS)
    assert config.receptive_field == 32
    model = WaveNet(config)
    model.load_state_dict(from_reference({name: array.astype(np.float32) for name, array in tensors.items()}))
    reference = np.load(DATA / "tiny-logits.npz")
    codes = torch.from_numpy(reference["codes"].astype(np.int64))[None]
    for genre in range(3):
        with torch.no_grad():
            logits = model(codes, torch.tensor([genre]))[0].numpy()
        np.testing.assert_allclose(logits, reference[f"logits_gc{genre}"], atol=2e-5)


def test_the_tiny_reference_holds_the_numbers_tensorflow_wrote() -> None:
    path = SHARED / "tiny" / "variables.npz"
    if not path.is_file():
        pytest.skip("the reference's arrays are not beside this checkout")
    written = np.load(path)
    tensors = read_tensors(read_index(DATA / "model.ckpt-7.index"))
    assert set(tensors) == set(written)
    for name, array in tensors.items():
        np.testing.assert_array_equal(array, written[name])


def test_the_full_reference_gives_its_logits() -> None:
    folder = SHARED / "full"
    if not folder.is_dir():
        pytest.skip("the reference's full checkpoint is not beside this checkout")
    index = read_index(folder / "model.ckpt-20.index")
    config = configuration.infer(index.shapes)
    model = WaveNet(config)
    model.load_state_dict(
        from_reference({name: array.astype(np.float32) for name, array in read_tensors(index).items()})
    )
    codes = torch.from_numpy(np.load(folder / "logits_input_codes.npy").astype(np.int64).reshape(1, -1))
    with torch.no_grad():
        logits = model(codes, torch.tensor([0]))[0].numpy()
    np.testing.assert_allclose(logits[-200:], np.load(folder / "logits_gc0_last200.npy"), atol=1e-4)


def test_an_index_without_its_data_still_gives_its_table() -> None:
    index = read_index(DATA / "model.ckpt-20.index")
    assert (len(index.variables), index.parameters) == (506, 1_618_528)
    assert index.shapes["wavenet/embeddings/gc_embedding"] == (5, 32)
    assert configuration.infer(index.shapes).receptive_field == 5117
    assert [path.name for path in index.missing()] == ["model.ckpt-20.data-00000-of-00001"]
    with pytest.raises(Problem, match=r"missing: model\.ckpt-20\.data-00000-of-00001"):
        read_tensors(index)


@pytest.mark.parametrize(("shards", "compression"), [(1, 0), (3, 0), (1, 1), (2, 1)])
def test_shards_and_snappy_blocks_are_read(tmp_path: Path, shards: int, compression: int) -> None:
    tensors = read_tensors(read_index(bundles.write(tmp_path, TENSORS, shards=shards, compression=compression)))
    assert set(tensors) == set(TENSORS)
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(tensors[name], array)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (bundles.varint(2**40) + b"\0a", "claim to hold"),
        (b"\x05\x00a", "does not unfold"),
        (b"\x04\x01\x09", "does not unfold"),
        (b"", "cut off"),
    ],
)
def test_lying_snappy_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(Problem, match=says):
        uncompress(data, "x")


def _one(tmp_path: Path, value: bytes, *, header: bytes | None = None, compression: int = 0) -> Path:
    path = tmp_path / "model.ckpt-1.index"
    path.write_bytes(bundles.table({b"": header or bundles.header(), b"w": value}, compression=compression))
    (tmp_path / "model.ckpt-1.data-00000-of-00001").write_bytes(bytes(16))
    return path


def test_sizes_that_lie_are_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    crc = bundles.masked(bytes(16))
    for shape, size in [((2**40, 2**20), 16), ((4,), 2**50), ((2**63,), 16), ((4,), 12)]:
        with pytest.raises(Problem, match="damaged"):
            read_index(_one(tmp_path, bundles.entry(1, shape, 0, 0, size, crc)))
    consistent = _one(tmp_path, bundles.entry(1, (2**38,), 0, 0, 2**40, crc))
    with pytest.raises(Problem, match="cut short"):
        read_tensors(read_index(consistent))


@pytest.mark.parametrize(
    ("value", "header", "compression", "says"),
    [
        (bundles.entry(7, (4,), 0, 0, 16, 0), None, 0, "type 7"),
        (bundles.entry(1, (4,), 5, 0, 16, 0), None, 0, "data file 5"),
        (bundles.entry(1, (4,), 0, 0, 16, 0) + bundles.field(7, b""), None, 0, "partitioned"),
        (bundles.entry(1, (4,), 0, 0, 16, 0), bundles.header(endianness=1), 0, "big-endian"),
        (bundles.entry(1, (4,), 0, 0, 16, 0), bundles.header(shards=0), 0, "0 data files"),
        (bundles.entry(1, (4,), 0, 0, 16, 0), None, 2, "compression 2"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", None, 0, "cut off or too long"),
        (b"\x0a\x7fab", None, 0, "does not fit"),
    ],
)
def test_what_is_not_supported_gets_a_sentence(
    tmp_path: Path, value: bytes, header: bytes | None, compression: int, says: str
) -> None:
    with pytest.raises(Problem, match=says):
        read_index(_one(tmp_path, value, header=header, compression=compression))


def test_a_changed_byte_of_the_data_names_the_variable(tmp_path: Path) -> None:
    for name in ("model.ckpt-7.index", "model.ckpt-7.data-00000-of-00001"):
        shutil.copy(DATA / name, tmp_path / name)
    data = tmp_path / "model.ckpt-7.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[900] ^= 1
    data.write_bytes(content)
    with pytest.raises(Problem, match=r"checksum .* of wavenet/dilated_stack/layer0/dense"):
        read_tensors(read_index(tmp_path / "model.ckpt-7.index"))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_damage_to_an_index_goes_unnoticed(data: st.DataObject) -> None:
    content = bytearray((DATA / "model.ckpt-7.index").read_bytes())
    # The footer's padding (between its handles and its mark) belongs to no checksum and means nothing.
    place = data.draw(st.one_of(st.integers(0, len(content) - 49), st.integers(len(content) - 8, len(content) - 1)))
    if data.draw(st.booleans()):
        del content[place:]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    path = Path(data.draw(st.just("damaged-7.index")))
    with pytest.raises(DamagedTableError):
        list(entries(bytes(content), path.name))


def test_a_network_of_another_program_is_refused() -> None:
    with pytest.raises(Problem, match="not a checkpoint of ibab"):
        configuration.infer({"dense/kernel": (3, 4)})
    shapes = read_index(DATA / "model.ckpt-7.index").shapes
    with pytest.raises(Problem, match="dilations cannot be seen"):
        configuration.infer(shapes)
    with pytest.raises(Problem, match=r"layer3/gate is \[2, 6, 4\] instead of \[2, 6, 5\]"):
        configuration.infer(shapes | {"wavenet/dilated_stack/layer3/gate": (2, 6, 4)}, DILATIONS)
    with pytest.raises(Problem, match="layer2/skip is missing"):
        configuration.infer({name: shape for name, shape in shapes.items() if "layer2/skip" not in name}, DILATIONS)

    stack, post = "wavenet/dilated_stack/layer0/filter", "wavenet/postprocessing/postprocess2"
    for odd in (
        {"wavenet/causal_layer/filter": (1, 1, 6)}, {stack: (1, 6, 5)}, {stack: (2, 0, 5)}, {post: (1, 12, 1)},
        {"wavenet/embeddings/gc_embedding": (0, 4)},
    ):  # fmt: skip
        with pytest.raises(Problem, match=r"no network known here \(\w+: .*greater than or equal to"):
            configuration.infer(shapes | odd, DILATIONS)
    with pytest.raises(Problem, match=r"no network known here .*dilations must be from 1"):
        configuration.infer(shapes, (2**40,) * 8)
    with pytest.raises(Problem, match="genres are 1-dimensional"):
        configuration.infer(shapes | {"wavenet/embeddings/gc_embedding": (3,)}, DILATIONS)


def test_dilations_come_from_the_references_own_file(tmp_path: Path) -> None:
    path = tmp_path / "wavenet_params.json"
    path.write_text('{"dilations": [1, 2, 4, 8, 1, 2, 4, 8], "residual_channels": 6}')
    assert configuration.dilations_in(path) == DILATIONS
    for bad in ("[", "{}", '{"dilations": [1, "2"]}', '{"dilations": []}', "[" * 100_000):
        path.write_text(bad)
        with pytest.raises(Problem, match="no list of dilations"):
            configuration.dilations_in(path)
