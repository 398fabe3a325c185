"""Models of the benchmark's sizes with random weights: made once, exported, and read again with
`--artifacts`.
"""

import argparse
from pathlib import Path
from typing import Any

from benchmarks.sizes import SIZES

WEIGHTS, CARD = "weights.pt", "card.json"


def ensure(options: argparse.Namespace, folder: Path) -> Path:
    """The folder of our Allegro of these sizes, exported if it is not there yet."""
    from app.store.card import ARTIFACT, ENERGIES

    sizes = "-".join(f"{getattr(options, name):g}" for name in SIZES)
    place = folder / f"allegro-{sizes}"
    if (place / CARD).is_file():
        return place
    import torch

    from app.training.export.onnx import cut_energies, export_onnx
    from benchmarks.own import allegro_config, card_of

    place.mkdir(parents=True, exist_ok=True)
    model = build(options)
    export_onnx(model, place / ARTIFACT)
    cut_energies(place / ARTIFACT, place / ENERGIES)
    torch.save(model.state_dict(), place / WEIGHTS)
    card = card_of(allegro_config(options), sum(p.numel() for p in model.parameters()))
    (place / CARD).write_text(card.model_dump_json())
    return place


def read_card(place: Path) -> Any:
    """Its card."""
    from app.store.card import ModelCard

    return ModelCard.model_validate_json((place / CARD).read_text())


def read_model(options: argparse.Namespace, place: Path, device: str) -> Any:
    """The eager model on a device."""
    import torch

    model = build(options)
    model.load_state_dict(torch.load(place / WEIGHTS, weights_only=True))
    return model.to(device).requires_grad_(False)


def build(options: argparse.Namespace) -> Any:
    """The eager model, new."""
    from app.training.models import build_model
    from benchmarks.own import allegro_config, statistics

    return build_model(allegro_config(options), statistics(options)).eval()
