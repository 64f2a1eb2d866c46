"""The shape of the network, apart from its arithmetic: reading parameters and checkpoints must not load torch."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


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
        if any(dilation < 1 for dilation in self.dilations):
            raise ValueError("dilations must be 1 or more")
        if (self.global_condition_channels is None) != (self.global_condition_cardinality is None):
            raise ValueError("global_condition_channels and global_condition_cardinality go together")
        return self

    @property
    def receptive_field(self) -> int:
        """Input samples that one prediction sees (the reference's `calculate_receptive_field`)."""
        first = self.initial_filter_width if self.scalar_input else self.filter_width
        return (self.filter_width - 1) * sum(self.dilations) + 1 + (first - 1)
