"""API keys: their file, who is let in, and how much they may ask."""

import os
import time

import pytest
import yaml
from pydantic import ValidationError

from inpaint.errors import RateLimitedError
from inpaint.settings import AccessArgs
from serve_app.access import keys
from serve_app.access.keys import (
    ApiKey,
    Keyring,
    KeysError,
    digest_of,
    make_key,
    presented_in,
    read_keys,
)
from serve_app.access.limits import KeyLimits

SHA256_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"""The first example of FIPS 180-2."""


def entry(name="studio", key="abc", **limits):
    return {"name": name, "sha256": digest_of(key), **limits}


def write(path, *entries):
    path.write_text(yaml.safe_dump({"keys": list(entries)}))
    return path


def test_a_key_is_known_by_its_sha256():
    assert digest_of("abc") == SHA256_OF_ABC


def test_keys_are_long_random_and_recognisable():
    made = {make_key() for _ in range(50)}
    assert len(made) == 50
    assert all(key.startswith("isk_") and len(key) == 47 for key in made)


def test_the_file_gives_its_entries(tmp_path):
    path = write(tmp_path / "keys.yaml", entry(), entry("desk", "def", concurrent=2))
    assert [(key.name, key.concurrent) for key in read_keys(path)] == [
        ("studio", None),
        ("desk", 2),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no file of API keys"),
        ("keys: []", "see keys"),
        ("keys: [{name: a, sha256: abc}]", "see keys.0.sha256"),
        ("keys: [{name: 'a b', sha256: " + SHA256_OF_ABC + "}]", "see keys.0.name"),
        ("keys: [{name: a, key: abc, sha256: " + SHA256_OF_ABC + "}]", "see keys.0.key"),
        ("keys: [", "not YAML"),
    ],
)
def test_a_broken_file_is_refused_and_nothing_of_it_is_quoted(tmp_path, content, said):
    path = tmp_path / "keys.yaml"
    path.write_text(content)
    with pytest.raises(KeysError, match=said) as caught:
        read_keys(path)
    assert SHA256_OF_ABC not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(KeysError, match="cannot be read"):
        Keyring(tmp_path / "none.yaml")


@pytest.mark.parametrize("second", [entry("studio", "def"), entry("desk", "abc")])
def test_names_and_keys_are_there_once(tmp_path, second):
    with pytest.raises(KeysError, match="two keys have the same"):
        read_keys(write(tmp_path / "keys.yaml", entry(), second))


def test_a_ring_finds_the_entry_of_a_key(tmp_path):
    ring = Keyring(write(tmp_path / "keys.yaml", entry(), entry("desk", "def")))
    assert [ring.find(key) and ring.find(key).name for key in ("abc", "def", "ab", "")] == [
        "studio",
        "desk",
        None,
        None,
    ]
    assert ring.find(SHA256_OF_ABC) is None  # who has read the file has no key


def test_a_ring_follows_its_file_and_survives_a_broken_one(tmp_path, monkeypatch):
    path = write(tmp_path / "keys.yaml", entry())
    ring = Keyring(path)
    assert not ring.is_due
    later = time.monotonic() + 6
    monkeypatch.setattr(keys.time, "monotonic", lambda: later)
    assert ring.is_due
    write(path, entry("desk", "def"))
    ring.refresh()
    assert (ring.find("abc"), ring.find("def").name) == (None, "desk")
    os.truncate(path, 0)
    ring.refresh()
    assert ring.find("def").name == "desk"


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"authorization": "Bearer abc"}, "abc"),
        ({"authorization": "bearer  abc "}, "abc"),
        ({"x-api-key": "abc"}, "abc"),
        ({"authorization": "Basic abc", "x-api-key": "def"}, "def"),
        ({"authorization": "Bearer "}, None),
        ({}, None),
    ],
)
def test_a_key_is_presented_in_a_header(headers, key):
    assert presented_in(headers) == key


class Clock:
    """A clock that a test turns."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def api_key(**limits):
    return ApiKey(name="studio", sha256=SHA256_OF_ABC, **limits)


def send(limits, key):
    with limits.counted(key):
        pass


def test_a_sixth_of_a_minutes_requests_may_come_at_once_and_the_rest_in_their_time():
    clock, key = Clock(), api_key(requests_per_minute=30)
    limits = KeyLimits(lambda: 1, clock)
    for _ in range(5):
        send(limits, key)
    with pytest.raises(RateLimitedError, match="30 requests a minute") as caught:
        send(limits, key)
    assert caught.value.retry_after_s == pytest.approx(2)
    clock.now += 2
    send(limits, key)
    with pytest.raises(RateLimitedError):
        send(limits, key)
    clock.now += 3600
    for _ in range(5):
        send(limits, key)
    with pytest.raises(RateLimitedError):
        send(limits, key)


def test_ingress_replicas_share_a_limit():
    clock, key = Clock(), api_key(requests_per_minute=60)
    several = [KeyLimits(lambda: 4, clock) for _ in range(4)]
    granted = 0
    for _ in range(60):
        clock.now += 1
        for limits in several:
            try:
                send(limits, key)
                granted += 1
            except RateLimitedError:
                pass
    assert granted == pytest.approx(60, abs=4 * 3)  # and each replica's burst


def test_a_key_runs_so_many_requests_at_once():
    key, limits = api_key(concurrent=2), KeyLimits(lambda: 1)
    busy = pytest.raises(RateLimitedError, match="2 requests at once")
    with limits.counted(key), limits.counted(key), busy:
        send(limits, key)
    send(limits, key)
    with pytest.raises(KeyError), limits.counted(key):
        raise KeyError
    with limits.counted(key), limits.counted(key):
        pass  # the one that failed is counted off


def test_one_at_a_time_is_granted_by_every_replica():
    send(KeyLimits(lambda: 8), api_key(concurrent=2, requests_per_minute=1))


def test_keys_do_not_share_what_they_may():
    limits = KeyLimits(lambda: 1)
    other = ApiKey(name="desk", sha256="0" * 64, concurrent=1)
    with limits.counted(api_key(concurrent=1)):
        send(limits, other)


@pytest.mark.parametrize(
    "said",
    [
        {"auth": "required"},
        {"api_keys": "keys.yaml"},
        {"cors_origins": ["example.org"]},
        {"cors_origins": ["https://example.org/page"]},
        {"auth": "maybe"},
    ],
)
def test_settings_that_contradict_themselves_are_refused(said):
    with pytest.raises(ValidationError):
        AccessArgs.model_validate(said)
