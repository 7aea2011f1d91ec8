"""A model whose weights are missing: fetched in the background by a real service."""

from tests.conftest import png
from tests.serve.conftest import wait_for
from tests.serve.scraping import scrape

MODEL = "stored-fill"


def ask(client, image, mask):
    files = {"image": png(image), "mask": png(mask)}
    return client.post("/inpaint", files=files, data={"model": MODEL})


def test_missing_model_is_fetched_while_the_service_goes_on(client, weights, photo, hole):
    weights.gate.clear()
    answer = ask(client, photo, hole)
    assert answer.status_code == 503, answer.text
    assert answer.json()["type"] == "/problems/weights-downloading"
    assert int(answer.headers["Retry-After"]) > 0

    def states():  # asked often enough to hear both ingress replicas
        cards = [client.get(f"/models/{MODEL}").json() for _ in range(8)]
        return {card["state"] for card in cards}

    assert wait_for(lambda: states() == {"downloading"}, 30)
    files = {"image": png(photo), "mask": png(hole)}
    other = client.post("/inpaint", files=files, data={"model": "mean-fill"})
    assert other.status_code == 200, other.text
    weights.gate.set()
    answer = wait_for(lambda: (last := ask(client, photo, hole)).status_code == 200 and last, 30)
    assert answer.headers["X-Model"] == MODEL
    assert wait_for(lambda: states() == {"loaded"}, 30)
    assert len(weights.requests_of("/stored-fill.bin")) == 1


def test_what_was_fetched_is_counted():
    """Reads what the test before it has left."""
    size, outcome = 7000, {"model": MODEL, "outcome": "ok"}
    wait_for(lambda: scrape().sum("ray_inpaint_downloads_total", **outcome) == 1, 30)
    assert scrape().sum("ray_inpaint_downloaded_bytes_total", model=MODEL) == size
