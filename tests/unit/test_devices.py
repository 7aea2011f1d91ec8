import importlib.util
import sys
import threading

import pytest

from deployments import devices


@pytest.fixture
def half_a_torch(tmp_path, monkeypatch):
    """A module called torch whose import, on another thread, has begun and does not end yet."""
    (tmp_path / "torch.py").write_text(
        "import half_a_torch_gates as gates\n"
        "gates.begun.set()\n"
        "gates.go_on.wait(10)\n"
        "set_to = []\n"
        "def get_num_threads(): return 0\n"
        "def set_num_threads(count): set_to.append(count)\n"
    )
    gates = importlib.util.module_from_spec(
        importlib.util.spec_from_loader("half_a_torch_gates", loader=None)
    )
    gates.begun, gates.go_on = threading.Event(), threading.Event()
    monkeypatch.setitem(sys.modules, "half_a_torch_gates", gates)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    importing = threading.Thread(target=lambda: __import__("torch"))
    importing.start()
    assert gates.begun.wait(10)
    yield gates, importing
    gates.go_on.set()
    importing.join()
    sys.modules.pop("torch", None)


def test_a_forward_does_not_meet_a_torch_that_a_load_is_importing(half_a_torch):
    gates, importing = half_a_torch
    devices.bound_threads(3)
    devices.free_memory()
    gates.go_on.set()
    importing.join()
    devices.bound_threads(3)
    assert sys.modules["torch"].set_to == [3]
