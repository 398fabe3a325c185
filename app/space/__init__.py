"""Space: one structure over many workers, in memory or from files that no memory holds.

A structure is divided into regions (`app.atoms.regions`), each of which is evaluated by itself
wherever there is a worker, and they add up to the whole (`app.atoms.decomposition`).
"""
