"""Keeps the tier quick."""

import gc


def pytest_collection_finish():
    """What imports and collection made stays to the end: no collection need look at it again."""
    gc.collect()
    gc.freeze()
