"""PostgreSQL through SQLAlchemy's async engine."""
