"""TensorFlow checkpoints without TensorFlow. In: `model.ckpt-20.index` and its data files. Out: tables and arrays.

Source: tensorflow/core/protobuf/tensor_bundle.proto and core/util/tensor_bundle: the index is a sorted table whose
entry "" is the header and whose others are variables: type, shape, data file, offset, size, masked CRC-32C.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from src.base.errors import Problem
from src.base.sorted_table import DamagedTableError, entries, unmasked, varint

LARGEST_INDEX_BYTES = 64 * 2**20
TYPES = {1: "float32", 2: "float64", 3: "int32", 4: "uint8", 6: "int8", 9: "int64", 10: "bool", 19: "float16"}
"""tensorflow/core/framework/types.proto: the types numpy knows as well."""


@dataclass(frozen=True)
class Variable:
    """One line of the index."""

    name: str
    type: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size_bytes: int
    crc: int
    """CRC-32C of its bytes."""

    @property
    def count(self) -> int:
        """Numbers in it."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Index:
    """What a checkpoint's index says."""

    path: Path
    shards: int
    variables: tuple[Variable, ...]

    @property
    def step(self) -> int | None:
        """The number behind the last dash of its name: the reference's global step, counted from 0."""
        found = re.search(r"-(\d{1,9})\.index$", self.path.name)
        return int(found[1]) if found else None

    @property
    def parameters(self) -> int:
        """Numbers in all its variables."""
        return sum(variable.count for variable in self.variables)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name → shape."""
        return {variable.name: variable.shape for variable in self.variables}

    def data_file(self, shard: int) -> Path:
        """Where the numbers of a shard are."""
        return self.path.with_name(f"{self.path.name.removesuffix('.index')}.data-{shard:05d}-of-{self.shards:05d}")

    def missing(self) -> list[Path]:
        """Data files that are not there."""
        used = sorted({variable.shard for variable in self.variables})
        return [self.data_file(shard) for shard in used if not self.data_file(shard).is_file()]


def read_index(path: Path) -> Index:
    """Read and check an index. Raises `Problem` if it is too large, damaged, or of a kind not known here."""
    try:
        size = path.stat().st_size
        if size > LARGEST_INDEX_BYTES:
            raise Problem(f"{path.name} is {size} bytes long; an index has a few thousand. It was not read.")
        content = path.read_bytes()
    except OSError as error:
        raise Problem(f"{path.name} cannot be read: {error.strerror}.") from None
    shards = None
    variables = []
    for key, value in entries(content, path.name):
        if key == b"":
            shards = _header(value, path.name)
        elif shards is None:
            break
        else:
            variables.append(_variable(key, value, shards, path.name))
    if shards is None:
        raise DamagedTableError(
            f"{path.name} is damaged: the entry that says how many data files there are is missing."
        )
    return Index(path, shards, tuple(variables))


def read_tensors(index: Index) -> dict[str, NDArray[np.generic]]:
    """The arrays of all variables, each checked against its CRC.

    Raises `Problem` naming the data files that are missing, too short, or damaged, and the variable.
    """
    missing = index.missing()
    if missing:
        names = ", ".join(path.name for path in missing)
        raise Problem(f"{index.path.name}: the numbers are not here; missing: {names}. Put it beside the index.")
    tensors = {}
    for shard in sorted({variable.shard for variable in index.variables}):
        path = index.data_file(shard)
        mine = [variable for variable in index.variables if variable.shard == shard]
        size = path.stat().st_size
        needed = max(variable.offset + variable.size_bytes for variable in mine)
        if needed > size:
            raise Problem(f"{path.name} is cut short: {size} bytes, but its index needs {needed}.")
        content = np.memmap(path, np.uint8, "r") if size else np.zeros(0, np.uint8)
        for variable in mine:
            data = np.array(content[variable.offset : variable.offset + variable.size_bytes])
            if google_crc32c.value(data.tobytes()) != variable.crc:
                raise Problem(f"{path.name} is damaged: the checksum (CRC-32C) of {variable.name} is wrong.")
            tensors[variable.name] = data.view(variable.type).reshape(variable.shape)
    return tensors


def _header(value: bytes, name: str) -> int:
    fields = _fields(value, name)
    shards, endianness = _number(fields, 1), _number(fields, 2)
    if endianness != 0:
        raise Problem(f"{name} is of a big-endian machine, which is not supported.")
    if not 1 <= shards <= 100_000:
        raise DamagedTableError(f"{name} is damaged: it claims {shards} data files.")
    return shards


def _variable(key: bytes, value: bytes, shards: int, file: str) -> Variable:
    """BundleEntryProto: dtype 1, shape 2, shard_id 3, offset 4, size 5, crc32c 6, slices 7."""
    name = key.decode("utf-8", "replace")
    fields = _fields(value, file)
    type_number = _number(fields, 1)
    if type_number not in TYPES:
        raise Problem(f"{file}: {name} is of type {type_number}, which is not supported; known: {sorted(TYPES)}.")
    if 7 in fields:
        raise Problem(f"{file}: {name} is a partitioned variable, which is not supported.")
    shape = tuple(
        _number(_fields(dimension, file), 1)
        for part in fields.get(2, [])
        if isinstance(part, bytes)
        for dimension in _fields(part, file).get(2, [])
        if isinstance(dimension, bytes)
    )
    variable = Variable(
        name, TYPES[type_number], shape, _number(fields, 3), _number(fields, 4), _number(fields, 5),
        unmasked(_number(fields, 6)),
    )  # fmt: skip
    # Checked in whole numbers, before anything is allocated.
    if variable.count * np.dtype(variable.type).itemsize != variable.size_bytes or variable.shard >= shards:
        raise DamagedTableError(
            f"{file} is damaged: {name} claims {variable.size_bytes} bytes in data file {variable.shard} "
            f"for the shape {list(shape)}."
        )
    return variable


def _number(fields: Mapping[int, list[int | bytes]], field: int) -> int:
    """A number field's last value; absent means 0 in this format."""
    value = fields.get(field, [0])[-1]
    return value if isinstance(value, int) else 0


def _fields(message: bytes, name: str) -> dict[int, list[int | bytes]]:
    found: dict[int, list[int | bytes]] = {}
    for field, value in _wire(message, name):
        found.setdefault(field, []).append(value)
    return found


def _wire(message: bytes, name: str) -> Iterator[tuple[int, int | bytes]]:
    """Protocol Buffers' wire format: (field number, whole number or bytes)."""
    at = 0
    while at < len(message):
        tag, at = varint(message, at, name)
        kind, width = tag & 7, {1: 8, 5: 4}.get(tag & 7, 0)
        if kind == 0:
            value, at = varint(message, at, name)
            yield tag >> 3, value
            continue
        if kind == 2:
            width, at = varint(message, at, name)
        elif not width:
            raise DamagedTableError(f"{name} is damaged: an entry has a field of unknown kind {kind}.")
        if at + width > len(message):
            raise DamagedTableError(f"{name} is damaged: a field does not fit into its entry.")
        data = message[at : at + width]
        at += width
        yield tag >> 3, data if kind == 2 else int.from_bytes(data, "little")
