"""Where the checkout and its model store are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODEL_STORE = ROOT / "model_store"
