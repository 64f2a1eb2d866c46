"""Which network a checkpoint of the reference holds: inferred from the shapes of its variables, then checked.

In: name → shape. Out: `WaveNetConfig`. Everything but the dilations shows in the shapes; those are read from the
reference's own wavenet_params.json if there is one, else taken to be its cycle of 1, 2, 4 … 512.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from src.base.errors import Problem
from src.wavenet.shape import WaveNetConfig

CYCLE = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
"""Dilations of one stack in the reference's default wavenet_params.json; five stacks."""
LARGEST_PARAMS_BYTES = 2**20
Shape = tuple[int, ...]


def infer(shapes: Mapping[str, Shape], dilations: tuple[int, ...] | None = None) -> WaveNetConfig:
    """The configuration that needs exactly these variables.

    dilations: if known; else the reference's cycle, which needs a multiple of ten layers. Raises `Problem` naming the
    variables that are missing, left over or of another shape than the network would have.
    """
    stack = "wavenet/dilated_stack/layer"
    layers = {name.split("/")[2] for name in shapes if name.startswith(stack)}
    first = f"{stack}0"
    needed = ("wavenet/causal_layer/filter", f"{first}/filter", f"{first}/skip", "wavenet/postprocessing/postprocess2")
    absent = [name for name in needed if len(shapes.get(name, ())) != 3]
    if absent:
        raise Problem(
            f"This is not a checkpoint of ibab/tensorflow-wavenet: it has no {absent[0]} of three dimensions."
        )
    if dilations is None:
        if len(layers) % len(CYCLE):
            raise Problem(
                f"The checkpoint has {len(layers)} layers, and their dilations cannot be seen in it. Put the "
                "wavenet_params.json it was trained with beside it."
            )
        dilations = CYCLE * (len(layers) // len(CYCLE))
    causal, dilated = shapes[needed[0]], shapes[needed[1]]
    embedding = shapes.get("wavenet/embeddings/gc_embedding")
    scalar = causal[1] == 1
    if embedding is not None and len(embedding) != 2:
        raise Problem(f"The checkpoint's genres are {len(embedding)}-dimensional; the reference has genres × channels.")
    try:
        config = WaveNetConfig(
            dilations=dilations,
            filter_width=dilated[0],
            residual_channels=dilated[1],
            dilation_channels=dilated[2],
            skip_channels=shapes[needed[2]][2],
            quantization_channels=shapes[needed[3]][2],
            use_biases=f"{first}/Variable" in shapes,
            scalar_input=scalar,
            initial_filter_width=causal[0] if scalar else 32,
            global_condition_channels=embedding[1] if embedding else None,
            global_condition_cardinality=embedding[0] if embedding else None,
        )
    except ValidationError as error:
        wrong = error.errors()[0]
        field = ".".join(str(part) for part in wrong["loc"]) or "network"
        raise Problem(f"The checkpoint is of no network known here ({field}: {wrong['msg']}).") from None
    check(config, shapes)
    return config


def check(config: WaveNetConfig, shapes: Mapping[str, Shape]) -> None:
    """Raise `Problem` unless the variables are this network's, by name and shape (an optimizer's may be extra)."""
    wanted = expected_shapes(config)
    problems = [f"{name} is missing" for name in wanted if name not in shapes]
    problems += [
        f"{name} is {list(shapes[name])} instead of {list(shape)}"
        for name, shape in wanted.items()
        if name in shapes and shapes[name] != shape
    ]
    extra = [name for name in shapes if name not in wanted and not name.startswith(("optimizer", "beta"))]
    problems += [f"{name} is unknown" for name in extra if "Adam" not in name and "Momentum" not in name]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise Problem(f"The variables do not fit the network of this shape: {'; '.join(problems[:3])}{more}.")


def expected_shapes(config: WaveNetConfig) -> dict[str, Shape]:
    """Name → shape of every variable that the reference makes for a configuration."""
    width, residual, dilation = config.filter_width, config.residual_channels, config.dilation_channels
    skip, codes = config.skip_channels, config.quantization_channels
    causal = (config.initial_filter_width, 1, residual) if config.scalar_input else (width, codes, residual)
    shapes: dict[str, Shape] = {"wavenet/causal_layer/filter": causal}
    genres, condition = config.global_condition_cardinality, config.global_condition_channels
    if genres is not None and condition is not None:
        shapes["wavenet/embeddings/gc_embedding"] = (genres, condition)
    for layer in range(len(config.dilations)):
        scope = f"wavenet/dilated_stack/layer{layer}"
        parts: dict[str, Shape] = {
            "filter": (width, residual, dilation), "gate": (width, residual, dilation),
            "dense": (1, dilation, residual), "skip": (1, dilation, skip),
        }  # fmt: skip
        if condition is not None:
            parts |= {"gc_filter": (1, condition, dilation), "gc_gate": (1, condition, dilation)}
        if config.use_biases:
            # The reference gives its biases no names: they are filter, gate, dense and skip, in this order.
            parts |= {
                "Variable": (dilation,),
                "Variable_1": (dilation,),
                "Variable_2": (residual,),
                "Variable_3": (skip,),
            }
        shapes |= {f"{scope}/{part}": shape for part, shape in parts.items()}
    post = "wavenet/postprocessing"
    shapes |= {f"{post}/postprocess1": (1, skip, skip), f"{post}/postprocess2": (1, skip, codes)}
    if config.use_biases:
        shapes |= {f"{post}/Variable": (skip,), f"{post}/Variable_1": (codes,)}
    return shapes


def dilations_in(path: Path) -> tuple[int, ...]:
    """The dilations of a wavenet_params.json. Raises `Problem` if it does not hold any."""
    try:
        if path.stat().st_size > LARGEST_PARAMS_BYTES:
            raise Problem(f"{path.name} is too large to be a wavenet_params.json.")
        value: Any = json.loads(path.read_text(encoding="utf-8"))
        found = value["dilations"]
        if isinstance(found, list) and found and all(type(item) is int and item > 0 for item in found):
            return tuple(found)
    except OSError as error:
        raise Problem(f"{path.name} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise Problem(f"{path.name} holds no list of dilations; it was not used.")
