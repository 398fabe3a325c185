from app.store import ModelCard

ELEMENTS = ("H", "C", "N", "O")


def random_card(cutoff: float, dtype: str = "float64") -> ModelCard:
    """The card of a model with random weights for H, C, N and O."""
    return ModelCard(
        name="random",
        version=1,
        description="",
        architecture="allegro",
        backend="onnx",
        elements=ELEMENTS,
        atomic_energies={symbol: -10.0 * (i + 1) for i, symbol in enumerate(ELEMENTS)},
        cutoff=cutoff,
        receptive_field=cutoff,
        dtype=dtype,
    )
