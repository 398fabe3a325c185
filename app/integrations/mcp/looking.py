"""Tools that look things up, and look after jobs."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field
from typing_extensions import TypedDict

from app.integrations.mcp.asking import Asking
from app.integrations.mcp.given import Given, path_of
from app.integrations.mcp.kept import PREFIX, atoms_of
from app.integrations.mcp.options import (
    Cell,
    Force,
    JobId,
    ModelName,
    Odd,
    Steps,
    Strict,
    Structures,
    common,
    relaxation,
)
from app.integrations.mcp.rows import ROWS, Answer, answer_of, with_atoms
from app.tasks import TASKS
from equipot import AsyncClient, Job, Result, Results, calls

SHOWN_ATOMS = 200
"""The most whose positions go through a conversation."""
LONGEST_WAIT = 50.0


class ModelRow(TypedDict, total=False):
    """A model of the service."""

    model: str
    default: bool
    description: str
    elements: str
    takes_charge: bool
    refused: str
    summary: list[str]


class Models(TypedDict, total=False):
    """What the service may be asked with.

    Attributes:
        models: each version.
        aliases: names of one or several of them, and the percent of callers that each answers.
    """

    models: list[ModelRow]
    aliases: dict[str, dict[str, float]]


class JobRow(TypedDict, total=False):
    """How far a job is."""

    job_id: str
    state: str
    model: str
    n_structures: int
    done: int
    failed: int
    left: int
    expected_seconds: float
    left_seconds: float
    next: str


class Looking:
    """Tools that look things up.

    Args:
        asking: whom they ask.
    """

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def list_models(
        self,
        context: Context,
        model: Annotated[str | None, Field(description="say all about this one")] = None,
    ) -> Models:
        """The models of the service: elements, whether charges count, which is the default, and
        aliases of them. With `model`, what that one is for, its errors and its limits, in sentences.
        """
        async with self._asking.client(context) as client:
            if model is not None:
                known = await client.model(model)
                card = known["card"]
                row = ModelRow(model=f"{card['name']}@{card['version']}")
                return Models(models=[row | ModelRow(summary=list(known["summary"]))])
            listed = await client.run(calls.listing())
            models = Models(models=[_model(each) for each in listed["models"]])
            return models | Models(aliases=listed["aliases"]) if listed["aliases"] else models

    async def submit_job(
        self,
        structures: Structures,
        context: Context,
        task: Annotated[
            str, Field(description=f"predict, relax, or a task: {', '.join(TASKS)}")
        ] = "relax",
        options: Annotated[
            dict[str, Any] | None, Field(description="of a task, as those of the tool of its name")
        ] = None,
        model: ModelName = None,
        fmax_eV_per_A: Force = 0.05,
        max_steps: Steps = 1000,
        cell: Cell = "fixed",
        refuse_out_of_domain: Strict = False,
        allow_odd_electrons: Odd = False,
        key: Annotated[
            str | None, Field(description="the same key and structures are the same job")
        ] = None,
    ) -> JobRow:
        """Have many structures answered in the service's own time; returns at once. One path to
        an (ext)XYZ file may hold any number of structures. Follow it with job_status. fmax, steps and
        cell are of relax; a task has its own in options.
        """
        asked = common(model, refuse_out_of_domain, allow_odd_electrons)
        if task == "relax":
            asked["relax"] = relaxation(fmax_eV_per_A, max_steps, cell)
        elif task != "predict":
            asked |= {"task": task, **(options or {})}
        elif options:
            raise ToolError("options: are of a task, and predict is asked for")
        given = {name: value for name, value in asked.items() if value is not None}
        async with self._asking.client(context) as client:
            job = await client.jobs.submit(self._submitted(structures), key=key, **given)
        return _job(job)

    async def job_status(
        self,
        job_id: JobId,
        context: Context,
        wait_seconds: Annotated[
            float, Field(ge=0, le=LONGEST_WAIT, description="wait so long for its end")
        ] = 0.0,
    ) -> JobRow:
        """How far a job is, after waiting for its end for some seconds."""
        async with self._asking.client(context) as client:
            return _job(await _waited(client, job_id, wait_seconds))

    async def cancel_job(self, job_id: JobId, context: Context) -> JobRow:
        """End a job; what it has of results stays."""
        async with self._asking.client(context) as client:
            return _job(await client.jobs.cancel(job_id))

    async def results(
        self,
        id: Annotated[str, Field(description="answer_id, or job_id of a job that has ended")],
        context: Context,
        offset: Annotated[int, Field(ge=0)] = 0,
        limit: Annotated[int, Field(ge=0, le=100)] = ROWS,
        atoms: Annotated[
            bool, Field(description=f"with positions and forces, of {SHOWN_ATOMS} atoms at most")
        ] = False,
        output_file: Annotated[
            str | None,
            Field(
                description="absolute path of a new file on the user's machine, which gets all "
                "structures and forces as extended XYZ; over stdio only"
            ),
        ] = None,
    ) -> Answer:
        """Rows of an earlier answer or of a job, or all of it in a file."""
        async with self._asking.client(context) as client:
            if output_file is not None:
                return await self._written(client, id, output_file)
            if id.startswith(PREFIX):
                results = self._asking.kept.get(id)
                answer = answer_of(results, offset, limit)
                shown = list(results)[offset : offset + limit]
            else:
                if atoms:
                    raise ToolError("atoms: those of a job go into an output_file only")
                shown = await _of_job(client, id, offset, limit)
                answer = answer_of(Results(shown))
                for number, row in enumerate(answer["rows"], offset):
                    row["index"] = number
        if atoms:
            _check_shown(sum(map(atoms_of, shown)))
            pairs = zip(answer["rows"], shown, strict=True)
            answer["rows"] = [with_atoms(row, result) for row, result in pairs]
        return answer

    def _submitted(self, structures: list[Given]) -> Any:
        """One file as it is, however large; else items."""
        if len(structures) == 1 and structures[0].path is not None:
            return path_of(structures[0], self._asking.files)
        items = self._asking.items(structures)
        if (
            error := next((item.error for item in items if item.error is not None), None)
        ) is not None:
            raise error
        return [dict(item.fields) for item in items]

    async def _written(self, client: AsyncClient, name: str, output_file: str) -> Answer:
        """Results in a file."""
        if not self._asking.files:
            raise ToolError(
                "output_file: files are written over stdio only; of answers read the resource "
                f"equipot://answers/{name}, of jobs GET /jobs/{{id}}/results?format=xyz"
            )
        path = Path(output_file).expanduser()
        if path.exists() or not path.parent.is_dir():
            raise ToolError(f"output_file: {path}: give a new file in a folder that is there")
        if name.startswith(PREFIX):
            results = self._asking.kept.get(name)
            await asyncio.to_thread(write_xyz, path, results)
            return Answer(failed=len(results.failed), output_file=str(path))
        with path.open("xb") as file:
            async for part in client.jobs.download(name):
                file.write(part)
        return Answer(output_file=str(path))


def write_xyz(file: Any, results: Results) -> None:
    """Structures that have answers, with these, as extended XYZ."""
    from ase.io import write  # takes longer to import than all else here

    write(file, [_told_atoms(result) for result in results.ok], format="extxyz")


def _told_atoms(result: Result) -> Any:
    """The atoms of a result, with what it says of itself under the service's own keys."""
    atoms = result.atoms
    if result.model is not None:
        atoms.info["model"] = result.model.reference
    if result.relaxation is not None:
        atoms.info["converged"] = result.relaxation.converged
    if result.warnings:
        atoms.info["warnings"] = "; ".join(
            f"{each.code}: {each.message}" for each in result.warnings
        )
    return atoms


def _model(known: Mapping[str, Any]) -> ModelRow:
    name = known["name"] if known["version"] is None else f"{known['name']}@{known['version']}"
    if known["status"] != "ready":
        return ModelRow(model=name, refused=known["reason"])
    row = ModelRow(
        model=name,
        description=known["description"],
        elements=" ".join(known["elements"]),
        takes_charge=known["takes_charge"],
    )
    return row | ModelRow(default=True) if known.get("default") else row


def _job(job: Job) -> JobRow:
    row = JobRow(
        job_id=job.id,
        state=job.state,
        model=", ".join(model.reference for model in job.models),
        n_structures=job.structures,
        done=job.done,
        failed=job.failed,
        left=job.left,
    )
    if job.estimate_seconds is not None:
        row["expected_seconds"] = round(job.estimate_seconds, 1)
    if job.eta_seconds is not None and not job.is_over:
        row["left_seconds"] = round(job.eta_seconds, 1)
    return row | JobRow(next="results(job_id)" if job.is_over else "job_status(wait_seconds=50)")


async def _waited(client: AsyncClient, job_id: str, seconds: float) -> Job:
    job = await client.jobs.get(job_id)
    until = asyncio.get_running_loop().time() + seconds
    pause = 0.1
    while not job.is_over and (left := until - asyncio.get_running_loop().time()) > 0:
        await asyncio.sleep(min(pause, left))
        job, pause = await client.jobs.get(job_id), min(2 * pause, 2.0)
    return job


async def _of_job(client: AsyncClient, job_id: str, offset: int, limit: int) -> list[Any]:
    job = await client.jobs.get(job_id)
    if not job.is_over:
        raise ToolError(
            f"the job is {job.state}, {job.left} of {job.structures} are left; wait with job_status, "
            "or cancel_job"
        )
    shown: list[Any] = []
    if limit and offset < job.structures:
        async for result in client.jobs.results(job_id, offset=offset):
            shown.append(result)
            if len(shown) == limit:
                break
    return shown


def _check_shown(atoms: int) -> None:
    if atoms > SHOWN_ATOMS:
        raise ToolError(
            f"atoms: {atoms}, too many for a conversation ({SHOWN_ATOMS}); lower limit, or give an "
            "output_file"
        )
