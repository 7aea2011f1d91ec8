"""BrushNet's network, and a UNet that it guides."""

import json

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional

from deployments.models.brushnet import BrushNet, BrushNetConfig, Residuals
from deployments.models.brushnet_files import read_brushnet
from deployments.models.brushnet_unet import BrushNetUNet, adding
from tests.standins.brushnet import (
    DATA,
    random_weights,
    record,
    small_config,
    small_shapes,
    write_brushnet,
)
from tests.standins.diffusion import SECOND_WIDTH, random_unet

FAMILIES = ["sd15", "sdxl"]
STEP = torch.tensor(321)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture(scope="module")
def network(family, tmp_path_factory):
    folder = write_brushnet(tmp_path_factory.mktemp("brushnet") / family, family)
    return read_brushnet(folder, torch.float32)


@pytest.fixture(scope="module")
def unet(family):
    unet = random_unet(family, 4)
    shapes = {key: value.shape for key, value in unet.state_dict().items()}
    unet.load_state_dict(random_weights(shapes, seed=1))
    return unet.requires_grad_(False).eval()


def inputs(unet, height=8, width=12):
    """Latents, conditioning, prompt, and what SDXL is told besides."""
    draw = torch.Generator().manual_seed(2)
    sample, conditioning = (torch.randn(2, n, height, width, generator=draw) for n in (4, 5))
    prompt = torch.randn(2, 77, unet.config.cross_attention_dim, generator=draw)
    if unet.config.addition_embed_type is None:
        return sample, conditioning, prompt, None
    texts = torch.randn(2, SECOND_WIDTH, generator=draw)
    sizes = torch.tensor([[64.0, 96, 0, 0, 64, 96]] * 2)
    return sample, conditioning, prompt, {"text_embeds": texts, "time_ids": sizes}


def guided(unet, network, weight=1.0, height=8, width=12):
    """The guided UNet's answer."""
    sample, conditioning, prompt, added = inputs(unet, height, width)
    together = BrushNetUNet(unet, network, weight)
    together.conditioning = conditioning
    return together(sample, STEP, encoder_hidden_states=prompt, added_cond_kwargs=added).sample


def alone(unet, height=8, width=12):
    sample, _, prompt, added = inputs(unet, height, width)
    return unet(sample, STEP, encoder_hidden_states=prompt, added_cond_kwargs=added).sample


def in_order(residuals):
    return [*residuals.down, residuals.mid, *residuals.up]


@pytest.mark.parametrize("name", FAMILIES)
def test_tensors_are_those_of_the_published_checkpoints(name):
    published = record(name)
    with torch.device("meta"):
        network = BrushNet(BrushNetConfig.model_validate(published["config"]))
    given = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert given == published["tensors"]
    assert not list(network.buffers())


def test_answers_are_those_of_iopaints_classes(family, network, unet):
    recorded = json.loads((DATA / "brushnet_answers.json").read_text())[family]
    sample, conditioning, prompt, added = inputs(unet)
    residuals = network(sample, STEP, conditioning, prompt, added).scaled(0.7)
    sizes = [tensor.square().mean().sqrt() for tensor in in_order(residuals)]
    torch.testing.assert_close(sizes, [torch.tensor(size) for size in recorded["residuals"]])
    expected = torch.tensor(recorded["answer"]).reshape(2, 4, 8, 12)
    torch.testing.assert_close(guided(unet, network, 0.7), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(8, 12), (9, 13), (1, 8)])
def test_zeroed_output_convolutions_leave_the_unets_answer_as_it_is(family, unet, tmp_path, size):
    zeroed = read_brushnet(write_brushnet(tmp_path / "zeroed", family, zeroed=True), torch.float32)
    assert torch.equal(guided(unet, zeroed, 1.0, *size), alone(unet, *size))


def test_network_begins_with_zeroed_output_convolutions(family, unet):
    network = BrushNet(BrushNetConfig.model_validate(small_config(family)))
    sample, conditioning, prompt, added = inputs(unet)
    residuals = network(sample, STEP, conditioning, prompt, added)
    assert not any(tensor.any() for tensor in in_order(residuals))


def test_weight_0_is_no_brushnet(unet, network):
    assert torch.equal(guided(unet, network, 0.0), alone(unet))
    assert not torch.allclose(guided(unet, network, 0.1), alone(unet), atol=1e-3)


def test_residuals_grow_with_the_weight(network, unet):
    sample, conditioning, prompt, added = inputs(unet)
    whole = network(sample, STEP, conditioning, prompt, added)
    for half, full in zip(in_order(whole.scaled(0.5)), in_order(whole), strict=True):
        torch.testing.assert_close(2 * half, full)


def test_first_residual_is_that_of_a_convolution_of_all_nine_channels(family, network, unet):
    """The latents first, then the known picture's, then the mask."""
    sample, conditioning, prompt, added = inputs(unet)
    weights = random_weights(small_shapes(family))
    state = functional.conv2d(
        torch.cat([sample, conditioning], 1),
        weights["conv_in_condition.weight"],
        weights["conv_in_condition.bias"],
        padding=1,
    )
    mixed = torch.einsum(
        "oi,bihw->bohw", weights["brushnet_down_blocks.0.weight"][..., 0, 0], state
    )
    expected = mixed + weights["brushnet_down_blocks.0.bias"][:, None, None]
    first = network(sample, STEP, conditioning, prompt, added).down[0]
    torch.testing.assert_close(first, expected, rtol=1e-4, atol=1e-5)


def test_network_reads_latents_picture_mask_and_time_but_no_prompt(network, unet):
    sample, conditioning, prompt, added = inputs(unet)
    usual = network(sample, STEP, conditioning, prompt, added).mid
    mask = conditioning.clone()
    mask[:, 4] += 1
    for changed in (
        (sample + 1, STEP, conditioning),
        (sample, STEP + 200, conditioning),
        (sample, STEP, conditioning + 1),
        (sample, STEP, mask),
    ):
        assert not torch.allclose(network(*changed, prompt, added).mid, usual, atol=1e-3)
    assert torch.equal(network(sample, STEP, conditioning, -prompt, added).mid, usual)


@pytest.mark.parametrize("family", ["sdxl"], indirect=True)
def test_sdxls_network_reads_pooled_prompt_and_sizes(network, unet):
    sample, conditioning, prompt, added = inputs(unet)
    usual = network(sample, STEP, conditioning, prompt, added).mid
    for name in added:
        changed = network(sample, STEP, conditioning, prompt, added | {name: added[name] + 5}).mid
        assert not torch.allclose(changed, usual, atol=1e-3)
    with pytest.raises(ValueError, match="added"):
        network(sample, STEP, conditioning, prompt)


def random_residuals(network, unet):
    sample, conditioning, prompt, added = inputs(unet)
    draw = torch.Generator().manual_seed(3)
    found = network(sample, STEP, conditioning, prompt, added)
    noise = [torch.randn(tensor.shape, generator=draw) for tensor in in_order(found)]
    middle = len(found.down)
    return Residuals(tuple(noise[:middle]), noise[middle], tuple(noise[middle + 1 :]))


def by_hand(unet, residuals):
    """The UNet's answer with residuals, from its layers alone."""
    sample, _, prompt, added = inputs(unet)
    times = STEP.expand(2)
    moment = unet.time_embedding(unet.time_proj(times))
    if added is not None:
        sizes = unet.add_time_proj(added["time_ids"].flatten()).reshape(2, -1)
        moment = moment + unet.add_embedding(torch.cat([added["text_embeds"], sizes], -1))
    left = in_order(residuals)

    def run(block, number, state):
        state = block.resnets[number](state, moment)
        if hasattr(block, "attentions"):
            attention = block.attentions[number]
            [state] = attention(state, encoder_hidden_states=prompt, return_dict=False)
        return state + left.pop(0)

    state = unet.conv_in(sample)
    skips = [state]  # what the residual is not in
    state = state + left.pop(0)
    for block in unet.down_blocks:
        for number in range(2):
            state = run(block, number, state)
            skips.append(state)
        if block.downsamplers:
            state = block.downsamplers[0](state) + left.pop(0)
            skips.append(state)
    state = unet.mid_block(state, moment, encoder_hidden_states=prompt) + left.pop(0)
    for block in unet.up_blocks:
        for number in range(3):
            state = run(block, number, torch.cat([state, skips.pop()], 1))
        if block.upsamplers:
            state = block.upsamplers[0](state, skips[-1].shape[2:]) + left.pop(0)
    assert not left
    assert not skips
    return unet.conv_out(functional.silu(unet.conv_norm_out(state)))


def test_residuals_are_added_where_the_paper_has_them(unet, network):
    residuals = random_residuals(network, unet)
    expected = by_hand(unet, residuals)
    with adding(residuals, unet):
        torch.testing.assert_close(alone(unet), expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(alone(unet), expected, atol=0.1)


@pytest.mark.parametrize("change", ["one too few", "one too many"])
def test_another_number_of_residuals_is_an_error(unet, network, change):
    residuals = random_residuals(network, unet)
    up = residuals.up[:-1] if change == "one too few" else residuals.up * 2
    before = hooks(unet)
    wrong = Residuals(residuals.down, residuals.mid, up)
    with pytest.raises(ValueError, match="zip"), adding(wrong, unet):
        pass
    assert hooks(unet) == before


def hooks(unet):
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in unet.modules()
    )


def test_nothing_stays_behind_in_either_unet(unet, network):
    usual = alone(unet)
    together = BrushNetUNet(unet, network, 1.0)
    sample, conditioning, prompt, added = inputs(unet)
    together.conditioning = conditioning[:, :, 1:]  # does not fit, so the run ends in an error
    with pytest.raises(RuntimeError):
        together(sample, STEP, encoder_hidden_states=prompt, added_cond_kwargs=added)
    together.conditioning = conditioning
    together(sample, STEP, encoder_hidden_states=prompt, added_cond_kwargs=added)
    with pytest.raises(RuntimeError):  # in the middle of the UNet
        together(sample, STEP, encoder_hidden_states=prompt[..., 1:], added_cond_kwargs=added)
    assert hooks(unet) == hooks(together.view) == 0
    assert torch.equal(alone(unet), usual)


def test_all_parameters_of_the_unet_are_shared(unet, network):
    together = BrushNetUNet(unet, network, 1.0)
    shared = {name: tensor.data_ptr() for name, tensor in unet.named_parameters()}
    assert {name: tensor.data_ptr() for name, tensor in together.view.named_parameters()} == shared
    own = {tensor.data_ptr() for tensor in network.parameters()}
    assert {tensor.data_ptr() for tensor in together.parameters()} == own | set(shared.values())


def test_a_prompt_of_its_own_is_for_the_brushnet_alone(unet, network):
    """Without attention it reads none, so a wrong one changes nothing."""
    usual = guided(unet, network)
    together = BrushNetUNet(unet, network, 1.0)
    sample, together.conditioning, prompt, added = inputs(unet)
    together.prompt = -prompt
    answer = together(sample, STEP, encoder_hidden_states=prompt, added_cond_kwargs=added).sample
    assert torch.equal(answer, usual)


def test_steps_before_the_picture_is_set_are_an_error(unet, network):
    sample, _, prompt, added = inputs(unet)
    with pytest.raises(ValueError, match="conditioning"):
        BrushNetUNet(unet, network, 1.0)(sample, STEP, prompt, added)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"_class_name": "ControlNetModel"}, "_class_name"),
        ({"_class_name": None}, "_class_name"),
        ({"conditioning_channels": 3}, "conditioning_channels"),
        ({"in_channels": 9}, "in_channels"),
        ({"down_block_types": ["DownBlock2D"]}, "lists"),
        ({"block_out_channels": []}, "lists"),
        ({"attention_head_dim": [8]}, "lists"),
        ({"mid_block_type": "UNetMidBlock2DSimpleCrossAttn"}, "mid_block_type"),
        ({"class_embed_type": "timestep"}, "class_embed_type"),
        ({"encoder_hid_dim": 768}, "encoder_hid_dim"),
        ({"addition_embed_type": "text"}, "addition_embed_type"),
        ({"addition_embed_type": "text_time", "addition_time_embed_dim": None}, "sizes"),
        ({"global_pool_conditions": True}, "global_pool_conditions"),
        ({"brushnet_conditioning_channel_order": "bgr"}, "channel_order"),
    ],
)
def test_configs_of_other_networks_are_refused(change, field):
    with pytest.raises(ValidationError, match=field):
        BrushNetConfig.model_validate(small_config("sd15") | change)
