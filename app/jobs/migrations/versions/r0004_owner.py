"""Whose job it is."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add a column."""
    op.add_column("jobs", sa.Column("owner", sa.String(64)))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("jobs", "owner")
