"""A config of `nequip-train`: the hyperparameters of one of ours, trained by the recipe of
nequip-allegro's tutorial.

From `configs/tutorial.yaml` of nequip-allegro: mean squared errors of energies per atom and of
forces, both of weight 1; Adam at a rate of 0.001; the EMA module, at its decay of 0.999; what is
monitored; shifts, scale and number of neighbours from the training data. From the tutorial of
NequIP: the plateau schedule. The ZBL potential of both, which is optional, is left out, for ours
has none either. It runs on the CPU, eager or compiled.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.training.models import AllegroConfig
from app.training.runs.config import TrainConfig

MONITORED = "val0_epoch/weighted_sum"


def peer_config(
    config: TrainConfig, elements: Sequence[str], folder: Path, minutes: Sequence[float], mode: str
) -> dict[str, Any]:
    """The config, for data in `folder`, where it writes, too.

    Args:
        config: ours; of Allegro.
        elements: of the data.
        folder: with `train.xyz` and `validation.xyz`.
        minutes: after which it keeps what it has reached; it ends after the last.
        mode: `eager` or `compile`.
    """
    return {
        "run": ["train"],
        "data": data(config, elements, folder),
        "trainer": trainer(folder, minutes),
        "training_module": {
            "_target_": "nequip.train.EMALightningModule",
            "ema_decay": 0.999,
            "loss": {
                "_target_": "nequip.train.EnergyForceLoss",
                "per_atom_energy": True,
                "coeffs": {"total_energy": 1.0, "forces": 1.0},
            },
            "val_metrics": {
                "_target_": "nequip.train.EnergyForceMetrics",
                "coeffs": {"per_atom_energy_mae": 1.0, "forces_mae": 1.0},
            },
            "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.001},
            "lr_scheduler": {
                "scheduler": {
                    "_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau",
                    "factor": 0.6,
                    "patience": 5,
                    "threshold": 0.2,
                    "min_lr": 1e-6,
                },
                "monitor": MONITORED,
                "interval": "epoch",
                "frequency": 1,
            },
            "model": model(config, elements, mode),
        },
        "global_options": {"allow_tf32": False},
    }


def data(config: TrainConfig, elements: Sequence[str], folder: Path) -> dict[str, Any]:
    """The section of the data."""
    symbols = list(elements)
    return {
        "_target_": "nequip.data.datamodule.ASEDataModule",
        "seed": config.seed,
        "train_file_path": str(folder / "train.xyz"),
        "val_file_path": str(folder / "validation.xyz"),
        "transforms": [
            {
                "_target_": "nequip.data.transforms.ChemicalSpeciesToAtomTypeMapper",
                "model_type_names": symbols,
                "chemical_species_to_atom_type_map": {symbol: symbol for symbol in symbols},
            },
            {
                "_target_": "nequip.data.transforms.NeighborListTransform",
                "r_max": config.model.cutoff,
            },
        ],
        "train_dataloader": {
            "_target_": "torch.utils.data.DataLoader",
            "batch_size": config.batch_size,
            "shuffle": True,
        },
        "val_dataloader": {"_target_": "torch.utils.data.DataLoader", "batch_size": 10},
        "stats_manager": {
            "_target_": "nequip.data.CommonDataStatisticsManager",
            "type_names": symbols,
            "dataloader_kwargs": {"batch_size": 10},
        },
    }


def trainer(folder: Path, minutes: Sequence[float]) -> dict[str, Any]:
    """The section of the trainer."""
    return {
        "_target_": "lightning.Trainer",
        "accelerator": "cpu",
        "max_epochs": 1_000_000,
        "check_val_every_n_epoch": 1,
        "enable_progress_bar": False,
        "logger": False,
        "callbacks": [
            {
                "_target_": "lightning.pytorch.callbacks.ModelCheckpoint",
                "monitor": MONITORED,
                "dirpath": str(folder),
                "filename": "best",
            },
            {
                "_target_": "benchmarks.peers.nequip_allegro_snapshots.Snapshots",
                "folder": str(folder),
                "minutes": list(minutes),
            },
        ],
    }


def model(config: TrainConfig, elements: Sequence[str], mode: str) -> dict[str, Any]:
    """The section of the model: the hyperparameters of ours.

    Raises:
        SystemExit: ours are such as the peer has not.
    """
    ours = config.model
    if not isinstance(ours, AllegroConfig):
        raise SystemExit(f"the peer is Allegro; the config has {ours.architecture}")
    return {
        "_target_": "allegro.model.AllegroModel",
        "compile_mode": mode,
        "seed": config.seed,
        "model_dtype": config.dtype,
        "type_names": list(elements),
        "r_max": ours.cutoff,
        "radial_chemical_embed": {
            "_target_": "allegro.nn.TwoBodyBesselScalarEmbed",
            "num_bessels": ours.num_bessels,
            "bessel_trainable": False,
            "polynomial_cutoff_p": ours.envelope_power,
        },
        "radial_chemical_embed_dim": ours.num_scalars,
        "l_max": ours.l_max,
        "parity": ours.parity == "full",
        "num_layers": ours.num_layers,
        "num_scalar_features": ours.num_scalars,
        "num_tensor_features": ours.num_tensors,
        "tp_path_channel_coupling": True,
        **_mlp("scalar_embed", ours.two_body_mlp),
        **_mlp("allegro", ours.latent_mlp),
        **_mlp("readout", ours.readout_mlp),
        "avg_num_neighbors": "${training_data_stats:num_neighbors_mean}",
        "per_type_energy_shifts": "${training_data_stats:per_atom_energy_mean}",
        "per_type_energy_scales": "${training_data_stats:forces_rms}",
        "per_type_energy_scales_trainable": False,
        "per_type_energy_shifts_trainable": False,
    }


def _mlp(name: str, widths: Sequence[int]) -> dict[str, int]:
    if len(set(widths)) != 1:
        raise SystemExit(
            f"the peer's hidden layers of a network are equally wide; {name} has {list(widths)}"
        )
    prefix = f"{name}_mlp_hidden_layers"
    return {f"{prefix}_depth": len(widths), f"{prefix}_width": widths[0]}
