"""The model cards of the albedo model's three files."""

import dataclasses
from collections.abc import Mapping

from ...files.model_card import ModelCard
from ...models.skin.albedo_detail import (
    AlbedoDetail,
)
from ...models.skin.albedo_model import AlbedoModel
from ...models.skin.skin_sliders import SLIDERS


def coarse_card(model: AlbedoModel, facts: Mapping[str, str]) -> ModelCard:
    """Returns the card of the linear part; `facts` as `TrainingRun.facts`, with "maps" and "source"."""
    return ModelCard(
        "Coarse skin colour",
        "Mean and principal components of each channel of skin colour (UVAPM, Dai et al. 2025, section "
        "3.3).\nInput: coefficients in deviations of people. Output: sRGB without light, row 0 is v = 0.",
        source=f"{facts['source']}. {facts['maps']}",
        command=facts["command"],
        device=f"{facts['device']}; {facts['training_minutes']} minutes with the detail model",
        evaluation="`python -m ml_backend evaluate albedo` prints the table.",
        notes=(
            f"{model.coefficient_count} coefficients at {model.resolution} texels, components stored as "
            "int8.",
        ),
    )


def detail_card(network: AlbedoDetail, facts: Mapping[str, str]) -> ModelCard:
    """Returns the card of the detail model; `facts` as `coarse_card` takes them."""
    return ModelCard(
        "Detail of skin colour",
        "A variational autoencoder of what the coarse map lacks (UVAPM, Dai et al. 2025, section 3.4): its "
        "decoder\nadds to the value (HSV); a second one adds chroma and can be left out. Output: sRGB "
        "differences.",
        source=f"{facts['source']}. {facts['maps']}",
        command=facts["command"],
        device=f"{facts['device']}; {facts['training_minutes']} minutes with what had to be simulated",
        evaluation="`python -m ml_backend evaluate albedo` prints the table.",
        stages=facts["stages"],
        steps=facts.get("steps", ""),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        config=dataclasses.asdict(network.config),
        notes=("The mean and the fixed fields are stored as uint8 beside them.",),
    )


def sliders_card(facts: Mapping[str, str]) -> ModelCard:
    """Returns the card of the sliders; `facts` as `coarse_card` takes them."""
    return ModelCard(
        "Sliders of skin colour",
        "The mean person of each tone and directions of the coefficients of `albedo.safetensors` by trait.\n"
        f"Traits: {', '.join(SLIDERS)}, in the units of `PigmentTraits`; tone in degrees.",
        source=f"{facts['source']}. {facts['maps']}",
        command=facts["command"],
        device=f"{facts['device']}; {facts['training_minutes']} minutes with the albedo model",
        evaluation="`python -m ml_backend evaluate albedo` prints how well tone keeps the detail.",
    )
