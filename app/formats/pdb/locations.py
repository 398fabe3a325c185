"""Alternate locations and occupancies: one whole structure of a PDB model, or why there is none."""

from collections import defaultdict
from collections.abc import Sequence

from app.atoms.warnings import AnswerWarning
from app.errors import InvalidStructure
from app.formats.pdb.site import Site

WHOLE = 0.98
"""From this occupancy on, a site counts as full: thirds are written as 0.33."""


def choose_locations(sites: Sequence[Site]) -> tuple[list[Site], tuple[AnswerWarning, ...]]:
    """The sites of one structure: of each residue with alternate locations, the likeliest, and the
    first by letter of those that are equally likely.

    Occupancies that are zero or blank throughout were never set, and count as full.

    Raises:
        InvalidStructure: a site that is not full, all its locations together; names it.
    """
    stated = any(site.occupancy for site in sites)
    residues: dict[tuple[str, ...], dict[str, list[Site]]] = defaultdict(lambda: defaultdict(list))
    for site in sites:
        if site.location != " ":
            residues[site.residue[1:]][site.location].append(site)
    taken = {residue: _likeliest(places) for residue, places in residues.items()}
    if stated:
        _check_whole(sites, residues)
    kept = [s for s in sites if s.location in (" ", taken.get(s.residue[1:]))]
    if len(kept) == len(sites):
        return kept, ()
    return kept, (_dropped(sites, kept),)


def _share(site: Site) -> float:
    return 1.0 if site.occupancy is None else site.occupancy


def _likeliest(places: dict[str, list[Site]]) -> str:
    """The letter of the location with the highest mean occupancy."""
    return min(places, key=lambda p: (-sum(map(_share, places[p])) / len(places[p]), p))


def _check_whole(
    sites: Sequence[Site], residues: dict[tuple[str, ...], dict[str, list[Site]]]
) -> None:
    totals = {
        residue: sum(max(map(_share, group)) for group in places.values())
        for residue, places in residues.items()
    }
    for site in sites:
        total = _share(site) if site.location == " " else totals[site.residue[1:]]
        if total < WHOLE:
            raise InvalidStructure(
                f"{site.label}: occupancy {total:g}; energies are those of whole atoms: make a "
                "structure without partial sites first"
            )


def _dropped(sites: Sequence[Site], kept: Sequence[Site]) -> AnswerWarning:
    one = next(site for site in kept if site.location != " ")
    return AnswerWarning(
        "alternate_location_dropped",
        f"{len(sites) - len(kept)} atoms of alternate locations dropped; kept is the likeliest of "
        f"each residue, first location {one.location} ({one.label})",
    )
