"""The tasks of the service as methods of the clients, with the options that each takes."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Unpack

from equipot.options import (
    ConformersCall,
    ElasticCall,
    EnergiesOfCall,
    EosCall,
    MdCall,
    NebCall,
    PhononsCall,
    ScanCall,
    ThermoCall,
)
from equipot.results import Results
from equipot.stages import Progress
from equipot.structures import AnyStructure


class TaskMethods(ABC):
    """Those of `Client`."""

    @abstractmethod
    def task(
        self,
        name: str,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Any,
    ) -> Results:
        """See `Client.task`."""

    def thermo(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Unpack[ThermoCall],
    ) -> Results:
        """Frequencies, zero-point energy, U, H, S and G of the minimum near each structure.

        Raises:
            EquipotError: as `predict`.
        """
        return self.task("thermo", structures, progress=progress, **options)

    def conformers(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Unpack[ConformersCall],
    ) -> Results:
        """Conformers of each molecule, told apart and ranked; `atoms` are those of the lowest one.

        Raises:
            EquipotError: as `predict`.
        """
        return self.task("conformers", structures, progress=progress, **options)

    def scan(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Unpack[ScanCall],
    ) -> Results:
        """The energy of each molecule along a distance, an angle or a dihedral angle.

        Raises:
            EquipotError: as `predict`.
        """
        return self.task("scan", structures, progress=progress, **options)

    def energies_of(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Unpack[EnergiesOfCall],
    ) -> Results:
        """A named difference of energies of each structure: `difference` says which.

        Raises:
            EquipotError: as `predict`.
        """
        return self.task("energies-of", structures, progress=progress, **options)

    def eos(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Unpack[EosCall],
    ) -> Results:
        """The equation of state of each crystal.

        Raises:
            EquipotError: as `predict`.
        """
        return self.task("eos", structures, progress=progress, **options)

    def elastic(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Unpack[ElasticCall],
    ) -> Results:
        """The elastic tensor of each crystal, and moduli.

        Raises:
            EquipotError: as `predict`.
        """
        return self.task("elastic", structures, progress=progress, **options)

    def phonons(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Unpack[PhononsCall],
    ) -> Results:
        """Bands, density of states and thermal properties of each crystal.

        Raises:
            EquipotError: as `predict`.
        """
        return self.task("phonons", structures, progress=progress, **options)

    def md(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Unpack[MdCall],
    ) -> Results:
        """Molecular dynamics of each structure; frames and the last states are in `value`.

        Raises:
            EquipotError: as `predict`.
        """
        return self.task("md", structures, progress=progress, **options)

    def neb(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Unpack[NebCall],
    ) -> Results:
        """The way of least energy from each structure to each of `ends`, with its barrier.

        Raises:
            EquipotError: as `predict`.
        """
        return self.task("neb", structures, progress=progress, **options)


class AsyncTaskMethods(ABC):
    """Those of `AsyncClient`."""

    @abstractmethod
    async def task(
        self,
        name: str,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Any,
    ) -> Results:
        """See `Client.task`."""

    async def thermo(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Unpack[ThermoCall],
    ) -> Results:
        """See `Client.thermo`."""
        return await self.task("thermo", structures, progress=progress, **options)

    async def conformers(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Unpack[ConformersCall],
    ) -> Results:
        """See `Client.conformers`."""
        return await self.task("conformers", structures, progress=progress, **options)

    async def scan(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Unpack[ScanCall],
    ) -> Results:
        """See `Client.scan`."""
        return await self.task("scan", structures, progress=progress, **options)

    async def energies_of(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Unpack[EnergiesOfCall],
    ) -> Results:
        """See `Client.energies_of`."""
        return await self.task("energies-of", structures, progress=progress, **options)

    async def eos(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Unpack[EosCall],
    ) -> Results:
        """See `Client.eos`."""
        return await self.task("eos", structures, progress=progress, **options)

    async def elastic(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Unpack[ElasticCall],
    ) -> Results:
        """See `Client.elastic`."""
        return await self.task("elastic", structures, progress=progress, **options)

    async def phonons(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Unpack[PhononsCall],
    ) -> Results:
        """See `Client.phonons`."""
        return await self.task("phonons", structures, progress=progress, **options)

    async def md(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Unpack[MdCall],
    ) -> Results:
        """See `Client.md`."""
        return await self.task("md", structures, progress=progress, **options)

    async def neb(
        self,
        structures: AnyStructure | Iterable[AnyStructure],
        *,
        progress: Progress = False,
        **options: Unpack[NebCall],
    ) -> Results:
        """See `Client.neb`."""
        return await self.task("neb", structures, progress=progress, **options)
