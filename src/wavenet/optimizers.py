"""TensorFlow's Adam, momentum SGD and RMSProp, as the reference uses them, with all their state in the open.

A state is a flat dict of tensors: saved and loaded with the weights, it continues an update sequence bit for
bit. Parameters and state change in place. Formulas: TensorFlow's `AdamOptimizer`, `MomentumOptimizer` and
`RMSPropOptimizer`; their epsilons stand elsewhere than those of torch.optim.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch

State = dict[str, torch.Tensor]
Tensors = Mapping[str, torch.Tensor]


class Optimizer(Protocol):
    """What a training step needs of an optimizer."""

    def start(self, parameters: Tensors) -> State:
        """The state before the first update."""

    def update(self, parameters: Tensors, gradients: Tensors, state: State, learning_rate: float) -> None:
        """One update in place."""


@dataclass(frozen=True)
class Adam:
    """lr · sqrt(1 - β2^t) / (1 - β1^t) · m / (sqrt(v) + epsilon); state: `m.<name>`, `v.<name>`, `updates`."""

    epsilon: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.999

    def start(self, parameters: Tensors) -> State:
        return {"updates": torch.zeros((), dtype=torch.int64)} | _zeros("m", parameters) | _zeros("v", parameters)

    def update(self, parameters: Tensors, gradients: Tensors, state: State, learning_rate: float) -> None:
        state["updates"] += 1
        updates = int(state["updates"])
        rate = learning_rate * (1 - self.beta2**updates) ** 0.5 / (1 - self.beta1**updates)
        weights, steps = _aligned(parameters, gradients)
        first, second = _slots("m", parameters, state), _slots("v", parameters, state)
        torch._foreach_lerp_(first, steps, 1 - self.beta1)
        torch._foreach_mul_(second, self.beta2)
        torch._foreach_addcmul_(second, steps, steps, 1 - self.beta2)
        spread = torch._foreach_sqrt(second)
        torch._foreach_add_(spread, self.epsilon)
        torch._foreach_addcdiv_(weights, first, spread, -rate)


@dataclass(frozen=True)
class Momentum:
    """a = momentum · a + g; w = w - lr · a; state: `momentum.<name>`."""

    momentum: float = 0.9

    def start(self, parameters: Tensors) -> State:
        return _zeros("momentum", parameters)

    def update(self, parameters: Tensors, gradients: Tensors, state: State, learning_rate: float) -> None:
        weights, steps = _aligned(parameters, gradients)
        speed = _slots("momentum", parameters, state)
        torch._foreach_mul_(speed, self.momentum)
        torch._foreach_add_(speed, steps)
        torch._foreach_add_(weights, speed, alpha=-learning_rate)


@dataclass(frozen=True)
class RMSProp:
    """s = decay · s + (1 - decay) · g²; a = momentum · a + lr · g / sqrt(s + epsilon); w = w - a.

    State: `mean_square.<name>`, which starts at one as TensorFlow's does, and `momentum.<name>`.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    decay: float = 0.9

    def start(self, parameters: Tensors) -> State:
        ones = {f"mean_square.{name}": torch.ones_like(tensor.detach()) for name, tensor in parameters.items()}
        return ones | _zeros("momentum", parameters)

    def update(self, parameters: Tensors, gradients: Tensors, state: State, learning_rate: float) -> None:
        weights, steps = _aligned(parameters, gradients)
        square, speed = _slots("mean_square", parameters, state), _slots("momentum", parameters, state)
        torch._foreach_mul_(square, self.decay)
        torch._foreach_addcmul_(square, steps, steps, 1 - self.decay)
        spread = torch._foreach_add(square, self.epsilon)
        torch._foreach_sqrt_(spread)
        torch._foreach_mul_(speed, self.momentum)
        torch._foreach_addcdiv_(speed, steps, spread, learning_rate)
        torch._foreach_sub_(weights, speed)


def create(name: str, *, momentum: float = 0.9, epsilon: float = 1e-4) -> Optimizer:
    """The optimizer of a name: adam, sgd or rmsprop (the reference gives rmsprop an epsilon of 1e-5)."""
    if name == "adam":
        return Adam(epsilon=epsilon)
    if name == "sgd":
        return Momentum(momentum=momentum)
    if name == "rmsprop":
        return RMSProp(momentum=momentum, epsilon=epsilon)
    raise ValueError(f"optimizer {name!r} is not one of adam, sgd, rmsprop")


def _zeros(slot: str, parameters: Tensors) -> State:
    return {f"{slot}.{name}": torch.zeros_like(tensor.detach()) for name, tensor in parameters.items()}


def _slots(slot: str, parameters: Tensors, state: State) -> list[torch.Tensor]:
    return [state[f"{slot}.{name}"] for name in parameters]


def _aligned(parameters: Tensors, gradients: Tensors) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    return [tensor.detach() for tensor in parameters.values()], [gradients[name] for name in parameters]
