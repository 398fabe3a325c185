"""Jobs whose structures have one of several models each."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add a column."""
    op.add_column("jobs", sa.Column("others", sa.Text))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("jobs", "others")
