"""How the tables have changed, for alembic."""
