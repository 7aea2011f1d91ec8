"""What `start` is told: flags, IOPaint's JSON file, and which of them wins."""

import inspect
import json

import pytest

from serve_app.cli.start import start
from serve_app.cli.start_options import StartError, StartOptions, read_options

GUIDE = {
    "host": "127.0.0.2",
    "port": 8081,
    "model": "lama",
    "device": "cuda",
    "enable_ocr": True,
    "ocr_device": "cuda",
}


@pytest.fixture
def write(tmp_path):
    def write(content, name="config.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def said(options):
    return options.model_dump(exclude_none=True)


def refusal(flags, path=None):
    with pytest.raises(StartError) as caught:
        read_options(flags, path)
    return caught.value.args


def test_the_guides_file_is_taken_as_it_stands(write):
    assert said(read_options({}, write(GUIDE))) == GUIDE


def test_flags_win_over_the_file_and_the_file_fills_the_rest(write):
    options = read_options({"device": "cpu", "port": 9000, "model": None}, write(GUIDE))
    assert said(options) == GUIDE | {"device": "cpu", "port": 9000}


def test_a_flag_that_says_false_wins_over_true(write):
    options = read_options({"no_half": False}, write({"no_half": True, "low_mem": True}))
    assert said(options) == {"no_half": False, "low_mem": True}


def test_every_flag_is_a_key_of_the_file_but_those_about_files():
    flags = set(inspect.signature(start).parameters)
    assert flags - set(StartOptions.model_fields) == {"config", "dump_config"}
    assert set(StartOptions.model_fields) <= flags


def test_every_key_of_the_file_is_taken(write, tmp_path):
    content = {
        **GUIDE, "no_half": False, "low_mem": True, "cpu_offload": False, "cpu_textencoder": True,
        "disable_nsfw_checker": True, "local_files_only": True, "inbrowser": False, "quality": 90,
        "model_dir": str(tmp_path), "input": str(tmp_path), "output_dir": str(tmp_path),
        "serve_config": str(tmp_path), "enable_controlnet": True, "controlnet_method": "org/net",
        "api_keys": str(tmp_path), "insecure": False, "mask_dir": str(tmp_path),
    }  # fmt: skip
    assert set(content) == set(StartOptions.model_fields)
    options = read_options({}, write(content))
    assert json.loads(options.model_dump_json()) == content


def test_unknown_keys_are_named_together(write):
    first, second = refusal({}, write({"modle": "lama", "prot": 1, "host": "127.0.0.1"}))
    assert "'modle'" in first
    assert "model" in first.split("Known:")[1]
    assert "'prot'" in second


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"port": "8080"}, ("port", "integer", "'8080'")),
        ({"port": 70000}, ("port", "65535", "70000")),
        ({"port": True}, ("port", "integer")),
        ({"no_half": "false"}, ("no_half", "boolean", "'false'")),
        ({"model": 5}, ("model", "string", "5")),
        ({"quality": 101}, ("quality", "100", "101")),
        ({"device": "gpu"}, ("device", "cpu, cuda, mps", "'gpu'")),
        ({"ocr_device": "mps"}, ("ocr_device", "cuda:N", "'mps'")),
        ({"model_dir": []}, ("model_dir", "string", "[]")),
    ],
)
def test_wrong_values_are_named(write, content, words):
    (sentence,) = refusal({}, write(content))
    for word in (*words, "config.json"):
        assert word in sentence


def test_what_is_not_json_is_named_with_its_place(write):
    (sentence,) = refusal({}, write('{\n  "port": 8080,\n  "model" "lama"\n}'))
    assert "line 3, column 11" in sentence


@pytest.mark.parametrize("content", ["[]", '"lama"', "7", "null"])
def test_json_that_is_no_object_is_refused(write, content):
    (sentence,) = refusal({}, write(content))
    assert "one object" in sentence


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (sentence,) = refusal({}, tmp_path / "nothing.json")
    assert "nothing.json" in sentence
    assert "No such file" in sentence
    (tmp_path / "latin.json").write_bytes(b'{"model": "\xe9"}')
    assert "UTF-8" in refusal({}, tmp_path / "latin.json")[0]


@pytest.mark.parametrize("name", ["serve.yaml", "serve.yml"])
def test_a_serve_config_is_sent_to_its_own_flag(write, name):
    (sentence,) = refusal({}, write("applications: []", name))
    assert "--serve-config=" in sentence


def test_wrong_flags_are_named_as_flags():
    sentences = refusal({"port": 0, "device": "cuda:x", "ocr_device": "mps"})
    assert [sentence.split(":")[0] for sentence in sentences] == [
        "--device", "--port", "--ocr-device",
    ]  # fmt: skip


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:11", "mps"])
def test_devices_that_are_taken(device):
    assert read_options({"device": device}, None).device == device
