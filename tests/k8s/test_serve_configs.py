"""The Serve config inside each RayService: written anew from its sources, and fit for its pods."""

import math

import pytest
import yaml
from ray._private.label_utils import validate_label_key, validate_label_value

from k8s.generate import PATCH, Changes, merged, overlays, patch, serve_config
from serve_app.config_check import check
from tests.k8s.composed import amount

EACH_OVERLAY = pytest.mark.parametrize("overlay", overlays(), ids=lambda folder: folder.name)


@EACH_OVERLAY
def test_what_is_kept_is_what_the_sources_make(overlay):
    assert (overlay / PATCH).read_text() == patch(overlay), "run `make k8s`"


@EACH_OVERLAY
def test_the_patch_sets_what_was_made(overlay):
    [operation] = yaml.safe_load(patch(overlay))
    assert (operation["op"], operation["path"]) == ("add", "/spec/serveConfigV2")
    assert yaml.safe_load(operation["value"]) == serve_config(overlay)


@EACH_OVERLAY
def test_the_serve_config_passes_the_strict_checker(overlay):
    assert check(serve_config(overlay)) == []


@EACH_OVERLAY
def test_pods_listen_to_each_other(overlay):
    assert serve_config(overlay)["http_options"]["host"] == "0.0.0.0"  # noqa: S104


@EACH_OVERLAY
def test_threads_are_bounded_wherever_pods_have_fewer_cores_than_their_node(overlay):
    app, _ = serve_config(overlay)["applications"]
    gpus = any("gpu" in str(entry.get("ray_actor_options", {}).get("label_selector"))
               for entry in app["deployments"])  # fmt: skip
    for entry in app["deployments"]:
        takes_gpu = entry["ray_actor_options"].get("num_gpus", 0) > 0
        if entry["name"] == "Registry" or (takes_gpu and not gpus):
            continue
        config = entry["user_config"]
        assert 1 <= config.get("threads", config.get("pixel_threads")) <= 2, entry["name"]


def test_changes_go_into_blocks_and_replace_values():
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    result = merged(base, {"a": {"c": [3]}}, {"d": {"e": 2}})
    assert result == {"a": {"b": 1, "c": [3]}, "d": {"e": 2}}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 1}


@pytest.mark.parametrize("text", [
    "source: serve_config.yaml\ndeployments: {Erace: {max_ongoing_requests: 1}}",
    "source: serve_config.yaml\nfamilies: {Erace: {device: cpu}}",
    "source: serve_config.yaml\ndeployment: {Erase: {max_ongoing_requests: 1}}",
])  # fmt: skip
def test_changes_of_what_is_not_there_are_refused(tmp_path, text):
    (tmp_path / "serve.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"Erace|deployment"):
        serve_config(tmp_path)


def test_rules_for_gpus_look_at_the_share_after_the_overlay_has_changed_it(tmp_path):
    changes = Changes(
        source="configs/app/gpu-24gb.yaml",
        with_gpu={"user_config": {"threads": 7}},
        deployments={"OCR": {"ray_actor_options": {"num_gpus": 0}}},
    )
    (tmp_path / "serve.yaml").write_text(yaml.safe_dump(changes.model_dump()))
    app, _ = serve_config(tmp_path)["applications"]
    threads = {one["name"]: one.get("user_config", {}).get("threads") for one in app["deployments"]}
    assert threads["Erase"] == threads["SD15"] == threads["SDXL"] == 7
    assert threads["OCR"] is None


def room(group):
    """CPUs and GPUs of one pod of a worker group."""
    limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
    return amount(limits["cpu"]), amount(limits.get("nvidia.com/gpu", "0"))


def share(entry):
    options = entry["ray_actor_options"]
    return options.get("num_cpus", 1), options.get("num_gpus", 0)


def least(entry):
    return entry.get("autoscaling_config", {}).get("min_replicas", entry.get("num_replicas", 1))


def hosts(composed, entry):
    """The groups whose pods have the labels and the room that a deployment asks for."""
    wanted = entry["ray_actor_options"].get("label_selector", {}).items()
    cpus, gpus = share(entry)
    return [
        group
        for group in composed.groups
        if wanted <= group["labels"].items() and room(group)[0] >= cpus and room(group)[1] >= gpus
    ]


def test_every_deployment_has_workers_that_can_hold_it(composed):
    app, _ = composed.serve_config["applications"]
    scalable = app["args"]["cluster"]["scalable"]
    has_gpus = any(room(group)[1] for group in composed.groups)
    for name, entry in composed.deployments.items():
        if has_gpus or not share(entry)[1]:
            assert hosts(composed, entry), name
        else:
            # Answered 503 no-gpu, which it is where the cluster says that no node may come.
            assert scalable is False
            assert least(entry) == 0


def test_what_is_always_there_fits_the_smallest_cluster(composed):
    for group in composed.groups:
        at_rest = [one for one in composed.deployments.values() if group in hosts(composed, one)]
        cpus = sum(share(entry)[0] * least(entry) for entry in at_rest)
        gpus = sum(share(entry)[1] * least(entry) for entry in at_rest)
        assert cpus <= room(group)[0] * group["minReplicas"], group["groupName"]
        assert gpus <= room(group)[1] * group["minReplicas"], group["groupName"]


def test_what_may_come_fits_the_largest_cluster(composed):
    for group in composed.groups:
        cpus, gpus = 0.0, 0.0
        for entry in composed.deployments.values():
            if group in hosts(composed, entry) and composed.folder.name != "one-gpu":
                most = entry.get("autoscaling_config", {}).get("max_replicas", 1)
                cpus, gpus = cpus + share(entry)[0] * most, gpus + share(entry)[1] * most
        assert cpus <= room(group)[0] * group["maxReplicas"], group["groupName"]
        assert math.ceil(gpus) <= room(group)[1] * group["maxReplicas"], group["groupName"]


def test_nothing_runs_on_the_head(composed):
    head = composed.cluster["headGroupSpec"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert head["rayStartParams"]["num-gpus"] == "0"
    assert composed.of_kind("RayService")[0]["spec"]["excludeHeadPodFromServeSvc"] is True
    for name, entry in composed.deployments.items():
        selector = entry["ray_actor_options"].get("label_selector")
        assert selector or sum(share(entry)) > 0, name


def test_labels_are_ones_that_ray_takes(composed):
    for group in composed.groups:
        for key, value in group["labels"].items():
            assert validate_label_key(key) is None
            assert validate_label_value(value) is None


def test_one_workers_end_leaves_an_ingress(composed):
    ingress = composed.deployments["Ingress"]
    workers = sum(group["minReplicas"] for group in hosts(composed, ingress))
    if workers > 1:
        assert least(ingress) > ingress["max_replicas_per_node"]


def env_of(template):
    return {one["name"]: one["value"] for one in template["spec"]["containers"][0]["env"]}


def test_head_and_workers_agree_on_how_requests_travel(composed):
    ray = [composed.cluster["headGroupSpec"], *composed.groups]
    environments = [env_of(group["template"]) for group in ray]
    assert all(one == environments[0] for one in environments)
    assert environments[0]["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
    assert "RAY_SERVE_THROUGHPUT_OPTIMIZED" not in environments[0]


def test_timeouts_grow_from_the_inside_out(composed):
    longest = composed.deployments["Ingress"]["user_config"]["max_timeout_s"]
    serve_s = composed.serve_config["http_options"]["request_timeout_s"]
    env = env_of(composed.cluster["headGroupSpec"]["template"])
    haproxy = [int(env[f"RAY_SERVE_HAPROXY_{name}"]) for name in
               ("HARD_STOP_AFTER_S", "TIMEOUT_CLIENT_S", "TIMEOUT_SERVER_S")]  # fmt: skip
    service = composed.of_kind("RayService")[0]["spec"]
    assert longest < serve_s < min(haproxy)
    assert serve_s < service["rayClusterDeletionDelaySeconds"]
    for group in composed.groups:
        assert serve_s < group["template"]["spec"]["terminationGracePeriodSeconds"]
    edge = composed.named("Deployment", "inpaint-edge")["spec"]["template"]["spec"]
    assert serve_s + 10 < edge["terminationGracePeriodSeconds"]


def test_a_cluster_without_a_second_gpu_is_not_replaced_by_a_second_one(composed):
    strategy = composed.of_kind("RayService")[0]["spec"]["upgradeStrategy"]["type"]
    gpus = [group for group in composed.groups if room(group)[1]]
    only_one = sum(group["maxReplicas"] for group in gpus) == 1
    assert strategy == ("None" if only_one else "NewCluster")
