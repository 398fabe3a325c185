"""A server of the Model Context Protocol: a language model asks a service by a few tools.

Answers are short, with warnings first and units in the names of fields. Atoms do not go through a
conversation: structures are named by SMILES, path or id, and results are kept under an id.
"""

from app.integrations.mcp.asking import PATIENCE, Connect
from app.integrations.mcp.server import build
from app.integrations.mcp.within import Within

__all__ = ["PATIENCE", "Connect", "Within", "build"]
