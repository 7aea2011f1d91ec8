"""Which devices a machine has, and what a family gets: on machines that are made up."""

import sys
import types

import pytest

from serve_app.cli import probe as probe_script
from serve_app.cli.accelerators import Accelerators, probe
from serve_app.cli.start_config import read_base
from serve_app.cli.start_devices import SEE_ALL_GPUS, put_devices
from serve_app.cli.start_options import StartError, StartOptions
from tests.machines import hide, put_onnxruntime, put_torch

NO_GPU = Accelerators(torch="2.13.0", has_cuda_build=True, onnxruntime="1.31.1")
TWO_GPUS = Accelerators(
    torch="2.13.0", has_cuda_build=True, gpus=2, onnxruntime="1.31.1", onnxruntime_has_cuda=True
)


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A folder whose packages stand before the installed ones, for processes that are started."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


# What is found


def test_cuda_devices_are_counted_by_torch(packages):
    put_torch(packages, gpus=3)
    assert probe(["torch"]) == Accelerators(torch="2.13.0", has_cuda_build=True, gpus=3)


def test_a_build_without_cuda_and_an_mps_device_are_seen(packages):
    put_torch(packages, gpus=0, cuda=None, mps=True)
    assert probe(["torch"]) == Accelerators(torch="2.13.0+cpu", has_mps=True)


def test_onnxruntime_is_looked_at_when_it_is_asked_for(packages):
    put_torch(packages, gpus=1)
    put_onnxruntime(packages, has_cuda=True)
    assert probe(["torch"]).onnxruntime is None
    found = probe(["torch", "onnxruntime"])
    assert (found.onnxruntime, found.onnxruntime_has_cuda) == ("1.31.1", True)


def test_packages_that_are_not_installed_are_none(packages):
    hide(packages, "torch", "onnxruntime")
    found = probe(["torch", "onnxruntime"])
    assert (found.torch, found.onnxruntime, found.has_cuda_build) == (None, None, False)


def test_the_driver_counts_where_torch_is_not_installed(monkeypatch):
    class Driver:
        @staticmethod
        def cuInit(flags):  # noqa: N802
            return 0

        @staticmethod
        def cuDeviceGetCount(count):  # noqa: N802
            count._obj.value = 4
            return 0

    fake = types.SimpleNamespace(CDLL=lambda name: Driver, c_int=probe_script.ctypes.c_int,
                                 byref=probe_script.ctypes.byref)  # fmt: skip
    monkeypatch.setattr(probe_script, "ctypes", fake)
    assert probe_script.count_gpus() == 4
    monkeypatch.setattr(Driver, "cuInit", lambda flags: 100)  # CUDA_ERROR_NO_DEVICE
    assert probe_script.count_gpus() == 0


def test_a_torch_that_cannot_be_imported_is_an_error_that_says_why(packages):
    (packages / "torch").mkdir()
    (packages / "torch" / "__init__.py").write_text("raise ImportError('libcudart.so.12: gone')")
    with pytest.raises(OSError, match=r"libcudart\.so\.12: gone"):
        probe(["torch"])


def test_nothing_heavy_stays_in_this_process(packages):
    put_torch(packages, gpus=1)
    before = set(sys.modules)
    probe(["torch"])
    assert "torch" not in set(sys.modules) - before


# What is refused


def test_what_exists_is_not_refused():
    for device in ("cpu", "cuda", "cuda:0", "cuda:1"):
        assert TWO_GPUS.refusal(device, "torch") is None
        assert TWO_GPUS.refusal(device, "onnxruntime") is None
    assert Accelerators(torch="2.13.0", has_mps=True).refusal("mps", "torch") is None


@pytest.mark.parametrize(
    ("machine", "device", "library", "words"),
    [
        (Accelerators(torch=None), "cuda", "torch", "pip install 'inpaint-serve[erase]'"),
        (Accelerators(torch=None), "mps", "torch", "torch is not installed"),
        (Accelerators(torch=None, gpus=1), "cuda", "onnxruntime", "'inpaint-serve[ocr]'"),
        (Accelerators(torch="2.13.0+cpu"), "cuda", "torch", "2.13.0+cpu is a build without CUDA"),
        (NO_GPU, "cuda", "torch", "no CUDA device"),
        (NO_GPU, "mps", "torch", "no MPS device"),
        (TWO_GPUS, "cuda:2", "torch", "cuda:0 to cuda:1"),
        (TWO_GPUS.model_copy(update={"gpus": 1}), "cuda:1", "torch", "are cuda:0."),
        (TWO_GPUS.model_copy(update={"gpus": 1}), "cuda:1", "onnxruntime", "are cuda:0."),
        (NO_GPU.model_copy(update={"gpus": 1}), "cuda", "onnxruntime", "onnxruntime-gpu"),
    ],
)
def test_what_is_missing_is_named(machine, device, library, words):
    assert words in machine.refusal(device, library)


def test_auto_is_cuda_where_the_library_can_use_it():
    assert TWO_GPUS.resolve("auto", "torch") == "cuda"
    assert NO_GPU.resolve("auto", "torch") == "cpu"
    no_onnx = TWO_GPUS.model_copy(update={"onnxruntime_has_cuda": False})
    assert (no_onnx.resolve("auto", "torch"), no_onnx.resolve("auto", "onnxruntime")) == (
        "cuda", "cpu",
    )  # fmt: skip


# What a family gets


def placed(machine, document=None, **options):
    """Families and deployments of a config, by name, after `put_devices`; and what was asked."""
    asked = []

    def look(libraries):
        asked.extend(libraries)
        return machine

    document = document or read_base(None)
    put_devices(document, StartOptions(**options), ["Erase"], look)
    app = document["applications"][0]
    families = {family["deployment"]: family for family in app["args"]["families"]}
    return families, {entry["name"]: entry for entry in app["deployments"]}, asked


def own_config(**erase):
    """A Serve config of the user's own."""
    document = read_base(None)
    document["applications"][0]["args"]["families"][0].update(erase)
    return document


def test_without_a_flag_everything_runs_on_the_cpu_and_nothing_is_asked():
    families, deployments, asked = placed(None)
    assert {family["device"] for family in families.values()} == {"cpu"}
    assert "num_gpus" not in deployments["Erase"]["ray_actor_options"]
    assert asked == []


def test_cuda_gives_a_share_half_precision_and_no_more_replicas_than_gpus():
    families, deployments, asked = placed(TWO_GPUS, device="cuda")
    assert families["Erase"]["device"] == "cuda"
    assert families["Erase"]["precision"] == "fp16"
    assert families["OCR"]["device"] == "cpu"
    assert deployments["Erase"]["ray_actor_options"]["num_gpus"] == 0.2
    for name in ("SD15", "SDXL"):  # they take turns
        assert families[name]["precision"] == "fp16"
        assert deployments[name]["ray_actor_options"]["num_gpus"] == 0.6
        assert deployments[name]["autoscaling_config"]["downscale_delay_s"] == 60
    assert deployments["Erase"]["autoscaling_config"]["max_replicas"] == 2
    assert "runtime_env" not in deployments["Erase"]["ray_actor_options"]
    assert "num_gpus" not in deployments["OCR"]["ray_actor_options"]
    assert asked == ["torch"]


def test_without_families_that_paint_the_default_models_has_the_larger_share():
    document = own_config()
    families = document["applications"][0]["args"]["families"]
    families[:] = [family for family in families if family["kind"] != "diffusion"]
    _, deployments, _ = placed(TWO_GPUS, document, device="cuda")
    assert deployments["Erase"]["ray_actor_options"]["num_gpus"] == 0.6


def test_on_the_cpu_nothing_paints_in_float16_and_no_gpu_is_asked_for():
    families, deployments, _ = placed(None, device="cpu")
    for name in ("SD15", "SDXL"):
        assert families[name]["device"] == "cpu"
        assert families[name].get("precision", "fp32") == "fp32"
        assert "num_gpus" not in deployments[name]["ray_actor_options"]


def test_families_of_a_serve_config_that_wait_for_a_gpu_stop_nothing(tmp_path):
    families, deployments, asked = placed(None, own_config(device="cpu"), serve_config=tmp_path)
    assert asked == []
    assert families["SDXL"]["device"] == "cuda"
    assert deployments["SDXL"]["ray_actor_options"]["num_gpus"] == 0.5


def test_one_gpu_by_number_is_seen_by_its_number():
    families, deployments, _ = placed(TWO_GPUS, device="cuda:1")
    options = deployments["Erase"]["ray_actor_options"]
    assert families["Erase"]["device"] == "cuda:1"
    assert options["runtime_env"] == {"env_vars": {SEE_ALL_GPUS: "1"}}
    assert deployments["Erase"]["autoscaling_config"]["max_replicas"] == 1


def test_no_half_is_float32_on_cuda_too():
    assert placed(TWO_GPUS, device="cuda", no_half=True)[0]["Erase"]["precision"] == "fp32"
    assert placed(TWO_GPUS, device="cuda", no_half=False)[0]["Erase"]["precision"] == "fp16"


def test_ocr_has_a_device_and_a_share_of_its_own():
    families, deployments, asked = placed(TWO_GPUS, ocr_device="cuda")
    assert (families["Erase"]["device"], families["OCR"]["device"]) == ("cpu", "cuda")
    assert "precision" not in families["OCR"]
    assert deployments["OCR"]["ray_actor_options"]["num_gpus"] == 0.2
    assert asked == ["onnxruntime"]


def test_auto_takes_what_is_there():
    assert placed(TWO_GPUS, device="auto")[0]["Erase"]["device"] == "cuda"
    assert placed(NO_GPU, device="auto")[0]["Erase"]["device"] == "cpu"


@pytest.mark.parametrize(
    ("options", "word"), [({"device": "cuda"}, "--device=cuda: "), ({"device": "mps"}, "=mps: "),
                          ({"ocr_device": "cuda:3"}, "--ocr-device=cuda:3: ")]
)  # fmt: skip
def test_a_device_that_is_not_there_is_refused_by_its_flag(options, word):
    with pytest.raises(StartError) as caught:
        placed(NO_GPU, **options)
    assert word in caught.value.args[0]


def test_a_serve_config_of_ones_own_keeps_its_devices_unless_a_flag_is_given(tmp_path):
    own = {"serve_config": tmp_path}
    families, deployments, asked = placed(TWO_GPUS, own_config(device="cuda:1"), **own)
    assert families["Erase"]["device"] == "cuda:1"
    assert "precision" not in families["Erase"]
    assert "num_gpus" not in deployments["Erase"]["ray_actor_options"]
    assert asked == ["torch"]
    families, _, asked = placed(TWO_GPUS, own_config(device="auto"), **own)
    assert (families["Erase"]["device"], asked) == ("auto", [])
    families, _, _ = placed(TWO_GPUS, own_config(device="cuda:1"), device="cpu", **own)
    assert families["Erase"]["device"] == "cpu"


def test_cpu_gives_back_the_share_that_a_serve_config_reserves(tmp_path):
    document = own_config(device="cuda")
    document["applications"][0]["deployments"][2]["ray_actor_options"]["num_gpus"] = 0.5
    _, deployments, _ = placed(NO_GPU, document, device="cpu", serve_config=tmp_path)
    assert deployments["Erase"]["ray_actor_options"] == {"num_cpus": 0.5}


def test_a_share_that_a_serve_config_states_is_kept(tmp_path):
    document = own_config()
    document["applications"][0]["deployments"][2]["ray_actor_options"]["num_gpus"] = 0.25
    _, deployments, _ = placed(TWO_GPUS, document, device="cuda", serve_config=tmp_path)
    assert deployments["Erase"]["ray_actor_options"]["num_gpus"] == 0.25


def test_a_device_of_a_serve_config_that_is_not_there_names_the_family(tmp_path):
    with pytest.raises(StartError, match="The family 'Erase' with device=cuda: no CUDA device"):
        placed(NO_GPU, own_config(device="cuda"), serve_config=tmp_path)
