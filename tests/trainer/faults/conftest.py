"""The made-up data of the tests of the trainer's data, for the fault tests too."""

from tests.trainer.data.conftest import world

__all__ = ["world"]
