"""Who reaches whom, by the network policies of each overlay."""

import pytest

from tests.k8s.policies import OUTSIDE, Pod, allowed

STRANGER = Pod.of({"app": "something"}, "default")
OPERATOR = Pod.of({"app.kubernetes.io/name": "kuberay-operator"}, "kuberay-system")
PRETENDER = Pod.of({"app.kubernetes.io/name": "kuberay-operator"}, "default")
NEIGHBOUR = Pod.of({"app": "something"}, "kuberay-system")
NEWCOMER = Pod.of({"app": "something"}, "inpaint")
PROMETHEUS = Pod.of({"app.kubernetes.io/name": "prometheus"}, "monitoring")
DNS = Pod.of({"k8s-app": "kube-dns"}, "kube-system")
EDGE = "Deployment/inpaint-edge"
REDIS = "StatefulSet/inpaint-redis"
JOB = "Job/inpaint-models"

OTHERS = [OUTSIDE, STRANGER, PRETENDER, NEIGHBOUR, NEWCOMER, JOB, REDIS]

GCS, CLIENT, DASHBOARD, SERVE, REPLICAS = 6379, 10001, 8265, 8000, 30000


@pytest.fixture
def reaches(composed):
    policies = composed.of_kind("NetworkPolicy")
    pods = {name: Pod.of(labels) for name, labels in composed.pods().items()}

    def reaches(source, target, port, protocol="TCP"):
        source, target = pods.get(source, source), pods.get(target, target)
        return allowed(policies, source, target, port, protocol)

    return reaches


@pytest.fixture
def workers(composed):
    return [group["groupName"] for group in composed.groups]


@pytest.mark.parametrize("source", [*OTHERS, DNS, EDGE])
@pytest.mark.parametrize("port", [GCS, CLIENT, DASHBOARD, SERVE, 8080, 52365])
def test_nobody_else_reaches_the_head(reaches, source, port):
    assert not reaches(source, "head", port)


@pytest.mark.parametrize("source", OTHERS)
@pytest.mark.parametrize("port", [SERVE, REPLICAS, 8080, 52365, 10002])
def test_nobody_else_reaches_a_worker(reaches, workers, source, port):
    assert not any(reaches(source, worker, port) for worker in workers)


def test_the_edge_reaches_workers_where_serve_listens_and_nothing_else(reaches, workers):
    assert all(reaches(EDGE, worker, SERVE) for worker in workers)
    assert not any(reaches(EDGE, worker, port) for worker in workers for port in (REPLICAS, 52365))


def test_clients_reach_the_edge(reaches):
    assert reaches(OUTSIDE, EDGE, 8080)
    assert reaches(STRANGER, EDGE, 8080)


def test_the_cluster_talks_among_itself(reaches, workers):
    for one in [*workers, "head"]:
        assert reaches(one, "head", GCS)
        for other in workers:
            assert reaches(one, other, REPLICAS)


def test_the_operator_reaches_the_dashboard_and_no_other_port(reaches, workers):
    assert reaches(OPERATOR, "head", DASHBOARD)
    assert not reaches(OPERATOR, "head", CLIENT)
    assert not any(reaches(OPERATOR, worker, DASHBOARD) for worker in workers)


def test_redis_hears_the_head_alone(reaches, workers):
    assert reaches("head", REDIS, 6379)
    assert reaches("redis-cleanup", REDIS, 6379)
    for source in (*workers, EDGE, JOB, STRANGER, OUTSIDE):
        assert not reaches(source, REDIS, 6379)


def test_workers_reach_nothing_outside(reaches, workers):
    assert not any(reaches(worker, OUTSIDE, port) for worker in workers for port in (80, 443))
    assert not reaches(EDGE, OUTSIDE, 443)
    assert not reaches(REDIS, OUTSIDE, 443)


def test_the_download_and_the_autoscaler_reach_what_they_need(reaches):
    assert reaches(JOB, OUTSIDE, 443)
    assert reaches("head", OUTSIDE, 443)
    assert not reaches(JOB, OUTSIDE, 22)


def test_a_pod_that_no_policy_names_is_shut_both_ways(reaches):
    assert not reaches(STRANGER, NEWCOMER, 80)
    assert not reaches(NEWCOMER, OUTSIDE, 443)
    assert not reaches(STRANGER, JOB, 80)


def test_every_pod_asks_dns(reaches, workers):
    for one in [*workers, "head", EDGE, REDIS, JOB]:
        assert reaches(one, DNS, 53, "UDP")


def test_prometheus_reaches_metrics_where_it_is_wanted(composed, reaches, workers):
    is_wanted = bool(composed.of_kind("PodMonitor"))
    for worker in workers:
        assert reaches(PROMETHEUS, worker, 8080) is is_wanted
        assert not reaches(PROMETHEUS, worker, SERVE)
    assert reaches(PROMETHEUS, "head", 44217) is is_wanted
    assert not reaches(PROMETHEUS, "head", DASHBOARD)
