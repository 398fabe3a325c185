"""Small Equiformers for tests, of each variant."""

SMALL = {
    "cutoff": 4.0,
    "channels": (8, 6, 4),
    "num_blocks": 2,
    "num_heads": 2,
    "head_channels": (4, 3, 2),
    "feed_forward_channels": (12, 6, 5),
    "readout_channels": 10,
    "num_basis": 8,
    "radial_hidden": (8,),
}
NONLINEAR_MLP = {"attention": "mlp", "nonlinear_messages": True}
LINEAR_MLP = {"attention": "mlp", "nonlinear_messages": False}
DOT_PRODUCT = {"attention": "dot_product", "nonlinear_messages": False}
