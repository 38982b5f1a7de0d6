"""Makes the tables."""

import models  # noqa: F401  Registers the tables.
from database import engine
from sqlmodel import SQLModel

SQLModel.metadata.create_all(engine)
