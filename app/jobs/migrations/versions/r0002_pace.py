"""How quickly jobs went, and what their estimates assume."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add a table and a column."""
    op.create_table(
        "job_paces",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("relaxes", sa.Boolean, primary_key=True),
        sa.Column("structures", sa.Float(53), nullable=False),
        sa.Column("evaluations", sa.Float(53), nullable=False),
        sa.Column("work", sa.Float(53), nullable=False),
        sa.Column("seconds", sa.Float(53), nullable=False),
    )
    op.add_column("jobs", sa.Column("assumes", sa.Text))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("jobs", "assumes")
    op.drop_table("job_paces")
