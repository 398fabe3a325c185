"""build: the tools as a server."""

from collections.abc import Callable
from io import StringIO
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import ToolAnnotations

from app import __version__
from app.errors import InvalidRequest
from app.integrations.mcp.asking import Asking, Connect
from app.integrations.mcp.computing import Computing
from app.integrations.mcp.looking import Looking, write_xyz
from app.integrations.mcp.tasks import task_tools
from app.protocol.faults import fault
from app.protocol.validation import validate

INSTRUCTIONS = (
    "Energies, forces, relaxed structures, conformers and thermochemistry of molecules and crystals by machine-learned "
    "interatomic potentials. Units are in the names of fields. Tell the user of warnings: they come "
    "first, and say where an answer is doubtful. Check before long runs; answers are kept under "
    "answer_id for other tools, and `results` writes them to files. A model knows some elements only "
    "(list_models)."
)
READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
COMPUTES = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
SUBMITS = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
ENDS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True)
WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)


def build(connect: Connect, files: bool) -> MCPServer[Any]:
    """The server.

    Args:
        connect: makes a client of the service for one call, with headers of its caller.
        files: whether the caller's files are those of this machine, and may be read and written.
    """
    asking = Asking(connect, files)
    computing, looking = Computing(asking), Looking(asking)
    tools: tuple[tuple[Callable[..., Any], ToolAnnotations], ...] = (
        (looking.list_models, READS),
        (computing.check, COMPUTES),
        (computing.predict, COMPUTES),
        (computing.relax, COMPUTES),
        *((task, COMPUTES) for task in task_tools(asking)),
        (looking.submit_job, SUBMITS),
        (looking.job_status, READS),
        (looking.cancel_job, ENDS),
        (looking.results, WRITES if files else READS),
    )
    server: MCPServer[Any] = MCPServer(
        "equipot",
        version=__version__,
        instructions=INSTRUCTIONS,
        tools=[_tool(*each) for each in tools],
        log_level="WARNING",
        subscriptions=False,
    )

    @server.resource(
        "equipot://answers/{name}",
        mime_type="chemical/x-xyz",
        description="all structures of an answer that have one, with energies, forces, model and "
        "warnings, as extended XYZ",
    )
    def answer(name: str) -> str:
        text = StringIO()
        write_xyz(text, asking.kept.get(name))
        return text.getvalue()

    return server


class _Explaining(Tool):
    """A tool that tells of bad arguments what every door of the service does."""

    async def run(
        self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False
    ) -> Any:
        """See `Tool`; raises `ToolError` with the code, the argument, the value and the remedy."""
        try:
            validate(self.fn_metadata.arg_model, self.fn_metadata.pre_parse_json(arguments))
        except InvalidRequest as error:
            told = fault(error)
            raise ToolError(f"{told.code}: {told.message}") from error
        return await super().run(arguments, context, convert_result)


def _tool(function: Callable[..., Any], hints: ToolAnnotations) -> Tool:
    """A tool that refuses arguments which it does not know, as every door of the service does."""
    tool = _Explaining.from_function(function, description=_said(function), annotations=hints)
    arguments = tool.fn_metadata.arg_model
    arguments.model_config["extra"] = "forbid"
    arguments.model_rebuild(force=True)
    tool.parameters = arguments.model_json_schema(by_alias=True)
    return tool


def _said(tool: Callable[..., Any]) -> str:
    """What a tool is for, in one paragraph."""
    return " ".join((tool.__doc__ or "").split())
