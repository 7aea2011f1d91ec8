"""Erase the text of a picture, but for lines that say what is to stay.

python examples/remove_text.py photo.jpg clean.jpg --keep "^Total"
"""

import argparse
import os

from inpaint_client import Client, RemoveTextParams

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("image")
parser.add_argument("output")
parser.add_argument("--keep", help="lines that match this pattern stay")
parser.add_argument("--model", default="lama")
parser.add_argument("--url", default="http://127.0.0.1:8080")
args = parser.parse_args()

params: RemoveTextParams = {"model": args.model, "mask_mode": "stroke"}
if args.keep:
    params["keep"] = args.keep

with Client(args.url, api_key=os.environ.get("INPAINT_API_KEY")) as client:
    result = client.remove_text(args.image, **params)

for region in result.regions:
    print(f"{region.fate}: {region.text!r} ({region.score:.2f})")
result.save(args.output)
print(f"{args.output}: {result.removed} of {result.found} lines erased, {result.remaining} remain")
