"""A small model in the place of a large one: sampled, labelled by the large one, trained, sampled
again.
"""
