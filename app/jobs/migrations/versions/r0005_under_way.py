"""How far tasks are with the structures of a chunk."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add a column."""
    op.add_column("job_chunks", sa.Column("under_way", sa.Text))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("job_chunks", "under_way")
