"""AnyText's own networks against IOPaint's answers and independent formulas."""

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from transformers import CLIPTokenizer

from deployments.models.any_text_control import GlyphHint
from deployments.models.any_text_embeddings import LineEncoder, encode_texts, placeholder_token
from deployments.models.any_text_files import AnyTextParts, read_any_text
from deployments.models.ldm_samplers import SD15_BETAS, plan_steps, signal_shares
from deployments.models.stable_diffusion_parts import Plan
from deployments.models.text_recogniser import RecogniserWidths
from inpaint.diffusion import NO_ADAPTERS
from inpaint.errors import ParamsError
from inpaint.protocols import LoadOptions
from tests.models.any_text_probes import answers, probes
from tests.standins.clip_vocabulary import write_vocabulary
from tests.standins.diffusion import random_text_encoder


@pytest.fixture(scope="module")
def parts(any_text_folder) -> AnyTextParts:
    return read_any_text(any_text_folder, Plan.of("fp16", LoadOptions(), NO_ADAPTERS))


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """A tokenizer and an encoder of texts."""
    folder = tmp_path_factory.mktemp("words")
    entries = write_vocabulary(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = random_text_encoder(entries).eval().requires_grad_(False)
    return CLIPTokenizer.from_pretrained(folder), encoder


@pytest.fixture(scope="module")
def asked():
    return {name: torch.from_numpy(values) for name, values in probes().items()}


@torch.no_grad()
def test_recogniser_sees_what_iopaints_does(parts, asked):
    seen = parts.line_encoder.recogniser(asked["picture"])
    assert seen.shape == (1, 40, 16)
    np.testing.assert_allclose(seen[0], answers()["recogniser"], atol=2e-5)


@torch.no_grad()
def test_control_network_answers_as_iopaints_does(parts, asked):
    hint = parts.hint(asked["glyphs"], asked["places"], asked["known"])
    assert hint.shape == (1, 32, 16, 24)
    down, middle = parts.control(
        asked["latents"], 321, asked["texts"], controlnet_cond=hint, return_dict=False
    )
    wanted = answers()["control"]
    assert len(wanted) == len(down) + 1 == 13
    for answer, numbers in zip([*down, middle], wanted, strict=True):
        flat = answer.flatten()
        seen = flat[:: max(1, len(flat) // 16)][:16]
        np.testing.assert_allclose(seen, numbers, rtol=1e-4, atol=1e-3)


@torch.no_grad()
def test_hint_is_local_and_each_of_its_sources_counts():
    """Sixteen glyph dots, eight of the picture's and one latent make one value of the hint."""
    torch.manual_seed(0)
    network = GlyphHint(32)
    given = [torch.zeros(1, 1, 256, 256), torch.zeros(1, 1, 128, 128), torch.zeros(1, 4, 16, 16)]
    usual = network(*given)
    assert usual.shape == (1, 32, 16, 16)
    for index, scale in enumerate((16, 8, 1)):
        changed = [tensor.clone() for tensor in given]
        changed[index][..., 8 * scale, 8 * scale] = 1
        moved = (network(*changed) - usual).abs().amax(dim=(0, 1)) > 0
        assert moved[8, 8]
        assert not moved[:4].any()
        assert not moved[:, 13:].any()


@torch.no_grad()
def test_a_strip_is_read_at_48_px_and_the_rest_is_grey():
    """Against numpy's interpolation, axis by axis, between the outermost pixels."""
    network = LineEncoder(RecogniserWidths(4, 24, 16), 64).eval()
    seen = []
    network.recogniser.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    strip = np.random.default_rng(0).integers(0, 2, (80, 512)).astype(np.float32)
    network(torch.from_numpy(strip)[None])
    rows = np.array([np.interp(np.linspace(0, 511, 308), range(512), row) for row in strip])
    whole = np.array([np.interp(np.linspace(0, 79, 48), range(80), column) for column in rows.T]).T
    [picture] = seen
    assert picture.shape == (1, 3, 48, 320)
    for channel in picture[0]:
        np.testing.assert_allclose(channel[:, :308], 2 * whole - 1, atol=1e-4)
        assert not channel[:, 308:].any()


@torch.no_grad()
def test_a_line_takes_the_place_of_a_word(words):
    """With a word's own embedding for a line, the text is the one with that word."""
    tokenizer, encoder = words
    [cat] = tokenizer("cat", add_special_tokens=False).input_ids
    [dog] = tokenizer("dog", add_special_tokens=False).input_ids
    lines = encoder.get_input_embeddings().weight[[cat, dog]]
    encoded = encode_texts(["a * and b *", "no sign"], lines, tokenizer, encoder)
    nothing = torch.zeros(1, 64)
    for row, text in zip(encoded, ["a cat and b dog", "no sign"], strict=True):
        plain = encode_texts([text], nothing, tokenizer, encoder)
        torch.testing.assert_close(row[None], plain)
    ids = tokenizer(["a cat and b dog"], padding="max_length", max_length=77, return_tensors="pt")
    torch.testing.assert_close(encoded[:1], encoder(ids.input_ids).last_hidden_state)


@torch.no_grad()
def test_lines_leave_the_encoder_as_it_was(words):
    tokenizer, encoder = words
    before = encode_texts(["a * b"], torch.ones(1, 64), tokenizer, encoder)
    encode_texts(["a * b"], -torch.ones(1, 64), tokenizer, encoder)
    assert not encoder.get_input_embeddings()._forward_hooks
    torch.testing.assert_close(
        encode_texts(["a * b"], torch.ones(1, 64), tokenizer, encoder), before, rtol=0, atol=0
    )


def test_a_line_beyond_what_clip_reads_is_refused(words):
    tokenizer, encoder = words
    lines = torch.zeros(2, 64)
    encode_texts(["cat " * 70 + "* *"], lines, tokenizer, encoder)
    with pytest.raises(ParamsError, match="line 2 comes after the 77 tokens"):
        encode_texts(["*" + " cat" * 80 + " *"], lines, tokenizer, encoder)


def test_placeholder_is_the_word_and_not_the_letter(words):
    tokenizer, _ = words
    assert tokenizer.convert_ids_to_tokens(placeholder_token(tokenizer)) == "*</w>"


def test_noise_is_spread_as_stable_diffusions():
    scheduler = DDIMScheduler(1000, *SD15_BETAS, beta_schedule="scaled_linear")
    torch.testing.assert_close(signal_shares(SD15_BETAS), scheduler.alphas_cumprod)
    first, *_, last = plan_steps(20, SD15_BETAS)
    assert first.timestep == 951
    assert (last.timestep, last.next_signal) == (1, scheduler.alphas_cumprod[0].item())
