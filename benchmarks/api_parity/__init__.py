"""Our `/api/v1` against a real IOPaint's, call by call.

    python -m benchmarks.api_parity --peer-python ~/peer/bin/python

* `files`          pictures in every format and mode
* `calls`          what a case is
* `picture_cases`  calls whose answer is a picture; `other_cases` all others
* `compare`        what differs between two answers
* `expected`       the differences that are meant, each with its reason
* `report`         a table, JSON, and rows for docs/parity.md
"""
