"""Manifests as the API server and KubeRay would look at them."""

import copy
import re
import tomllib
from pathlib import PurePosixPath

import pytest
import yaml

from inpaint.catalog import Catalog
from inpaint.resources import configs_dir
from k8s.generate import K8S, ROOT
from tests.k8s.schemas import FOLDER, built_in_error, custom_errors, is_built_in

KUBERNETES = ("1.29", "1.33", "1.37")
CATALOG = Catalog.read(configs_dir())


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_manifest_of_kubernetes_own_kinds_is_valid(composed, version):
    own = [manifest for manifest in composed.manifests if is_built_in(manifest)]
    assert len(own) > 10
    assert [error for one in own if (error := built_in_error(one, version))] == []


@pytest.mark.parametrize("kind", ["RayService", "PodMonitor", "Gateway", "HTTPRoute"])
def test_every_custom_resource_is_valid(composed, kind):
    for manifest in composed.of_kind(kind):
        errors = custom_errors(manifest)
        if errors is None:
            pytest.skip(f"no definition of {kind} in {FOLDER.name}; KUBERNETES_CRDS names a folder")
        assert errors == []


def test_a_misspelt_field_of_a_rayservice_is_found(composed):
    [service] = copy.deepcopy(composed.of_kind("RayService"))
    cluster = service["spec"]["rayClusterConfig"]
    cluster["workerGroupSpecs"][0]["minReplica"] = 1
    cluster["headGroupSpec"]["template"]["spec"]["containers"][0]["image"] = 3
    errors = custom_errors(service)
    if errors is None:
        pytest.skip(f"no definition of RayService in {FOLDER.name}")
    assert len(errors) == 2
    assert any("minReplica" in error for error in errors)


def test_the_ingress_of_the_other_way_in_is_valid():
    manifest = yaml.safe_load((K8S / "components" / "ingress" / "ingress.yaml").read_text())
    assert [built_in_error(manifest, version) for version in KUBERNETES] == [""] * len(KUBERNETES)


def test_all_live_in_one_namespace(composed):
    assert {
        manifest["metadata"].get("namespace")
        for manifest in composed.manifests
        if manifest["kind"] != "Namespace"
    } == {"inpaint"}
    assert composed.of_kind("Namespace")[0]["metadata"]["name"] == "inpaint"


def test_pods_satisfy_the_restricted_profile_that_the_namespace_enforces(composed):
    labels = composed.of_kind("Namespace")[0]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    containers = [("autoscaler", composed.cluster["autoscalerOptions"])]
    for name, template in composed.pod_templates():
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod.keys(), name
        kinds = {kind for volume in pod["volumes"] for kind in volume} - {"name"}
        assert kinds <= {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}, name
        containers += [(name, container) for container in pod["containers"]]
    for name, container in containers:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, name
        assert context["capabilities"] == {"drop": ["ALL"]}, name
        assert {"memory"} <= container["resources"]["limits"].keys(), name


def test_only_the_head_may_ask_the_api_server(composed):
    for name, template in composed.pod_templates():
        automounts = template["spec"].get("automountServiceAccountToken", True)
        assert automounts is (name == "head"), name


def test_images_are_pinned_to_this_version(composed):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    gpus = any("gpu" in group["groupName"] for group in composed.groups)
    ours = f"registry.example.com/inpaint-serve:{version}-{'cuda' if gpus else 'cpu'}"
    images = {
        name: container["image"]
        for name, template in composed.pod_templates()
        for container in template["spec"]["containers"]
    }
    others = {"Deployment/inpaint-edge", "StatefulSet/inpaint-redis"}
    assert {image for name, image in images.items() if name not in others} == {ours}
    assert all(re.search(r":\d+\.\d+\.\d+", images[name]) for name in others)


def test_ray_is_the_version_that_is_installed(composed):
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    assert f"ray=={composed.cluster['rayVersion']}" in pins


def test_what_pods_name_exists(composed):
    claims, maps = set(), set()
    secrets = set(re.findall(r"'secretKeyRef': {[^}]*'name': '([^']+)'", str(composed.manifests)))
    for _, template in composed.pod_templates():
        for volume in template["spec"]["volumes"]:
            claims.add(volume.get("persistentVolumeClaim", {}).get("claimName"))
            maps.add(volume.get("configMap", {}).get("name"))
            secrets.add(volume.get("secret", {}).get("secretName"))
    for kind, names in (("PersistentVolumeClaim", claims), ("ConfigMap", maps)):
        assert names - {None} == {one["metadata"]["name"] for one in composed.of_kind(kind)}
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    assert secrets - {None} == {"inpaint-redis", "inpaint-api-keys"}
    assert all(f"create secret generic {name}" in page for name in secrets - {None})


def test_no_secret_is_kept_here(composed):
    assert composed.of_kind("Secret") == []
    written = [path.read_text() for path in K8S.rglob("*.yaml")]
    assert not any(re.search(r"(password|token|key): *[\"']?\w{12,}", text) for text in written)


def test_replicas_read_the_volume_that_the_job_alone_writes(composed):
    app, _ = composed.serve_config["applications"]
    folder = app["args"]["model_dir"]
    assert app["args"]["model_dir_access"] == "readonly"
    for name, template in composed.pod_templates():
        mounts = template["spec"]["containers"][0]["volumeMounts"]
        for mount in (one for one in mounts if one["name"] == "models"):
            assert mount["mountPath"] == folder, name
            assert mount.get("readOnly", False) is (name != "Job/inpaint-models"), name


def test_whoever_runs_the_ingress_has_the_file_of_keys(composed):
    app, _ = composed.serve_config["applications"]
    assert app["args"]["access"]["auth"] == "required"
    file = PurePosixPath(app["args"]["access"]["api_keys"])
    for group in composed.groups:
        pod = group["template"]["spec"]
        [volume] = [one for one in pod["volumes"] if "secret" in one]
        [mount] = [
            one for one in pod["containers"][0]["volumeMounts"] if one["name"] == volume["name"]
        ]
        assert mount["mountPath"] == str(file.parent)
        assert "subPath" not in mount  # such a file would never change
        assert volume["secret"]["secretName"] == "inpaint-api-keys"
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    assert f"--from-file={file.name}" in page


def test_the_job_fetches_models_that_this_overlay_serves(composed):
    [container] = composed.named("Job", "inpaint-models")["spec"]["template"]["spec"]["containers"]
    app, _ = composed.serve_config["applications"]
    assert container["command"] == ["inpaint-serve", "download", "--model-dir=/models"]
    served = {family["deployment"] for family in app["args"]["families"]}
    names = [argument.removeprefix("--model=") for argument in container["args"]]
    assert app["args"]["default_models"][0] in names
    for name in names:
        assert CATALOG.adapter(name) is not None or CATALOG.get(name).family in served


def test_a_volume_that_several_nodes_mount_is_shared(composed):
    [claim] = composed.of_kind("PersistentVolumeClaim")
    if composed.folder.name == "production":
        assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


def test_disruption_budgets_leave_something_to_evict_and_something_to_serve(composed):
    groups = {group["groupName"]: group["minReplicas"] for group in composed.groups}
    edges = composed.named("Deployment", "inpaint-edge")["spec"]["replicas"]
    pods = composed.pods()
    guarded = set()
    for budget in composed.of_kind("PodDisruptionBudget"):
        spec = budget["spec"]
        wanted = spec["selector"]["matchLabels"].items()
        [name] = [name for name, labels in pods.items() if wanted <= labels.items()]
        guarded.add(name)
        if name in groups:
            # A RayCluster has no scale subresource: Kubernetes cannot work maxUnavailable out.
            assert 1 <= spec["minAvailable"] < groups[name]
        else:
            assert spec["maxUnavailable"] < edges
    several = {name for name, least in groups.items() if least > 1}
    assert guarded == several | {"Deployment/inpaint-edge"}


def test_monitors_ask_ports_that_pods_have(composed):
    pods = composed.pods()
    ports = {
        name: {port["name"] for port in template["spec"]["containers"][0].get("ports", [])}
        for name, template in composed.pod_templates()
    }
    for monitor in composed.of_kind("PodMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        found = [name for name, labels in pods.items() if wanted <= labels.items()]
        assert found
        asked = {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]}
        assert all(asked <= ports[name] for name in found)


def test_services_select_pods_that_listen(composed):
    pods, templates = composed.pods(), dict(composed.pod_templates())
    for service in composed.of_kind("Service"):
        wanted = service["spec"]["selector"].items()
        [name] = [name for name, labels in pods.items() if wanted <= labels.items()]
        [container] = templates[name]["spec"]["containers"]
        listening = {one["name"] for one in container["ports"]}
        listening |= {one["containerPort"] for one in container["ports"]}
        for port in service["spec"]["ports"]:
            assert port.get("targetPort", port["port"]) in listening
