"""The networks of tests/standins/zits.py. Small, but every input changes the output."""

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

WIDTH = 8


class Wireframe(nn.Module):
    """(1, 3, 512, 512) to a dictionary of lines, one for each cell of 64 px that stands out.

    As the published network it fails where nothing stands out: it takes a minimum over nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 5, 1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        cells = avg_pool2d(image, 64)
        contrast = (cells - cells.mean(dim=(2, 3), keepdim=True)).abs().sum(dim=1).flatten()
        found = self.mix(cells)[0].flatten(1).t()[contrast > 0.5]
        ends = torch.sigmoid(3 * (found[:, :4] - found[:, :4].min(dim=0)[0] - 1))
        scores = torch.sigmoid(4 * found[:, 4] + 1)
        return {
            "lines_pred": ends[scores > 0.05],
            "lines_score": scores[scores > 0.05],
            "num_proposals": torch.tensor(found.size(0)),
        }


class EdgeLine(nn.Module):
    """(1, 3, H, W) -1..1 and three maps to the logits of two."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(6, WIDTH, 9, padding=4)
        self.out = nn.Conv2d(WIDTH, 2, 3, padding=1)

    def forward(
        self, img: Tensor, edge: Tensor, line: Tensor, masks: Tensor
    ) -> tuple[Tensor, Tensor]:
        hidden = torch.tanh(3 * self.mix(torch.cat([img, edge, line, masks], dim=1)))
        logits = 4 * self.out(hidden)
        return logits[:, :1] - 1, logits[:, 1:]


class Upsample(nn.Module):
    """(1, 1, H, W) to logits of (1, 1, 2H, 2W)."""

    def __init__(self) -> None:
        super().__init__()
        self.grow = nn.ConvTranspose2d(1, 1, 4, stride=2, padding=1)

    def forward(self, structure: Tensor) -> Tensor:
        logits: Tensor = 4 * self.grow(structure) - 2
        return logits


class Inpaint(nn.Module):
    """Six inputs to (1, 3, H, W) 0..1."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(6, WIDTH, 7, padding=3)
        self.depth = nn.Embedding(128, WIDTH)
        self.direction = nn.Linear(4, WIDTH)
        self.out = nn.Conv2d(WIDTH, 3, 3, padding=1)

    def forward(
        self,
        images: Tensor,
        masks: Tensor,
        edge: Tensor,
        line: Tensor,
        rel_pos: Tensor,
        direct: Tensor,
    ) -> Tensor:
        known = torch.cat([images * (1 - masks), masks, edge, line], dim=1)
        places = self.depth(rel_pos) + self.direction(direct.float())
        return torch.sigmoid(4 * self.out(torch.tanh(self.mix(known) + places.permute(0, 3, 1, 2))))
