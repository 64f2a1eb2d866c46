"""Names of ibab/tensorflow-wavenet: between its variables (506 in the 2019 study) and our stacked parameters.

The reference's bias variables have no names of their own: in a layer `Variable`, `Variable_1`, `_2`, `_3` are
the biases of filter, gate, dense and skip; in `postprocessing`, `Variable` and `Variable_1`.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

Array = npt.NDArray[np.float32]


def to_reference(state: Mapping[str, torch.Tensor]) -> dict[str, Array]:
    """The reference's variables of a `WaveNet.state_dict()`: name without `:0` → array of its shape there."""
    ours = {name: tensor.detach().cpu().to(torch.float32).numpy() for name, tensor in state.items()}
    dilation = ours["dense.weight"].shape[1]
    theirs = {"wavenet/causal_layer/filter": ours["causal.weight"]}
    if "embedding.weight" in ours:
        theirs["wavenet/embeddings/gc_embedding"] = ours["embedding.weight"]
    for layer in range(len(ours["dense.weight"])):
        scope = f"wavenet/dilated_stack/layer{layer}"
        theirs[f"{scope}/filter"] = ours["dilated.weight"][layer][..., :dilation]
        theirs[f"{scope}/gate"] = ours["dilated.weight"][layer][..., dilation:]
        theirs[f"{scope}/dense"] = ours["dense.weight"][layer][None]
        theirs[f"{scope}/skip"] = ours["skip.weight"][layer][None]
        if "condition.weight" in ours:
            theirs[f"{scope}/gc_filter"] = ours["condition.weight"][layer][None, :, :dilation]
            theirs[f"{scope}/gc_gate"] = ours["condition.weight"][layer][None, :, dilation:]
        if "dilated.bias" in ours:
            theirs[f"{scope}/Variable"] = ours["dilated.bias"][layer][:dilation]
            theirs[f"{scope}/Variable_1"] = ours["dilated.bias"][layer][dilation:]
            theirs[f"{scope}/Variable_2"] = ours["dense.bias"][layer]
            theirs[f"{scope}/Variable_3"] = ours["skip.bias"][layer]
    for number, suffix in ((1, ""), (2, "_1")):
        theirs[f"wavenet/postprocessing/postprocess{number}"] = ours[f"postprocess{number}.weight"][None]
        if "dilated.bias" in ours:
            theirs[f"wavenet/postprocessing/Variable{suffix}"] = ours[f"postprocess{number}.bias"]
    return {name: np.ascontiguousarray(array) for name, array in theirs.items()}


def from_reference(variables: Mapping[str, npt.NDArray[np.floating]]) -> dict[str, torch.Tensor]:
    """A `WaveNet.state_dict()` of the reference's variables (names with or without `:0`; others are ignored).

    Raises `KeyError` with the first name that is missing.
    """
    theirs = {name.removesuffix(":0"): np.asarray(array, np.float32) for name, array in variables.items()}
    stack = "wavenet/dilated_stack/layer"
    layers = len({name.split("/")[2] for name in theirs if name.startswith(stack)})

    def stacked(*parts: str) -> Array:
        rows = [np.concatenate([theirs[f"{stack}{layer}/{part}"] for part in parts], -1) for layer in range(layers)]
        return np.stack(rows).astype(np.float32)

    ours = {
        "causal.weight": theirs["wavenet/causal_layer/filter"],
        "dilated.weight": stacked("filter", "gate"),
        "dense.weight": stacked("dense")[:, 0],
        "skip.weight": stacked("skip")[:, 0],
    }
    biased = f"{stack}0/Variable" in theirs
    if biased:
        ours["dilated.bias"] = stacked("Variable", "Variable_1")
        ours["dense.bias"] = stacked("Variable_2")
        ours["skip.bias"] = stacked("Variable_3")
    if "wavenet/embeddings/gc_embedding" in theirs:
        ours["embedding.weight"] = theirs["wavenet/embeddings/gc_embedding"]
        ours["condition.weight"] = stacked("gc_filter", "gc_gate")[:, 0]
    for number, suffix in ((1, ""), (2, "_1")):
        ours[f"postprocess{number}.weight"] = theirs[f"wavenet/postprocessing/postprocess{number}"][0]
        if biased:
            ours[f"postprocess{number}.bias"] = theirs[f"wavenet/postprocessing/Variable{suffix}"]
    return {name: torch.from_numpy(np.array(array)) for name, array in ours.items()}
