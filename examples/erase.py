"""Erase what a mask marks.

python examples/erase.py photo.jpg mask.png clean.jpg --model lama
"""

import argparse
import os

from inpaint_client import Client, UnavailableError, UnknownModelError

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("image")
parser.add_argument("mask")
parser.add_argument("output")
parser.add_argument("--model", default="lama")
parser.add_argument("--url", default="http://127.0.0.1:8080")
args = parser.parse_args()

with Client(args.url, api_key=os.environ.get("INPAINT_API_KEY")) as client:
    try:
        result = client.inpaint(args.image, args.mask, model=args.model)
    except UnknownModelError:
        names = [card.name for card in client.models().models if card.available]
        raise SystemExit(f"There is no model {args.model}; there are: {', '.join(names)}") from None
    except UnavailableError as error:  # after the retries that the server asked for
        raise SystemExit(f"Not now: {error.detail}") from None

result.save(args.output)
print(f"{args.output}: {result.model}, {result.timings_ms['total']:.0f} ms on the server")
