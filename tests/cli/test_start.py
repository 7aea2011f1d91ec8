"""`start`: what IOPaint's guide has users type, and the Serve config that comes out of it."""

import json
import shlex
from pathlib import Path

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema
from typer.testing import CliRunner

from inpaint.resources import default_serve_config
from inpaint.settings import AppArgs, SocketArgs
from serve_app.cli import app, start_config
from serve_app.cli.catalogs import known_models
from serve_app.cli.start_options import StartError, StartOptions
from serve_app.config_check import check
from tests.checkpoint_heads import sd15_shapes, write_safetensors
from tests.fakes import fake_spec
from tests.machines import hide, put_onnxruntime, put_torch

SD15 = "runwayml/stable-diffusion-inpainting"
CPU_COMMANDS = [
    ("lama", "python main.py start --model=lama --device=cpu --port=8080"),
    (SD15, f"python main.py start --model={SD15} --device=cpu --port=8080"),
]
CUDA_COMMANDS = [
    ("mat", "python main.py start --model=mat --device=cuda --port=8080"),
    (
        SD15,
        f"python main.py start --model={SD15} --device=cuda --port=8080 --no-half=false "
        "--low-mem=false --cpu-offload=false --cpu-textencoder=false",
    ),
    (
        "lama",
        "python main.py start --model=lama --device=cuda --port=8080 --enable-ocr "
        "--ocr-device=cuda",
    ),
    (
        "lama",
        "python main.py start --model=lama --device=cuda --port=8080 --local-files-only",
    ),
]


def short(commands):
    """Commands, called by what is special about them."""
    return [
        pytest.param(model, command, id=command.removeprefix("python main.py start "))
        for model, command in commands
    ]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """What a process that looks for accelerators finds."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


@pytest.fixture
def two_gpus(packages):
    put_torch(packages, gpus=2)
    put_onnxruntime(packages, has_cuda=True)


@pytest.fixture
def no_gpu(packages):
    put_torch(packages, gpus=0)
    put_onnxruntime(packages, has_cuda=False)


def invoke(*arguments):
    return CliRunner().invoke(app, ["start", *arguments])


def dump(*arguments):
    """The Serve config that comes out; it passes Serve's check and ours."""
    result = invoke(*arguments, "--dump-config")
    assert result.exit_code == 0, result.output
    document = yaml.safe_load(result.stdout)
    assert check(document, insecure="--insecure" in arguments) == []
    ServeDeploySchema.model_validate(document)
    return document


def dumped_args(*arguments):
    return AppArgs.model_validate(dump(*arguments)["applications"][0]["args"])


def devices(args):
    """Where families run; those for diffusion run where the erasers do."""
    places = {family.deployment: family.device for family in args.families}
    diffusion = {f.deployment for f in args.families if f.kind == "diffusion"}
    assert all(places[name] == places["Erase"] for name in diffusion)
    return {name: device for name, device in places.items() if name not in diffusion}


def refused(*arguments, status=1):
    result = invoke(*arguments)
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    return result.stderr


# The guide's commands


@pytest.mark.parametrize(("model", "command"), short(CPU_COMMANDS))
def test_guide_on_the_cpu(model, command):
    document = dump(*shlex.split(command)[3:])
    args = AppArgs.model_validate(document["applications"][0]["args"])
    assert document["http_options"]["port"] == 8080
    assert args.default_models == (model,)
    assert set(devices(args).values()) == {"cpu"}


@pytest.mark.parametrize(("model", "command"), short(CUDA_COMMANDS))
def test_guide_on_cuda(model, command, two_gpus):
    document = dump(*shlex.split(command)[3:])
    args = AppArgs.model_validate(document["applications"][0]["args"])
    assert document["http_options"]["port"] == 8080
    assert args.default_models == (model,)
    assert set(devices(args).values()) == {"cuda"}
    assert ("OCR" in devices(args)) == ("--enable-ocr" in command)
    assert args.local_files_only == ("--local-files-only" in command)


@pytest.mark.parametrize(("model", "command"), short(CUDA_COMMANDS))
def test_guide_on_cuda_without_a_gpu_is_refused_before_anything_starts(model, command, no_gpu):
    said = refused(*shlex.split(command)[3:])
    assert "--device=cuda: no CUDA device" in said


def diffusion_families(args):
    return {family.deployment: family for family in args.families if family.kind == "diffusion"}


def test_what_saves_memory_reaches_the_family_of_the_chosen_model(two_gpus):
    args = dumped_args(f"--model={SD15}", "--device=cuda", "--no-half", "--low-mem",
                       "--cpu-offload", "--cpu-textencoder", "--disable-nsfw-checker",
                       "--local-files-only")  # fmt: skip
    family = diffusion_families(args)["SD15"]
    assert (family.device, family.precision) == ("cuda", "fp32")
    assert family.low_mem
    assert family.cpu_offload
    assert family.cpu_textencoder
    assert family.safety_checker == "off"
    assert args.local_files_only
    plain = diffusion_families(dumped_args(f"--model={SD15}", "--device=cuda"))["SD15"]
    assert (plain.precision, plain.safety_checker) == ("fp16", "checkpoint")
    assert not any((plain.low_mem, plain.cpu_offload, plain.cpu_textencoder))


def test_on_the_cpu_a_diffusion_model_runs_without_a_gpu():
    document = dump(f"--model={SD15}")
    application, _ = document["applications"]
    family = diffusion_families(AppArgs.model_validate(application["args"]))["SD15"]
    assert (family.device, family.precision) == ("cpu", "fp32")
    [entry] = [entry for entry in application["deployments"] if entry["name"] == "SD15"]
    assert not entry["ray_actor_options"].get("num_gpus")


def test_a_file_in_iopaints_folder_can_be_the_model(tmp_path):
    name = "my own (v2).safetensors"
    write_safetensors(tmp_path / "stable_diffusion" / name, sd15_shapes(channels=9))
    args = dumped_args(f"--model-dir={tmp_path}", f"--model={name}")
    assert args.default_models == (name,)
    assert (
        name
        not in refused(f"--model={name}1", f"--model-dir={tmp_path / 'other'}").split("Known")[1]
    )


def test_a_repository_that_is_not_here_says_how_to_fetch_it():
    assert "download --model=someone/some-model" in refused("--model=someone/some-model")


def test_guide_with_a_config_file(tmp_path, two_gpus):
    path = tmp_path / "config.json"
    guide = {"host": "127.0.0.2", "port": 8080, "model": "lama", "device": "cuda",
             "enable_ocr": True, "ocr_device": "cuda"}  # fmt: skip
    path.write_text(json.dumps(guide))
    document = dump(f"--config={path}")
    args = AppArgs.model_validate(document["applications"][0]["args"])
    assert document["http_options"]["host"] == "127.0.0.2"
    assert devices(args) == {"Erase": "cuda", "OCR": "cuda"}
    document = dump(f"--config={path}", "--port=9000", "--device=cpu", "--enable-ocr=false")
    assert document["http_options"]["port"] == 9000
    args = AppArgs.model_validate(document["applications"][0]["args"])
    assert devices(args) == {"Erase": "cpu"}


def test_cuda_from_a_config_file_is_refused_without_a_gpu(tmp_path, no_gpu):
    path = tmp_path / "config.json"
    path.write_text('{"device": "cuda"}')
    assert "--device=cuda: no CUDA device" in refused(f"--config={path}")


def test_cuda_from_a_serve_config_is_refused_without_a_gpu(tmp_path, no_gpu):
    path = tmp_path / "serve.yaml"
    document = yaml.safe_load(default_serve_config().read_text())
    document["applications"][0]["args"]["families"][0]["device"] = "cuda"
    path.write_text(yaml.safe_dump(document))
    assert "'Erase' with device=cuda" in refused(f"--serve-config={path}")


def test_a_second_gpu_that_is_not_there_is_refused(packages):
    put_torch(packages, gpus=1)
    assert "are cuda:0." in refused("--model=lama", "--device=cuda:1")


def test_cuda_without_torch_says_how_to_install_it(packages):
    hide(packages, "torch")
    assert "pip install 'inpaint-serve[erase]'" in refused("--model=cv2", "--device=cuda")


def test_ocr_on_cuda_without_a_build_for_it_is_refused(packages):
    put_torch(packages, gpus=1)
    put_onnxruntime(packages, has_cuda=False)
    assert "onnxruntime-gpu" in refused("--enable-ocr", "--ocr-device=cuda")


def test_auto_is_the_gpu_where_there_is_one(two_gpus):
    assert devices(dumped_args("--device=auto")) == {"Erase": "cuda"}


def test_auto_is_the_cpu_elsewhere(no_gpu):
    assert devices(dumped_args("--device=auto")) == {"Erase": "cpu"}


# What comes out


def test_without_flags_it_listens_where_iopaint_does_and_does_not_read_text():
    document = dump()
    shipped = yaml.safe_load(default_serve_config().read_text())
    assert document["http_options"] == shipped["http_options"] | {
        "host": "127.0.0.1", "port": 8080,
    }  # fmt: skip
    args = AppArgs.model_validate(document["applications"][0]["args"])
    assert args.default_models == ("lama", "cv2")
    assert devices(args) == {"Erase": "cpu"}
    assert "OCR" not in [entry["name"] for entry in document["applications"][0]["deployments"]]


def test_the_alias_of_a_model_becomes_its_name(monkeypatch, tmp_path):
    own = own_serve_config(tmp_path, aliases=["someone/toy"])
    assert dumped_args(f"--serve-config={own}", "--model=someone/toy").default_models == ("toy",)


def test_paths_quality_and_network_reach_the_application(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.png").touch()
    args = dumped_args("--model-dir=models", "--input=in.png", "--output-dir=out", "--quality=90",
                       "--mask-dir=masks", "--local-files-only")  # fmt: skip
    assert args.model_dir == tmp_path / "models"
    assert args.iopaint.input == tmp_path / "in.png"
    assert args.iopaint.output_dir == tmp_path / "out"
    assert args.iopaint.mask_dir == tmp_path / "masks"
    assert args.iopaint.quality == 90
    assert args.local_files_only
    assert not (tmp_path / "models").exists()  # --dump-config writes nothing
    assert not dumped_args("--local-files-only=false").local_files_only


def own_serve_config(folder, **spec):
    """A Serve config on port 8123 with a model of the user's own, without OCR."""
    models = folder / "models"
    models.mkdir()
    entry = fake_spec("toy", **spec).model_dump(mode="json", exclude_defaults=True)
    (models / "toy.yaml").write_text(yaml.safe_dump(entry))
    document = yaml.safe_load(default_serve_config().read_text())
    document["http_options"].update(host="127.0.0.2", port=8123)
    application = document["applications"][0]
    application["args"]["families"] = [{"deployment": "Erase", "kind": "erase", "device": "cpu"}]
    application["args"]["model_folders"] = [str(models)]
    kept = ("Ingress", "Registry", "Erase")
    application["deployments"] = [d for d in application["deployments"] if d["name"] in kept]
    path = folder / "serve.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def test_a_serve_config_of_ones_own_stays_as_it_is(tmp_path):
    path = own_serve_config(tmp_path)
    assert dump(f"--serve-config={path}") == yaml.safe_load(path.read_text())


def test_flags_change_a_serve_config_where_they_say_something(tmp_path):
    path = own_serve_config(tmp_path)
    document = dump(f"--serve-config={path}", "--port=9", "--model=toy", "--enable-ocr")
    assert document["http_options"]["host"] == "127.0.0.2"
    assert document["http_options"]["port"] == 9
    args = AppArgs.model_validate(document["applications"][0]["args"])
    assert args.default_models == ("toy",)
    assert devices(args) == {"Erase": "cpu", "OCR": "cpu"}


def test_what_was_dumped_can_be_started_from(tmp_path):
    path = tmp_path / "dumped.yaml"
    document = dump("--model=cv2", "--enable-ocr", "--port=8099")
    path.write_text(yaml.safe_dump(document))
    assert dump(f"--serve-config={path}") == document


# What is refused


def test_an_unknown_model_lists_the_known_ones():
    said = refused("--model=lamma")
    assert "'lamma'" in said
    for spec in known_models().models:
        assert (spec.name in said) == (spec.kind != "ocr")


def test_a_model_that_reads_text_is_no_default_model():
    assert "--enable-ocr" in refused("--model=pp-ocrv6-small")


CANNY = "lllyasviel/control_v11p_sd15_canny"


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("powerpaint", "powerpaint"),
        ("Sanster/PowerPaint-V1-stable-diffusion-inpainting", "powerpaint"),
        ("anytext", "anytext"),
        ("Sanster/AnyText", "anytext"),
        ("Fantasy-Studio/Paint-by-Example", "Fantasy-Studio/Paint-by-Example"),
    ],
)
def test_checkpoints_of_their_own_belong_to_the_special_family(model, name, two_gpus):
    document = dump(f"--model={model}", "--device=cuda")
    application = document["applications"][0]
    args = AppArgs.model_validate(application["args"])
    assert args.default_models == (name,)
    assert known_models().get(model).family == "Special"
    [family] = [family for family in args.families if family.deployment == "Special"]
    assert (family.device, family.precision) == ("cuda", "fp16")
    [entry] = [entry for entry in application["deployments"] if entry["name"] == "Special"]
    assert entry["ray_actor_options"]["num_gpus"] == 0.6
    assert entry["autoscaling_config"]["downscale_delay_s"] == 60


def test_what_the_page_begins_with_reaches_the_application():
    args = dumped_args(f"--model={SD15}", "--enable-controlnet", f"--controlnet-method={CANNY}")
    assert args.iopaint.enable_controlnet
    assert args.iopaint.controlnet_method == CANNY
    args = dumped_args(f"--model={SD15}", "--enable-controlnet=false")
    assert not args.iopaint.enable_controlnet
    assert args.iopaint.controlnet_method is None


def test_a_controlnet_that_does_not_fit_the_model_names_those_that_do():
    said = refused(f"--model={SD15}", "--controlnet-method=diffusers/controlnet-canny-sdxl-1.0")
    assert f"fits '{SD15}'" in said
    assert CANNY in said.split("There are:")[1]
    assert "sdxl" not in said.split("There are:")[1]


def test_a_controlnet_that_nobody_knows_is_refused_whatever_the_model():
    for model in ("cv2", SD15):
        said = refused(f"--model={model}", "--controlnet-method=latent-consistency/lcm-lora-sdv1-5")
        assert "is known" in said
        assert CANNY in said


def test_a_controlnet_of_ones_own_is_known(tmp_path):
    own = own_serve_config(tmp_path)
    entry = {"name": "mine", "role": "controlnet-canny", "bases": ["sd15"], "memory_mb": 1,
             "licence": {"name": "MIT"}, "path": "mine"}  # fmt: skip
    (tmp_path / "models" / "adapters").mkdir()
    (tmp_path / "models" / "adapters" / "mine.yaml").write_text(yaml.safe_dump(entry))
    args = dumped_args(f"--serve-config={own}", "--controlnet-method=mine")
    assert args.iopaint.controlnet_method == "mine"


def test_a_model_that_no_family_serves_is_refused(tmp_path):
    path = own_serve_config(tmp_path, family="Elsewhere")
    assert "'Elsewhere'" in refused(f"--serve-config={path}", "--model=toy")


def built(is_installed, **options):
    document = start_config.build(
        start_config.read_base(None), StartOptions(**options), is_installed
    )
    return document["applications"][0]["args"]["families"]


def test_a_model_whose_packages_are_missing_says_what_to_install():
    def only_base(spec):
        return spec.extra is None

    with pytest.raises(StartError, match=r"pip install 'inpaint-serve\[erase\]'"):
        built(only_base, model="lama")
    with pytest.raises(StartError, match=r"pip install 'inpaint-serve\[ocr\]'"):
        built(only_base, model="cv2", enable_ocr=True)
    assert [family["deployment"] for family in built(only_base, model="cv2")] == ["Erase"]


@pytest.mark.parametrize(("is_on", "checker"), [(True, "off"), (False, "checkpoint")])
def test_memory_options_reach_the_diffusion_families_alone(is_on, checker, tmp_path):
    base = start_config.read_base(None)
    families = base["applications"][0]["args"]["families"]
    families[:] = [f for f in families if f["kind"] != "diffusion"]
    before = len(families)
    families.append({"deployment": "SD15", "kind": "diffusion"})
    options = StartOptions(serve_config=tmp_path, low_mem=is_on, cpu_offload=is_on,
                           cpu_textencoder=is_on, disable_nsfw_checker=is_on)  # fmt: skip
    document = start_config.build(base, options, lambda spec: True)
    *others, diffusion = document["applications"][0]["args"]["families"]
    assert others == families[:before]
    assert diffusion == families[-1] | {
        "low_mem": is_on, "cpu_offload": is_on, "cpu_textencoder": is_on, "safety_checker": checker,
    }  # fmt: skip
    unsaid = start_config.build(base, StartOptions(serve_config=tmp_path), lambda spec: True)
    assert unsaid == base


def test_a_family_without_any_model_that_can_run_is_left_out():
    families = built(lambda spec: spec.family == "OCR", enable_ocr=True)
    assert [family["deployment"] for family in families] == ["OCR"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[]", "no application"),
        ("a: [", "YAML"),
        ("applications: [{import_path: a:b}]", "build_app"),
    ],
)
def test_what_is_no_serve_config_of_ours_is_refused(tmp_path, text, word):
    path = tmp_path / "serve.yaml"
    path.write_text(text)
    assert word in refused(f"--serve-config={path}")


def test_typos_in_a_serve_config_are_named(tmp_path):
    path = tmp_path / "serve.yaml"
    path.write_text(default_serve_config().read_text().replace("max_loaded_mb", "max_loaded"))
    assert "max_loaded" in refused(f"--serve-config={path}")


def test_wrong_model_files_of_a_serve_config_are_named(tmp_path):
    path = own_serve_config(tmp_path)
    (tmp_path / "models" / "toy.yaml").write_text("name: toy")
    assert "toy.yaml" in refused(f"--serve-config={path}")


def test_an_input_that_is_not_there_is_refused(tmp_path):
    assert "--input" in refused(f"--input={tmp_path / 'nothing.png'}")


@pytest.mark.parametrize("flag", ["--model-dir", "--output-dir"])
def test_a_folder_that_cannot_be_made_is_refused(tmp_path, flag):
    (tmp_path / "file").touch()
    assert f"{flag}: " in refused("--model=cv2", f"{flag}={tmp_path / 'file' / 'folder'}")


def test_masks_that_are_not_there_are_refused(tmp_path):
    assert "--mask-dir: " in refused(f"--mask-dir={tmp_path / 'nothing'}")


def test_local_files_only_needs_a_folder_that_is_there(tmp_path):
    said = refused("--local-files-only", f"--model-dir={tmp_path / 'nothing'}")
    assert "is not a directory" in said


def test_the_page_about_the_command_line_names_every_flag():
    text = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text()
    flags = {f"--{name.replace('_', '-')}" for name in StartOptions.model_fields}
    for flag in flags | {"--config", "--dump-config"}:
        assert f"`{flag}`" in text, flag


def test_a_public_host_wants_keys(tmp_path):
    path = tmp_path / "keys.yaml"
    path.write_text(f"keys: [{{name: studio, sha256: {'0' * 64}}}]")
    assert "--api-keys" in refused("--host=192.0.2.1")
    assert dumped_args("--host=192.0.2.1", "--insecure").access.auth == "none"
    access = dumped_args("--host=192.0.2.1", f"--api-keys={path}").access
    assert (access.auth, access.api_keys) == ("required", path)
    _, sockets = dump("--host=192.0.2.1", f"--api-keys={path}")["applications"]
    assert SocketArgs.model_validate(sockets["args"]).access == access


def test_a_file_that_holds_no_keys_is_refused(tmp_path):
    assert "--api-keys" in refused(f"--api-keys={tmp_path / 'none.yaml'}")
