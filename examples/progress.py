"""Watch a model with a prompt at work; Ctrl-C ends the run on the server, too.

python examples/progress.py photo.jpg mask.png out.png --model NAME --prompt "a red bench"
"""

import argparse
import os
from pathlib import Path

from inpaint_client import Client, Finished, Restarted, Started, Step

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("image")
parser.add_argument("mask")
parser.add_argument("output", type=Path)
parser.add_argument("--model", required=True)
parser.add_argument("--prompt", default="")
parser.add_argument("--steps", type=int, default=30)
parser.add_argument("--url", default="http://127.0.0.1:8080")
args = parser.parse_args()

with Client(args.url, api_key=os.environ.get("INPAINT_API_KEY")) as client:
    events = client.inpaint_stream(
        args.image,
        args.mask,
        previews=True,
        model=args.model,
        prompt=args.prompt,
        sd_steps=args.steps,
    )
    for event in events:
        match event:
            case Started(model, seed, request_id):
                print(f"{model} paints with seed {seed}; the request's id is {request_id}")
            case Step(step, total, elapsed_ms, preview):
                print(f"step {step} of {total} after {elapsed_ms / 1000:.1f} s")
                if preview is not None:
                    args.output.with_suffix(".preview.jpg").write_bytes(preview)
            case Restarted():
                print("the replica was lost; the run begins anew")
            case Finished(result):
                result.save(args.output)
                print(f"{args.output}: {len(result.data)} bytes")
