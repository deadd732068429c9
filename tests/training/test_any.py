"""The network for any style: codes, its data, its training, and what refinement begins with."""

import copy
import os
import random
import tempfile
import tracemalloc
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field

from edge_style import cli
from edge_style.errors import (
    CheckpointError,
    ContentError,
    ImageError,
    TrainingDivergedError,
    UsageError,
)
from edge_style.images import read_image
from edge_style_training import any_data, any_run, dead_leaves
from edge_style_training.any_data import StyleDataset, changed_colours
from edge_style_training.any_feedback import with_feedback
from edge_style_training.any_run import DEFAULTS, read_aside, split_pool
from edge_style_training.any_training import AnyTrainer, StyleBank, needed_layers, read_style
from edge_style_training.base import find_base
from edge_style_training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edge_style_training.config import TrainingConfig
from edge_style_training.data import find_photos
from edge_style_training.losses import gram_matrix
from edge_style_training.near_copies import near_copies
from edge_style_training.networks import build_network
from edge_style_training.networks.any_style import (
    AnyStyleConfig,
    AnyStyleNet,
)
from edge_style_training.networks.feedback import Feedback, TryingEncoder, _least_squares, _not_far
from edge_style_training.networks.lean import LeanConfig, LeanNet
from edge_style_training.networks.style_encoder import STYLE_PX
from edge_style_training.reference import reference_picture
from edge_style_training.run import run_shown
from edge_style_training.training_loop import Progress
from edge_style_training.vgg import LossNetwork

from .conftest import ensure_validated_at, textured

LEAN = {"width": 8, "coarse_blocks": 1, "coarse_width": 8, "instance_at": [0, 1, 2]}
NETWORK = {"code": 16, "directions": 2, "hidden": 8, "transformer": LEAN}
TINY = TrainingConfig(
    **{
        **DEFAULTS,
        "network": NETWORK,
        "steps": 6,
        "batch_size": 2,
        "crop_px": 48,
        "style_px": 48,
        "validate_every": 3,
        "checkpoint_every": 3,
        "validation_photos": 1,
        "style_warmup_steps": 0,
        "styles_per_photo": 1,
        "precision": "fp32",
        "feedback_styles": 3,
    }
)


def detailed(seed: int, height: int = 300, width: int = 360) -> Any:
    """A picture [H, W, 3] with plenty of corners in it."""
    draw = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 128, np.uint8)
    for _ in range(400):
        place = draw.integers(0, [width, height])
        size, colour = draw.integers(4, 40, 2), draw.integers(0, 256, 3).tolist()
        cv2.rectangle(picture, place.tolist(), (place + size).tolist(), colour, -1)
    return cv2.GaussianBlur(picture, (3, 3), 0)


def pictures(number: int, side: int = 64) -> torch.Tensor:
    made = [torch.from_numpy(textured(side, side, 20 + n)) for n in range(number)]
    return torch.stack(made).permute(0, 3, 1, 2).float()


def network() -> AnyStyleNet:
    """With codes that tell styles apart, as after some training."""
    torch.manual_seed(3)
    made = build_network("any", NETWORK)
    assert isinstance(made, AnyStyleNet)
    with torch.no_grad():
        made.encoder.learn_usual(
            made.encoder.statistics(pictures(4), made.encoder.vgg(pictures(4)))
        )
        for _, norm in made.transformer.normalizations():
            norm.get_parameter("weight")[1:].normal_()
    return made.eval()


def test_a_code_is_the_pictures_own_and_begins_with_one() -> None:
    net, styles = network(), pictures(3)
    with torch.no_grad():
        codes = net.encoder(styles)
        alone = net.encoder(styles[1:2])
    assert codes.shape == (3, 16)
    assert (codes[:, 0] == 1).all()
    torch.testing.assert_close(codes[1:2], alone, rtol=1e-2, atol=1e-2)
    assert float((codes[0] - codes[2]).abs().max()) > 0.01


def test_colours_stand_in_the_code_as_they_are() -> None:
    encoder = network().encoder
    known = encoder.statistics(pictures(4), encoder.vgg(pictures(4)))
    deviation, mean = torch.std_mean(known, dim=0, correction=0)
    other = pictures(6)[5:] * 0.5 + 60
    with torch.no_grad():
        found = encoder.statistics(other, encoder.vgg(other))
        code = encoder.code_of(found)[0]
    pixels = other[0].flatten(1)
    torch.testing.assert_close(found[0, :3], pixels.mean(dim=1), rtol=1e-4, atol=1e-3)
    sums = torch.stack([pixels[0] + pixels[1], pixels[0] + pixels[2], pixels[1] + pixels[2]])
    spread = torch.cat([pixels, sums / 2**0.5]).var(dim=1, correction=0)
    torch.testing.assert_close(found[0, 3:9], (spread + 1).sqrt(), rtol=1e-3, atol=1e-2)
    wanted = ((found - mean) / deviation)[0, :9].clamp(-4, 4)
    torch.testing.assert_close(code[1:10], wanted, rtol=1e-3, atol=1e-3)


def test_a_codes_network_alone_paints_the_same_and_codes_blend() -> None:
    net, styles, photo = network(), pictures(2), pictures(1, 48)
    with torch.no_grad():
        codes = net.encoder(styles)
        whole = net(photo, codes[:1])
        torch.testing.assert_close(net.for_styles([styles[0]])(photo), whole, rtol=1e-3, atol=1e-2)
        between = net(photo, codes.mean(dim=0, keepdim=True))
        torch.testing.assert_close(
            net.for_styles(list(styles))(photo), between, rtol=1e-3, atol=1e-2
        )
        assert float((between - whole).abs().mean()) > 0.1
        both = net(photo.expand(2, -1, -1, -1), codes)
        torch.testing.assert_close(both[:1], whole, rtol=1e-3, atol=1e-2)
        each = net.for_each(list(styles))
        torch.testing.assert_close(
            each(photo.expand(2, -1, -1, -1), torch.eye(2)), both, rtol=1e-3, atol=1e-2
        )


@pytest.mark.parametrize(("theirs", "head_norm"), [(False, False), (False, True), (True, True)])
@pytest.mark.parametrize("wider", [0, 5])
def test_it_begins_as_the_network_of_one_style_that_it_was_given(
    wider: int, theirs: bool, head_norm: bool
) -> None:
    torch.manual_seed(9)
    lean = {**LEAN, "coarse_width": 8 + wider, "border_px": 16, "head_norm": head_norm}
    config = LeanConfig(8, 0, 1, 8, instance_at=(0, 1, 2), border_px=16, head_norm=theirs)
    base = LeanNet(config).eval()
    net = AnyStyleNet(AnyStyleConfig(**{**NETWORK, "transformer": lean})).eval()
    code = torch.eye(16)[:1]
    photo = pictures(1, 48)
    with torch.no_grad():
        assert float((net(photo, code) - base(photo)).abs().mean()) > 1
        net.begin_with(base, photo)
        torch.testing.assert_close(net(photo, code), base(photo), rtol=1e-3, atol=1e-2)


def test_a_coarse_stage_between_blocks_is_taken_over_too() -> None:
    base = LeanNet(LeanConfig(8, 2, 1, 8, instance_at=(0, 3, 4)))
    net = network()
    net.begin_with(base, pictures(1, 48))
    stage = base.get_submodule("body.1")
    torch.testing.assert_close(
        net.transformer.get_parameter("body.0.down.weight"), stage.get_parameter("down.weight")
    )


def test_a_norm_in_front_of_the_head_is_taken_over_wherever_it_stands() -> None:
    base = LeanNet(LeanConfig(8, 2, 1, 8, instance_at=(0, 3, 4)))
    for kind in ("weight", "bias"):
        torch.nn.init.uniform_(base.get_parameter(f"body.3.{kind}"))
    net = AnyStyleNet(AnyStyleConfig(**{**NETWORK, "transformer": {**LEAN, "head_norm": True}}))
    net.begin_with(base, pictures(1, 48))
    for kind in ("weight", "bias"):
        torch.testing.assert_close(
            net.transformer.get_parameter(f"body.1.{kind}")[0], base.get_parameter(f"body.3.{kind}")
        )


def test_styles_of_the_transformer_are_not_settings() -> None:
    with pytest.raises(ValueError, match="follow from the code"):
        AnyStyleConfig(transformer={"styles": 3})


def test_crops_and_copies_are_found_and_nothing_else(tmp_path: Path) -> None:
    whole, other = detailed(1), detailed(2)
    made = {
        "whole": whole,
        "other": other,
        "crop": cv2.resize(whole[40:260, 60:330], None, fx=1.3, fy=1.3),
        "pale": (whole // 2 + 100).astype(np.uint8),
        "flat": np.full((80, 80, 3), 7, np.uint8),
    }
    paths = {name: tmp_path / f"{name}.png" for name in made}
    for name, picture in made.items():
        cv2.imwrite(str(paths[name]), picture)
    candidates = [paths[name] for name in ("other", "crop", "pale", "flat")]
    whole_path = paths["whole"]
    assert near_copies(candidates, [whole_path]) == {
        paths["crop"]: whole_path,
        paths["pale"]: whole_path,
    }
    assert near_copies(candidates, []) == {}


def test_what_is_kept_aside_leaves_the_pool_with_its_copies(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    for seed in range(4):
        cv2.imwrite(str(one / f"{seed}.png"), detailed(seed))
    cv2.imwrite(str(two / "again.png"), detailed(2)[20:, 30:])
    pool, aside, copies = split_pool([one, two, one], ["2.png", "2.png"])
    assert aside == [one / "2.png"]
    assert copies == {two / "again.png": one / "2.png"}
    assert [path.name for path in pool] == ["0.png", "1.png", "3.png"]
    assert len(split_pool([one], [])[1]) == 1, "a fifth at most, but one"
    with pytest.raises(ContentError, match=r"no missing\.png"):
        split_pool([one], ["missing.png"])


def test_the_list_of_what_is_kept_aside(tmp_path: Path) -> None:
    file = tmp_path / "aside.txt"
    file.write_text("# why\n\n a.jpg \nb.png # this too\n")
    assert read_aside(file) == ("a.jpg", "b.png")
    file.write_text("a.jpg\n", encoding="utf-8-sig")
    assert read_aside(file) == ("a.jpg",)
    file.write_text("# nothing\n")
    with pytest.raises(UsageError, match="names no picture"):
        read_aside(file)


def test_the_stream_of_styles_can_be_repeated(tmp_path: Path) -> None:
    path = tmp_path / "style.png"
    cv2.imwrite(str(path), textured(90, 120, 4))
    broken = tmp_path / "broken.png"
    broken.write_text("no picture")
    styles, again = (StyleDataset([path], [path, broken], 48, seed) for seed in (0, 0))
    crops = [styles[number] for number in range(24)]
    assert all(crop.shape == (3, 48, 48) and crop.dtype == torch.uint8 for crop in crops)
    assert all(torch.equal(crop, again[number]) for number, crop in enumerate(crops))
    assert len({crop.numpy().tobytes() for crop in crops}) == 24
    other = StyleDataset([path], [path], 48, seed=1)
    assert not torch.equal(crops[0], other[0])
    alone = StyleDataset([path], [], 48, seed=1)
    with pytest.raises(ContentError):
        StyleDataset([], [path], 48, 0)
    larger = StyleDataset([path], [], 64, seed=1)
    path.unlink()
    assert torch.equal(StyleDataset.with_crops(alone, 64)[3], larger[3]), "without reading again"
    assert alone[3].shape == (3, 48, 48)


def test_two_fifths_of_the_styles_are_painted_by_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, photo = tmp_path / "pool.png", tmp_path / "photo.png"
    cv2.imwrite(str(pool), np.full((60, 60, 3), 255, np.uint8))
    cv2.imwrite(str(photo), np.full((60, 60, 3), 10, np.uint8))
    painted = []
    monkeypatch.setattr(
        any_data, "made_style", lambda picture, _: painted.append(int(picture.mean())) or picture
    )
    styles = StyleDataset([pool], [photo], 48, seed=3)
    draws = [styles._one(random.Random(seed)) for seed in range(400)]
    assert len(painted) / len(draws) == pytest.approx(0.42, abs=0.06)
    assert set(painted) == {10}, "photos are painted, paintings are not"
    without = StyleDataset([pool], [], 48, seed=3)
    painted.clear()
    assert len([without._one(random.Random(seed)) for seed in range(40)]) == 40
    assert set(painted) == {255}, "but where there are no photos"


def test_hues_turn_and_greys_stay_grey() -> None:
    grey = np.full((4, 4, 3), 90, np.uint8)
    for seed in range(8):
        changed = changed_colours(grey, random.Random(seed)).astype(int)
        assert np.ptp(changed.reshape(-1, 3), axis=0).max() == 0, "flat stays flat"
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 200
    strongest = {int(changed_colours(red, random.Random(s))[0, 0].argmax()) for s in range(40)}
    assert strongest == {0, 1, 2}


def test_gram_numbers_sum_up_to_the_style_loss() -> None:
    feedback = Feedback(16)
    one, other = (feedback.vgg(picture[None]) for picture in pictures(2))
    numbers = feedback.numbers(one) - feedback.numbers(other)
    loss = sum(
        (gram_matrix(one[layer]) - gram_matrix(other[layer])).square().mean()
        for layer in ("relu1_2", "relu2_2")
    )
    torch.testing.assert_close(numbers.square().sum(), loss, rtol=1e-4, atol=0)


def test_feedback_learns_how_what_is_painted_follows_a_code() -> None:
    draw = torch.Generator().manual_seed(5)
    torch.manual_seed(2)
    feedback = Feedback(16)
    looked_at = [feedback.vgg(40 * picture[None]) for picture in pictures(4)]
    painted = torch.cat([feedback.numbers(each) for each in looked_at])
    # By how much the two channels of a number are as strong as in another picture, so does it go.
    assert (feedback.slope_of(painted) == 0).all()
    change = 0.2 * torch.randn(400, 15, generator=draw)
    law = torch.randn(15, painted.shape[1], generator=draw)
    feedback.get_buffer("slope").fill_(1)
    sizes = feedback.slope_of(painted)[:, 0]
    torch.testing.assert_close(
        feedback.slope_of(16 * painted)[:, 0], 4 * sizes, rtol=1e-3, atol=1e-6
    )
    before = painted.repeat(100, 1)
    noise = 0.05 * torch.randn(before.shape, generator=draw)
    feedback.learn(before, change, before + (change @ law + noise) * sizes.repeat(100, 1))
    found = feedback.get_buffer("slope").float()
    assert float((found - law).square().mean()) < 0.01 * float(law.square().mean())


def test_a_step_is_the_damped_least_squares_one() -> None:
    draw = torch.Generator().manual_seed(1)
    slope, left = torch.randn(3, 20, 50, generator=draw), torch.randn(3, 50, generator=draw)
    slope[:, 5:] *= 0.01
    slope[2] = 0
    found = _least_squares(slope, left)
    for number in range(2):
        own = slope[number].double()
        curvature = own @ own.T
        damping = 0.5 * curvature.diagonal().mean() * torch.eye(20)
        wanted = torch.linalg.solve(curvature + damping, own @ left[number].double())
        torch.testing.assert_close(found[number].double(), wanted, rtol=1e-3, atol=1e-5)
    assert (found[2] == 0).all(), "where nothing helps, nothing changes"


def test_a_code_is_tried_on_the_reference_and_corrected_where_that_is_better() -> None:
    net, styles = network().with_feedback().eval(), pictures(2, 96)
    encode, feedback = net.whole_encoder, net.feedback
    assert isinstance(encode, TryingEncoder)
    assert feedback is not None
    with torch.no_grad():
        guess = encode.guess(styles, feedback.vgg(styles))
        # Fresh feedback changes nothing.
        torch.testing.assert_close(encode(styles), guess, rtol=1e-3, atol=1e-3)
        reference = feedback.get_buffer("reference").float()
        assert torch.equal(reference, reference_picture().float())
        painted = net(reference, guess[:1])[..., :320, :320].clamp(0, 255)
        torch.testing.assert_close(encode.paint(guess)[:1], painted, rtol=1e-3, atol=1e-2)

        wanted = feedback.numbers(feedback.vgg(styles))

        def loss(codes: torch.Tensor) -> torch.Tensor:
            return (encode.tried(codes) - wanted).square().sum(dim=1)

        # A slope that is right where the first guess is.
        made = encode.tried(guess)
        feedback.get_buffer("slope").fill_(1)
        sizes = feedback.slope_of(made)[0, 0]
        nudges = F.pad(0.05 * torch.eye(15), (1, 0))
        right = torch.cat([encode.tried(guess[:1] + nudge) - made[:1] for nudge in nudges]) / 0.05
        slope = feedback.get_buffer("slope")
        slope.copy_(right / sizes)
        corrected = encode(styles)
        assert (corrected[:, 0] == 1).all()
        assert loss(corrected)[0] < 0.9 * loss(guess)[0]
        # With one that is too large the first step is too short, and tells the second how far.
        slope.copy_(3 * right / sizes)
        assert loss(encode(styles))[0] < 0.9 * loss(guess)[0]
        # Where it is wrong, nothing is lost.
        slope.copy_(right.flip(0, 1) / sizes)
        assert (loss(encode(styles)) <= 1.001 * loss(guess)).all()
    guessing = net.with_feedback(False)
    torch.testing.assert_close(guessing.whole_encoder(styles), net.encoder(styles))


def test_no_step_is_longer_than_those_that_were_tried_in_learning() -> None:
    steps = torch.tensor([[3.0, 4.0], [0.6, 0.8], [0.0, 0.0]])
    expected = torch.tensor([[1.2, 1.6], [0.6, 0.8], [0.0, 0.0]])
    torch.testing.assert_close(_not_far(steps), expected)


def test_a_guess_has_the_pictures_own_colours_and_the_rest_as_learned() -> None:
    draw = torch.Generator().manual_seed(3)
    net, styles = network().with_feedback().eval(), pictures(3, 96)
    encode, feedback = net.whole_encoder, net.feedback
    assert isinstance(encode, TryingEncoder)
    assert feedback is not None
    with torch.no_grad():
        activations = feedback.vgg(styles)
        colours = net.encoder.colours(styles)
        seen = feedback.seen(colours, activations)
        law = torch.randn(seen.shape[1], 6, generator=draw) / seen.shape[1] ** 0.5
        usual, spread = 50 * seen.mean(dim=0), seen.abs().mean(dim=0) + 1
        many = usual + spread * torch.randn(3000, seen.shape[1], generator=draw)
        wanted = 0.3 + (many - usual) / spread @ law
        # The last third is wrong, and weighs nothing.
        weights = torch.ones(len(many))
        weights[2000:], wanted[2000:] = 0, 100
        feedback.learn_guess(many, F.pad(wanted, (9, 0)), weights)
        found = feedback.foretold(many[:2000])
        assert float((found - wanted[:2000]).square().mean()) < 1e-3
        feedback.learn_guess(seen, net.encoder.components_of(_statistics(net, styles)), weights[:3])
        code = encode.guess(styles, activations)
        own = net.encoder.code_of(_statistics(net, styles))
        torch.testing.assert_close(code, own, rtol=0.02, atol=0.02)
        # Colours are known, whatever is foretold of the rest.
        feedback.get_buffer("foreteller").zero_()
        components = net.encoder.components_with(colours, feedback.foretold(seen))
        known = net.encoder.components_of(_statistics(net, styles))
        torch.testing.assert_close(components[:, :9], known[:, :9])
        assert float((components[:, 9:] - known[:, 9:]).abs().max()) > 0.1


def _statistics(net: AnyStyleNet, styles: torch.Tensor) -> torch.Tensor:
    return net.encoder.statistics(styles, net.encoder.vgg(styles))


def test_what_is_learned_of_styles_brings_codes_nearer_to_them() -> None:
    net = network().eval()
    with torch.no_grad():
        for _, norm in net.transformer.normalizations():
            for kind in ("weight", "bias"):
                norm.get_parameter(kind)[1:].normal_(std=0.1)
    styles = [picture.byte() for picture in pictures(6, 96)]
    before = copy.deepcopy(net.state_dict())
    learned = with_feedback(net, iter(styles), net.encoder.vgg, 5, nullcontext)
    for name, weight in before.items():
        assert torch.equal(net.state_dict()[name], weight)
        assert torch.equal(learned.state_dict()[name], weight)
    encode = learned.whole_encoder
    assert isinstance(encode, TryingEncoder)
    shares = []
    with torch.no_grad():
        for style in styles:
            picture = style.float()[None]
            activations = encode.feedback.vgg(picture)
            wanted = encode.feedback.numbers(activations)
            guess = encode.guess(picture, activations)
            # As the encoder itself would have guessed, with its own VGG on the picture as it is
            # made smaller in training.
            smaller = F.interpolate(picture, (64, 64), mode="area")
            own = net.encoder.code_of(_statistics(net, smaller))
            assert float((guess - own).norm()) < 0.5 * float(own[:, 1:].norm())
            then, now = (
                float((encode.tried(code) - wanted).square().sum())
                for code in (guess, encode(picture))
            )
            shares.append(now / then)
    assert max(shares) < 1


def test_feedback_of_another_version_is_learned_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = network().with_feedback()
    settings = {**NETWORK, "feedback": True}
    weights = {**net.state_dict(), "feedback.slope": torch.zeros(15, 7)}
    old = tmp_path / "old.pth"
    save_checkpoint(Checkpoint("any", weights, settings), old)
    assert run("export", old) == 2
    assert "--only-feedback, with the checkpoint as --from" in capsys.readouterr().err
    guessing = load_checkpoint(old).without_feedback().build()
    assert isinstance(guessing, AnyStyleNet)
    assert guessing.feedback is None
    lean = Checkpoint("lean", LeanNet(LeanConfig()).state_dict(), {})
    assert lean.without_feedback() is lean


def test_the_reference_is_the_same_always_and_has_edges_and_flat_areas() -> None:
    reference = reference_picture()
    reference_picture.cache_clear()
    assert torch.equal(reference, reference_picture())
    assert reference.dtype == torch.uint8
    # What the shipped network's feedback was learned on.
    shipped = load_checkpoint(find_base("any")).weights["feedback.reference"]
    assert torch.equal(shipped.float(), reference.float())
    steps = reference.float().diff(dim=3).abs().amax(dim=1)
    assert 0.5 < float((steps < 12).float().mean()) < 0.95
    assert float((steps > 40).float().mean()) > 0.01


class Log(list[Progress]):
    def __call__(self, progress: Progress) -> None:
        self.append(progress)


@pytest.fixture
def make_trainer(photo_folder: Path, painting_file: Path, tmp_path: Path) -> Any:
    torch.manual_seed(7)
    vgg = LossNetwork(needed_layers(TINY.objective))

    def make(config: TrainingConfig, name: str = "any.pth") -> AnyTrainer:
        styles = StyleDataset([painting_file], [], config.style_px, config.seed)
        photos = find_photos(photo_folder)
        aside = [painting_file]
        return AnyTrainer(config, vgg, styles, aside, photos, tmp_path / name, workers=0)

    return make


def test_training_lowers_the_loss_in_styles_kept_aside(make_trainer: Any, tmp_path: Path) -> None:
    config = replace(TINY, steps=80, validate_every=20, learning_rate=2e-2, warmup_steps=2)
    trainer, log = make_trainer(config), Log()
    trainer.begin(None, 12)
    before = trainer.validate()[0]["total"]
    best = trainer.run(log)
    totals = [progress.validation["total"] for progress in log if progress.validation]
    assert min(totals) < 0.9 * before
    assert best.scores["total"] == min(totals)
    written = load_checkpoint(tmp_path / "any.pth")
    assert written.architecture == "any"
    assert isinstance(written.build(), AnyStyleNet)
    assert not (tmp_path / "any.resume.pth").exists()


def test_crops_of_several_sizes_are_validated_on_too(make_trainer: Any) -> None:
    trainer = make_trainer(replace(TINY, crop_px=64, crop_spread=1.5))
    ensure_validated_at(trainer, (64, 32, 96))


def test_each_photo_gets_styles_of_its_own_until_the_bank_begins_again(make_trainer: Any) -> None:
    trainer = make_trainer(replace(TINY, styles_per_photo=3, style_bank=8, steps=2))
    trainer.begin(None, 2)
    asked, expected, bank = [], [], trainer.styles

    class Noting:
        def __call__(self, numbers: Any) -> Any:
            asked.append(list(numbers))
            return bank(numbers)

        def expect(self, numbers: Any, workers: int) -> None:
            expected.extend(numbers)
            bank.expect(expected, workers)

    trainer.styles = Noting()
    trainer.run(Log())
    assert [len(numbers) for numbers in asked] == [6, 6]
    assert expected == asked[0] + asked[1], "what will be asked for is made ahead"
    one, other = (asked[0] + asked[1])[:8], asked[1][2:]
    assert sorted(one) == list(range(8)), "each once in a round"
    assert other != one[:4], "in another order each time"


def test_a_style_is_looked_at_once_and_larger_than_the_encoder_sees_it(make_trainer: Any) -> None:
    trainer = make_trainer(TINY)
    trainer.begin(None, 4)
    bank, seen = trainer.styles, []
    bank._vgg = lambda pictures, layers: (
        seen.append(pictures.shape[2]) or trainer.half(pictures, layers)
    )
    first, again = bank([5, 6]), bank([6, 5])
    assert seen == [32, 48] * 2, "each once, and by itself on a processor"
    torch.testing.assert_close(first.statistics, again.statistics.flip(0), rtol=0, atol=0)
    crop = trainer.styles.styles[5]
    whole = trainer.half(crop[None].float(), ("relu2_2",))["relu2_2"]
    torch.testing.assert_close(first.grams["relu2_2"][:1], gram_matrix(whole))
    torch.testing.assert_close(
        first.statistics[0, :3], crop.float().mean(dim=(1, 2)), rtol=0, atol=2
    )


def test_processes_make_the_very_styles_that_are_wanted(
    make_trainer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(TINY)
    trainer.begin(None, 2)
    parts = trainer.styles.styles, trainer.network, trainer.half, TINY.style_layers
    alone, ahead = StyleBank(*parts), StyleBank(*parts)
    plain = alone(range(2, 8))
    made_here: list[int] = []
    make = StyleDataset.__getitem__
    monkeypatch.setattr(
        StyleDataset,
        "__getitem__",
        lambda self, number: made_here.append(number) or make(self, number),
    )
    ahead([3])
    ahead.expect([2, 3, 4, 3, 5, 6], workers=2)
    torch.testing.assert_close(ahead([2, 3]).statistics, plain.statistics[:2])
    torch.testing.assert_close(ahead([4, 5, 5]).grams["relu2_2"][1], plain.grams["relu2_2"][3])
    assert made_here == [3], "in processes of their own"
    # Another than the one that was expected, and one that nobody did.
    torch.testing.assert_close(ahead([7]).statistics, plain.statistics[5:])
    torch.testing.assert_close(ahead([6]).statistics, plain.statistics[4:5])
    assert made_here == [3, 7, 6]


def test_pictures_are_compared_with_their_own_photos(
    make_trainer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(TINY, styles_per_photo=2, consistency_weight=3.0, grid_weight=5.0)
    trainer = make_trainer(config)
    trainer.begin(None, 4)
    strength = torch.ones(1, requires_grad=True)
    monkeypatch.setattr(trainer.network, "forward", lambda frames, _: frames * strength)
    photos = pictures(2, 48 + 8)
    photos[1] = photos[1] * 0.3 + 20
    bank, given = trainer.styles, []
    trainer.styles = lambda numbers: given.append(bank(numbers)) or given[-1]
    losses = {name: loss.detach() for name, loss in trainer.losses(photos).items()}
    assert float(losses["content"]) == pytest.approx(0, abs=1e-9)
    assert float(losses["consistency"]) > 0, "the second view has a camera's noise"
    parts = {name: float(value) for name, value in losses.items()}
    rest = parts["total"] - 3 * parts["consistency"] - 5 * parts["grid"]
    trainer.config = replace(config, consistency_weight=0.0, grid_weight=0.0)
    assert float(trainer.losses(photos)["total"].detach()) == pytest.approx(rest, rel=1e-4)
    # Each costs what its own photo costs untouched, so that share is what counts.
    seen = trainer.half(photos[:, :, :48, :48], TINY.style_layers)
    costs = torch.zeros(4)
    for layer, wanted in given[0].grams.items():
        own = gram_matrix(seen[layer])[[0, 0, 1, 1]]
        costs += (own - wanted).square().mean(dim=(1, 2)) / trainer.usual_cost
    counted = 2 * ((1 + costs / (costs + 0.2)).sqrt() - 1)
    expected = config.style_weight * trainer.usual_cost * float(counted.mean())
    assert rest == pytest.approx(expected, rel=1e-3)


def test_vgg_is_not_trained_and_the_rest_is(make_trainer: Any) -> None:
    trainer = make_trainer(TINY)
    trainer.begin(None, 12)
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    trainer.run(Log())
    for name, value in trainer.network.named_parameters():
        assert torch.equal(value, before[name]) == name.startswith("encoder.vgg."), name


def test_a_resumed_training_repeats_an_uninterrupted_one(make_trainer: Any) -> None:
    whole = make_trainer(TINY, "whole.pth")
    whole.begin(None, 12)
    expected = whole.run(Log())

    def stop(progress: Progress) -> None:
        if progress.step == 3:
            raise KeyboardInterrupt

    first = make_trainer(TINY, "halves.pth")
    first.begin(None, 12)
    with pytest.raises(KeyboardInterrupt):
        first.run(stop)
    second = make_trainer(TINY, "halves.pth")
    second.resume()
    assert second.step == 3
    got = second.run(Log())
    assert got.step == expected.step
    for name, value in expected.weights.items():
        assert torch.equal(got.weights[name], value), name
    with pytest.raises(CheckpointError):
        second.resume()


def test_a_training_from_before_a_setting_was_is_resumed(make_trainer: Any, tmp_path: Path) -> None:
    trainer = make_trainer(TINY)
    trainer.begin(None, 12)
    trainer.step = 2
    trainer._save()
    path = tmp_path / "any.resume.pth"
    state = torch.load(path, weights_only=True)
    del state["config"]["style_bank"]
    torch.save(state, path)
    again = make_trainer(TINY)
    again.resume()
    assert again.step == 2
    state["config"]["style_weight"] += 1
    torch.save(state, path)
    with pytest.raises(CheckpointError, match="style_weight"):
        make_trainer(TINY).resume()


def test_a_hopeless_training_stops(make_trainer: Any) -> None:
    trainer = make_trainer(replace(TINY, learning_rate=1e6, steps=40, warmup_steps=0))
    trainer.begin(None, 12)
    with pytest.raises(TrainingDivergedError, match="lower --learning-rate"):
        trainer.run(Log())


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main([*map(str, arguments)])
    return int(ended.value.code or 0)


@pytest.fixture
def pool_of_styles(tmp_path: Path) -> Path:
    pool = tmp_path / "pool"
    pool.mkdir()
    for seed in range(3):
        cv2.imwrite(str(pool / f"{seed}.png"), detailed(seed, 120, 150))
    return pool


def test_the_command_and_a_refinement_of_what_it_made(
    pool_of_styles: Path,
    photo_folder: Path,
    vgg_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = pool_of_styles
    recipe, aside, output = (tmp_path / name for name in ("any.toml", "aside.txt", "any.pth"))
    aside.write_text("2.png\n")
    recipe.write_text(
        "validation_photos = 1\nfeedback_styles = 4\nstyle_bank = 12\n"
        "[network]\ncode = 16\ndirections = 2\nhidden = 8\n"
        "[network.transformer]\nwidth = 8\ncoarse_blocks = 1\ncoarse_width = 8\n"
        "instance_at = [0, 1, 2]\n"
    )
    options: list[Any] = ["--content", photo_folder, "--vgg", vgg_file, "--workers", 0]
    few = ["--steps", 2, "--batch-size", 1, "--crop", 48]
    arguments = [pool, *options, *few, "--config", recipe, "--aside", aside, "--style-size", 48]
    sensible = recipe.read_text()
    recipe.write_text("tv_weight = 1.0\n" + sensible)
    assert run("train-any", *arguments, "--output", output) == 2
    assert "tv_weight" in capsys.readouterr().err
    assert not output.exists()
    recipe.write_text(sensible.replace("feedback_styles = 4\n", ""))
    painting = pool / "0.png"
    assert run("train", painting, *options, "--config", recipe, "--output", output) == 2
    assert "style_bank is a setting of train-any alone" in capsys.readouterr().err
    recipe.write_text(sensible)
    left = tmp_path / "any.resume.pth"
    left.write_bytes(b"hours of work")
    assert run("train-any", *arguments, "--output", output) == 2
    assert "--resume goes on with it, --force starts anew" in capsys.readouterr().err
    assert left.read_bytes() == b"hours of work"
    left.unlink()

    def then_lose_a_picture(*given: Any) -> Checkpoint:
        best = run_shown(*given)
        (pool / "1.png").unlink()
        return best

    monkeypatch.setattr(any_run, "run_shown", then_lose_a_picture)
    assert run("train-any", *arguments, "--output", output, "--from", "starry") == 0
    errors = capsys.readouterr().err
    assert "12 styles made of 2 pictures, aside 2.png" in errors
    advice = f"--from {output} --only-feedback -o {output} --force"
    assert "".join(advice.split()) in "".join(errors.split()), "wherever its lines are broken"
    made = load_checkpoint(output)
    assert (made.name, made.step, made.network["feedback"]) == ("any", 2, True)
    assert run("train-any", *arguments, "--output", output) == 2
    assert "exists" in capsys.readouterr().err

    painting, mine = pool / "2.png", tmp_path / "mine.pth"
    few += ["--lr", 1e-7, "--validation-photos", 1]
    assert run("train", painting, *options, *few, "--from", output, "--output", mine) == 0
    refined = load_checkpoint(mine)
    assert refined.architecture == "lean"
    net = made.build()
    assert isinstance(net, AnyStyleNet)
    seen_px = net.whole_encoder.picture_px
    predicted = net.for_styles([read_style(painting, seen_px)])
    photo = pictures(1, 48)
    with torch.no_grad():
        apart = float((refined.build()(photo) - predicted(photo)).abs().mean())
        # And not by chance: of another picture, or of another size, the network is another one.
        for other in (read_style(pool / "0.png", seen_px), read_style(painting, STYLE_PX)):
            others = net.for_styles([other])(photo)
            assert float((others - predicted(photo)).abs().mean()) > 5 * apart


def test_several_pictures_at_once_begin_with_their_own_codes_in_one_network(
    pool_of_styles: Path, photo_folder: Path, vgg_file: Path, tmp_path: Path
) -> None:
    base, output = tmp_path / "base.pth", tmp_path / "both.pth"
    net = network()
    save_checkpoint(Checkpoint("any", net.state_dict(), NETWORK), base)
    paintings = [pool_of_styles / "0.png", pool_of_styles / "2.png"]
    options: list[Any] = ["--content", photo_folder, "--vgg", vgg_file, "--workers", 0]
    options += ["--steps", 2, "--batch-size", 1, "--crop", 48, "--lr", 1e-7]
    options += ["--validation-photos", 1, "--many", "--from", base, "--output", output]
    assert run("train", *paintings, *options) == 0
    made = load_checkpoint(output)
    assert made.style_names == ("0", "2")
    photo, many = pictures(1, 48), made.build()
    seen = [read_style(path, net.whole_encoder.picture_px) for path in paintings]
    with torch.no_grad():
        alone = [net.for_styles([picture])(photo) for picture in seen]
        painted = [many(photo, style[None]) for style in torch.eye(2)]
        apart = [[float((one - of).abs().mean()) for of in alone] for one in painted]
    assert apart[0][1] > 5 * apart[0][0]
    assert apart[1][0] > 5 * apart[1][1]


def no_room(path: Path, rgb: Any) -> None:
    raise ImageError(f"cannot write '{path}': No space left on device")


def test_a_refinement_needs_no_photos(
    pool_of_styles: Path,
    painting_file: Path,
    vgg_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(dead_leaves, "_IN_PLACE_OF_PHOTOS", 3)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "made"))
    (tmp_path / "made").mkdir()
    base, output = tmp_path / "base.pth", tmp_path / "mine.pth"
    save_checkpoint(Checkpoint("any", network().state_dict(), NETWORK), base)
    options: list[Any] = ["--vgg", vgg_file, "--workers", 0, "--steps", 2, "--batch-size", 1]
    options += ["--crop", 48, "--validation-photos", 1, "--output", output]
    assert run("train", pool_of_styles / "0.png", *options, "--from", base) == 0
    assert "on pictures that are made for it" in capsys.readouterr().err
    assert load_checkpoint(output).step == 2
    assert not list((tmp_path / "made").glob("edge-style-*"))
    again = [*options, "--from", base, "--force"]
    with monkeypatch.context() as full:
        full.setattr(dead_leaves, "write_image", no_room)
        assert run("train", pool_of_styles / "0.png", *again) == 2
        full.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
        assert run("train", pool_of_styles / "0.png", *again) == 2
    said = capsys.readouterr().err.splitlines()
    errors = [line for line in said if line.startswith("error: the pictures to learn on cannot")]
    assert len(errors) == 2
    assert all(line.endswith("make room, or give --content") for line in errors)
    assert not list((tmp_path / "made").glob("edge-style-*"))
    for begun in ([], ["--from", output]):
        assert run("train", painting_file, *options, *begun, "--force") == 2
        assert "--content: give a folder of photos" in capsys.readouterr().err


def test_pictures_in_place_of_photos_are_the_same_always_and_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_leaves, "_IN_PLACE_OF_PHOTOS", 2)
    dead_leaves.write_in_place_of_photos(tmp_path)
    one, other = (read_image(path) for path in sorted(tmp_path.iterdir()))
    assert one.shape == other.shape == (400, 400, 3)
    assert np.abs(one.astype(int) - other).mean() > 20
    assert np.array_equal(one, dead_leaves.dead_leaves(400, 1, finer=1))


def test_a_style_that_is_a_strip_of_single_pixels_takes_no_memory(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "strip.png"), textured(1, 9000, 0))
    styles = StyleDataset([tmp_path / "strip.png"], [], 48, seed=1)
    tracemalloc.start()
    assert all(styles[number].shape == (3, 48, 48) for number in range(8))
    peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    assert peak_mb < 5  # 100 where all of it is enlarged


def test_another_training_goes_on_with_a_network_for_any_style(make_trainer: Any) -> None:
    base = network()
    trainer = make_trainer(TINY)
    own = trainer.network.encoder.get_buffer("directions_relu1_2").clone()
    trainer.begin(base, 4)
    for name, weight in base.state_dict().items():
        torch.testing.assert_close(trainer.network.state_dict()[name], weight)
    # What is kept of a style was seen by the base's encoder, whose directions are others.
    assert not torch.equal(own, base.encoder.get_buffer("directions_relu1_2"))
    bank = StyleBank(trainer.styles.styles, trainer.network, trainer.half, TINY.style_layers)
    torch.testing.assert_close(trainer.styles([0, 1]).statistics, bank([0, 1]).statistics)
    # What a style costs is of this training's styles and photos, as when it begins anew.
    anew = make_trainer(TINY, "anew.pth")
    anew.begin(None, 4)
    assert trainer.usual_cost == anew.usual_cost != 1.0


def test_a_network_for_any_style_brings_its_settings(
    pool_of_styles: Path,
    photo_folder: Path,
    vgg_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base, output, recipe = (tmp_path / name for name in ("base.pth", "any.pth", "recipe.toml"))
    save_checkpoint(Checkpoint("any", network().state_dict(), NETWORK), base)
    recipe.write_text("validation_photos = 1\nstyle_bank = 12\nfeedback_styles = 0\n")
    options: list[Any] = ["--content", photo_folder, "--vgg", vgg_file, "--workers", 0]
    few = [pool_of_styles, *options, "--config", recipe]
    small = [*few, "--crop", 48, "--style-size", 48]
    options = [*small, "--steps", 1, "--batch-size", 1]
    assert run("train-any", *options, "--from", base, "--output", output) == 0
    made = load_checkpoint(output).build()
    assert isinstance(made, AnyStyleNet)
    assert made.config.agrees(AnyStyleConfig(**NETWORK))
    # Feedback alone leaves everything else as it was.
    recipe.write_text("validation_photos = 1\nstyle_bank = 12\nfeedback_styles = 3\n")
    corrected = tmp_path / "corrected.pth"
    only = ["--output", corrected, "--only-feedback", "--seed", 5]
    assert run("train-any", *small, "--from", output, *only) == 0
    learned = load_checkpoint(corrected)
    assert learned.scores["total"] > 0
    # It is scored as it was in training, without being told.
    assert run("train-any", *few, "--from", output, *only, "--force") == 0
    assert load_checkpoint(corrected).scores == pytest.approx(learned.scores)
    # Of itself it says what holds now, and of its training what did then.
    changed = {"seed": 5, "feedback_styles": 3}
    assert learned.training == {**load_checkpoint(output).training, **changed}
    assert learned.name == "corrected"
    # It depends on nothing but what it is told, and on nothing that was told before.
    recipe.write_text("validation_photos = 1\nstyle_bank = 12\n")
    once_more = tmp_path / "once_more.pth"
    torch.rand(7)
    assert run("train-any", *few, "--from", corrected, "--only-feedback", "-o", once_more) == 0
    repeated = load_checkpoint(once_more)
    assert repeated.training == learned.training
    for name, weight in learned.weights.items():
        assert torch.equal(repeated.weights[name], weight), name
    for name, weight in load_checkpoint(output).weights.items():
        assert torch.equal(learned.weights[name], weight)
    assert float(learned.weights["feedback.slope"].abs().max()) > 0
    # What was learned of codes does not outlive the network that painted with them.
    recipe.write_text("validation_photos = 1\nstyle_bank = 12\nfeedback_styles = 0\n")
    again = ["--output", output, "--from", corrected]
    assert run("train-any", *options, *again, "--force") == 0
    assert not load_checkpoint(output).network["feedback"]
    output.unlink()
    for wrong, said in (
        ([*again, "--only-feedback"], "leave nothing to do"),
        (["--output", output, "--only-feedback"], "give it with --from"),
        ([*again, "--only-feedback", "--resume"], "trains nothing that --resume"),
        (
            [*again, "--only-feedback", "--steps", 3, "--log-dir", tmp_path],
            "--steps, --log-dir out",
        ),
    ):
        capsys.readouterr()
        assert run("train-any", *small, *wrong) == 2
        assert said in capsys.readouterr().err
    for wrong_network, said in (
        ("hidden = 9", "its network is another than the recipe's"),
        ("hiden = 9", "unexpected keyword argument 'hiden'"),
        ("code = 3", "code should be at least 11"),
        ("transformer.width = 0", "widths should be at least 1"),
        ("transformer.wid = 3", "unexpected keyword argument 'wid'"),
    ):
        recipe.write_text(f"[network]\n{wrong_network}\n")
        capsys.readouterr()
        assert run("train-any", *options, "--output", output, "--from", base) == 2
        (error,) = capsys.readouterr().err.splitlines()
        assert said in error
    assert not output.exists()


def test_only_a_single_lean_network_can_be_begun_with(
    photo_folder: Path, vgg_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.pth"
    full_size = build_network("johnson", {})
    save_checkpoint(Checkpoint("johnson", full_size.state_dict(), {}), wrong)
    cv2.imwrite(str(tmp_path / "style.png"), textured(90, 90, 1))
    options: list[Any] = ["--content", photo_folder, "--vgg", vgg_file, "--from", wrong]
    assert run("train-any", tmp_path, *options, "--output", os.devnull + ".pth") == 2
    assert "expected a lean network of one style" in capsys.readouterr().err
