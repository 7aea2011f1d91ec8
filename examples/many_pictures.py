"""Erase the same place of many pictures, a few at a time.

python examples/many_pictures.py mask.png folder/*.jpg --output clean

For whole folders there is a command, `python main.py run`; this shows how it is done.
"""

import argparse
import asyncio
import os
from pathlib import Path

from inpaint_client import AsyncClient, InpaintClientError, RetryPolicy

AT_ONCE = 4


async def erase(
    client: AsyncClient, room: asyncio.Semaphore, image: Path, mask: Path, output: Path
) -> bool:
    """Whether it was done; what went wrong is printed, and the others go on."""
    async with room:
        try:
            result = await client.inpaint(image, mask, model="cv2")
        except InpaintClientError as error:
            print(f"{image}: {error}")
            return False
    await asyncio.to_thread(result.save, output / f"{image.stem}.{result.format}")
    return True


async def main() -> None:
    """All pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mask", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    room = asyncio.Semaphore(AT_ONCE)
    retries = RetryPolicy(attempts=20, total_s=300)  # a batch can wait for a busy server
    key = os.environ.get("INPAINT_API_KEY")
    async with AsyncClient(args.url, api_key=key, retries=retries) as client:
        jobs = [erase(client, room, image, args.mask, args.output) for image in args.images]
        done = await asyncio.gather(*jobs)
    print(f"{sum(done)} of {len(done)} done")


asyncio.run(main())
