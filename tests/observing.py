"""Somebody who hears everything that a replica tells, and writes it down."""

from deployments.observer import DownloadObserver, ReplicaObserver


class Downloads(DownloadObserver):
    """Collects bytes by model, and how fetches ended."""

    def __init__(self):
        self.bytes = {}
        self.outcomes = []

    def arrived(self, model, count):
        self.bytes[model] = self.bytes.get(model, 0) + count

    def ended(self, model, outcome):
        self.outcomes.append((model, outcome))


class Heard(ReplicaObserver):
    """Collects what happened, in order; seconds stand in lists of their own."""

    def __init__(self):
        self.downloads = Downloads()
        self.events = []
        self.waits = []
        self.seconds = []
        self.queue = []

    def loaded(self, model, seconds, held_bytes):
        self.events.append(("loaded", model, held_bytes))
        self.seconds.append(seconds)

    def evicted(self, models):
        self.events += [("evicted", model) for model in models]

    def waiting(self, items):
        self.queue.append(items)

    def ran(self, model, waited_s, seconds):
        self.events.append(("ran", model, len(waited_s)))
        self.waits += waited_s
        self.seconds.append(seconds)

    def failed(self, model, work, code):
        self.events.append(("failed", model, work, code))

    def cancelled(self, model):
        self.events.append(("cancelled", model))
