"""`equipot serve`: the HTTP service."""

import argparse
import gc
import signal
import sys

from app.cli.options import OPTIONS, add_settings, settings_from
from app.telemetry.logs import configure_logging


def configure(parser: argparse.ArgumentParser) -> None:
    """Options for the settings that change most; all others come from the environment."""
    add_settings(parser, *OPTIONS)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    from app.api.server import GC_THRESHOLDS, SWITCH_INTERVAL, Server

    settings = settings_from(options)
    configure_logging(settings.log_level, settings.log_format)
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.set_threshold(*GC_THRESHOLDS)
    # There is nothing to reload before the start, and the signal would end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    Server(settings).run()
    return 0
