"""The shape of the network, apart from its arithmetic: reading parameters and checkpoints must not load torch."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

LONGEST_DILATION = 1 << 20
"""A minute of audio: more can only be a mistake, or a file that means to exhaust the memory."""


class WaveNetConfig(BaseModel):
    """Shape of the network; the names are the paper's (van den Oord et al. 2016, arXiv 1609.03499, section 2)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    dilations: tuple[int, ...] = Field(min_length=1, strict=False)
    """Dilation of each layer of the stack, in samples."""
    filter_width: int = Field(default=2, ge=2)
    residual_channels: int = Field(ge=1)
    dilation_channels: int = Field(ge=1)
    skip_channels: int = Field(ge=1)
    quantization_channels: int = Field(default=256, ge=2)
    """Number of mu-law codes."""
    use_biases: bool = True
    scalar_input: bool = False
    """Feed the waveform's value instead of a one-hot code."""
    initial_filter_width: int = Field(default=32, ge=2)
    """Filter width of the causal layer when the input is scalar."""
    global_condition_channels: int | None = Field(default=None, ge=1)
    global_condition_cardinality: int | None = Field(default=None, ge=1)
    """Number of genres."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if any(not 1 <= dilation <= LONGEST_DILATION for dilation in self.dilations):
            raise ValueError(f"dilations must be from 1 to {LONGEST_DILATION}")
        if (self.global_condition_channels is None) != (self.global_condition_cardinality is None):
            raise ValueError("global_condition_channels and global_condition_cardinality go together")
        return self

    @property
    def receptive_field(self) -> int:
        """Input samples that one prediction sees (the reference's `calculate_receptive_field`)."""
        first = self.initial_filter_width if self.scalar_input else self.filter_width
        return (self.filter_width - 1) * sum(self.dilations) + 1 + (first - 1)


def part_shapes(config: WaveNetConfig) -> dict[str, tuple[tuple[int, ...], tuple[int, ...] | None]]:
    """Shapes of the weight and the bias of each part; `WaveNet` explains them."""
    layers, width = len(config.dilations), config.filter_width
    residual, dilation, skip = config.residual_channels, config.dilation_channels, config.skip_channels
    codes, condition = config.quantization_channels, config.global_condition_channels
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...] | None]] = {}
    if condition is not None and config.global_condition_cardinality is not None:
        shapes["embedding"] = (config.global_condition_cardinality, condition), None
        shapes["condition"] = (layers, condition, 2 * dilation), None
    causal = (config.initial_filter_width, 1, residual) if config.scalar_input else (width, codes, residual)
    return shapes | {
        "causal": (causal, None),
        "dilated": ((layers, width, residual, 2 * dilation), (layers, 2 * dilation)),
        "dense": ((layers, dilation, residual), (layers, residual)),
        "skip": ((layers, dilation, skip), (layers, skip)),
        "postprocess1": ((skip, skip), (skip,)),
        "postprocess2": ((skip, codes), (codes,)),
    }


def parameter_shapes(config: WaveNetConfig) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter of the network, by its name."""
    shapes: dict[str, tuple[int, ...]] = {}
    for part, (weight, bias) in part_shapes(config).items():
        shapes[f"{part}.weight"] = weight
        if bias is not None and config.use_biases:
            shapes[f"{part}.bias"] = bias
    return shapes
