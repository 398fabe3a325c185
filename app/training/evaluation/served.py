"""What a running service says about labelled frames, as its clients get it."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from app.errors import BackendError, InvalidData
from app.protocol.document import structure_fields
from app.training.data.frames import LabelledFrame
from app.training.evaluation.errors import Values

TIMEOUT = 600.0
"""Seconds that a request may take."""
NO_STRESS = np.full((3, 3), np.nan).tolist()


def service_predictor(
    url: str, model: str, batch_size: int
) -> Callable[[Sequence[LabelledFrame]], Values]:
    """Predictions of a model by a service.

    Args:
        url: where the service listens: `http://localhost:8000`.
        model: `name` or `name@version`.
        batch_size: structures a request.
    """

    def predict(frames: Sequence[LabelledFrame]) -> Values:
        starts = range(0, len(frames), batch_size)
        parts = [_ask(url, model, frames[start : start + batch_size]) for start in starts]
        return _values([result for results in parts for result in results])

    return predict


def _authorization() -> dict[str, str]:
    """The header with the key, where there is one."""
    key = os.environ.get("EQUIPOT_API_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _ask(url: str, model: str, frames: Sequence[LabelledFrame]) -> list[dict[str, Any]]:
    """The results of some frames.

    Raises:
        BackendError: the service cannot be reached, or refuses the request.
        InvalidData: it cannot answer for a frame, which is named.
    """
    document = {"model": model, "structures": [structure_fields(f.structure) for f in frames]}
    request = urllib.request.Request(
        f"{url.rstrip('/')}/predict",
        json.dumps(document).encode(),
        {"Content-Type": "application/json", **_authorization()},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            results: list[dict[str, Any]] = json.load(answer)["results"]
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        raise BackendError(f"{url} answered {error.code}: {text[:500]}") from error
    except (OSError, ValueError) as error:
        raise BackendError(f"{url} did not answer as a service does: {error}") from error
    for frame, result in zip(frames, results, strict=True):
        if result["status"] != "ok":
            raise InvalidData(f"{frame.origin}: {result['error']['message']}")
    return results


def _values(results: Sequence[Mapping[str, Any]]) -> Values:
    states_std = all("energy_std" in result for result in results)  # with new charges there is none
    return Values(
        np.array([result["energy"] for result in results]),
        np.concatenate([np.array(result["forces"]).reshape(-1, 3) for result in results]),
        np.array([result.get("stress") or NO_STRESS for result in results]),
        np.array([result["energy_std"] for result in results]) if states_std else None,
        np.concatenate([result["forces_std"] for result in results]) if states_std else None,
    )
