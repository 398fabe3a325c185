"""A service as a program of QCEngine."""

from importlib.metadata import version
from typing import Any, ClassVar

from qcelemental.models.v2 import AtomicInput, AtomicResult, FailedOperation
from qcengine.config import TaskConfig
from qcengine.exceptions import InputError as QCInputError
from qcengine.programs import register_program
from qcengine.programs.model import ProgramHarness

from equipot.client import Client
from equipot.config import DEFAULT_URL
from equipot.errors import InputError, UnknownModel
from equipot.request import Call, Request, service_error

PROGRAM = "equipot"


def register(url: str = DEFAULT_URL, name: str = PROGRAM) -> "EquipotHarness":
    """Make a service a program: `register()`, then `qcengine.compute(input, "equipot")`.

    Args:
        url: of the service.
        name: of the program; one for each service.

    Raises:
        ValueError: the URL is none of HTTP, or there is a program of this name.
    """
    Client(url).close()
    harness = EquipotHarness(name=name, url=url)
    register_program(harness)
    return harness


class EquipotHarness(ProgramHarness):  # type: ignore[misc]
    """Energies and gradients of a service; `model.method` is `name` or `name@version`.

    Attributes:
        url: of the service.
    """

    url: str = DEFAULT_URL
    _defaults: ClassVar[dict[str, Any]] = {
        "name": PROGRAM,
        "scratch": False,
        "thread_safe": True,
        "thread_parallel": False,
        "node_parallel": False,
        "managed_memory": False,
    }

    @staticmethod
    def found(raise_error: bool = False) -> bool:
        """Whether the client is installed: whoever asks has it."""
        return True

    def get_version(self) -> str:
        """Of the client; results name the model and its version."""
        return version("equipot-client")

    def compute(
        self, input_data: AtomicInput, config: TaskConfig
    ) -> AtomicResult | FailedOperation:
        """One calculation.

        Raises:
            qcengine.exceptions.InputError: the service refuses the request as a whole.
            EquipotError: it cannot be reached, or is overloaded.
        """
        document = input_data.model_copy(
            update={
                "specification": input_data.specification.model_copy(update={"program": PROGRAM})
            }
        )
        with Client(self.url) as client:
            try:
                answer = client.run(_asked(document.serialize("json").encode()))
            except (InputError, UnknownModel) as error:
                raise QCInputError(str(error)) from None
        answer["input_data"] = input_data
        return (AtomicResult if answer["success"] else FailedOperation)(**answer)


def _asked(document: bytes) -> Call[dict[str, Any]]:
    """What the service answers to an AtomicInput."""
    headers = {"Content-Type": "application/json"}
    response = yield Request("POST", "/predict", headers=headers, content=document, failures=True)
    answer: dict[str, Any] = response.json()
    if "success" not in answer:
        raise service_error(response.status_code, response.content)
    return answer
