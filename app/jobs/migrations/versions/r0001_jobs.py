"""Jobs and their chunks."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table("job_folder", sa.Column("id", sa.String(32), primary_key=True))
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("prefix", sa.LargeBinary, nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("structures", sa.BigInteger, nullable=False),
        sa.Column("input_bytes", sa.BigInteger, nullable=False),
        sa.Column("created", sa.Float(53), nullable=False),
        sa.Column("started", sa.Float(53)),
        sa.Column("ended", sa.Float(53)),
        sa.Column("estimate", sa.Float(53)),
        sa.Column("at_most", sa.Float(53)),
        sa.Column("key", sa.String(255), unique=True),
        sa.Column("request_digest", sa.String(64), nullable=False),
        sa.Column("webhook", sa.Text),
        sa.Column("webhook_secret", sa.Text),
        sa.Column("webhook_state", sa.String(16)),
        sa.Column("webhook_tries", sa.Integer, nullable=False),
        sa.Column("webhook_next", sa.Float(53)),
    )
    op.create_index("jobs_by_state", "jobs", ["state", "created"])
    op.create_table(
        "job_chunks",
        sa.Column(
            "job", sa.String(32), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("stop", sa.BigInteger, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("structures", sa.Integer, nullable=False),
        sa.Column("lines", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("holder", sa.String(32)),
        sa.Column("lease_until", sa.Float(53)),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("answered", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("results", sa.String(64)),
        sa.Column("result_bytes", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.Float(53)),
    )
    op.create_index("job_chunks_by_state", "job_chunks", ["job", "state", "number"])


def downgrade() -> None:
    """Drop the tables."""
    for table in ("job_chunks", "jobs", "job_folder"):
        op.drop_table(table)
