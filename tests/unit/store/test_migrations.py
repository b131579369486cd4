"""The newest step of the schema is the one that start-up looks for."""

from skep.store.migrations.heads import HEAD
from skep.store.migrations.upgrade import scripts


def test_the_head_that_start_up_knows_is_the_last_step() -> None:
    assert scripts().get_current_head() == HEAD
