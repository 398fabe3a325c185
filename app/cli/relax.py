"""`equipot relax`: `equipot predict --relax`."""

import argparse

from app.cli import predict

FAILED = predict.FAILED


def configure(parser: argparse.ArgumentParser) -> None:
    """See `app.cli.predict`."""
    predict.configure(parser)


def run(options: argparse.Namespace) -> int:
    """Relax the structures of all files.

    Returns:
        As `predict`.
    """
    options.relax = True
    return predict.run(options)
