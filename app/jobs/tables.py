"""The tables of the database: jobs, and the chunks that they are cut into.

No structure has a row. A job's input is one file and a chunk is a range of its bytes; the results of
a chunk are one file, which counts from the moment its row names it. Times are seconds since 1970, by
the database's own clock where it has one.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()
REVISION = "0005"
"""The newest of the migrations; a database that it brought up to date has these tables."""

folder = Table(
    "job_folder",
    metadata,
    Column("id", String(32), primary_key=True),
)
"""Which folder the files are in, so that a database is never used with another one."""

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("query", Text, nullable=False),
    Column("prefix", LargeBinary, nullable=False),
    Column("model", String(255), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("others", Text),
    Column("options", Text, nullable=False),
    Column("structures", BigInteger, nullable=False),
    Column("input_bytes", BigInteger, nullable=False),
    Column("created", Float(53), nullable=False),
    Column("started", Float(53)),
    Column("ended", Float(53)),
    Column("estimate", Float(53)),
    Column("at_most", Float(53)),
    Column("assumes", Text),
    Column("key", String(255), unique=True),
    Column("request_digest", String(64), nullable=False),
    Column("webhook", Text),
    Column("webhook_secret", Text),
    Column("webhook_state", String(16)),
    Column("webhook_tries", Integer, nullable=False, default=0),
    Column("webhook_next", Float(53)),
    Column("owner", String(64)),
    Index("jobs_by_state", "state", "created"),
)

chunks = Table(
    "job_chunks",
    metadata,
    Column("job", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("start", BigInteger, nullable=False),
    Column("stop", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("structures", Integer, nullable=False),
    Column("lines", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("holder", String(32)),
    Column("lease_until", Float(53)),
    Column("attempts", Integer, nullable=False, default=0),
    Column("answered", Integer, nullable=False, default=0),
    Column("failed", Integer, nullable=False, default=0),
    Column("results", String(64)),
    Column("result_bytes", BigInteger, nullable=False, default=0),
    Column("ended", Float(53)),
    Column("under_way", Text),
    Index("job_chunks_by_state", "job", "state", "number"),
)

paces = Table(
    "job_paces",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("relaxes", Boolean, primary_key=True),
    Column("structures", Float(53), nullable=False),
    Column("evaluations", Float(53), nullable=False),
    Column("work", Float(53), nullable=False),
    Column("seconds", Float(53), nullable=False),
)
"""What jobs of a model took (see `app.jobs.pace`)."""

versions = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
"""Which migration a database has; the table is alembic's."""
