"""GANs of points that train in the page do what those of torch do."""

from __future__ import annotations

import pytest
import torch
from suite_browser import new_page
from test_decoder import HOST, fulfil

from genmodels.live import DATA, LOSSES, LiveGAN, Settings

STEPS, COUNT = 3, 32
# Starts from torch's weights and takes torch's batches: both losses of each step, and the weights at the end.
COMPARED = """async ({ settings, mixture, weights, singular, batches }) => {
    const { PointGAN } = await import('/live/points.js');
    const gan = new PointGAN(settings, mixture);
    const networks = [gan.generator, gan.discriminator];
    networks.forEach(({ parameters }, i) => parameters.forEach(({ value }, j) => value.set(weights[i][j])));
    singular.forEach(([u, v], i) => {
        const layer = gan.discriminator.layers[i];
        layer.u.set(u);
        layer.v.set(v);
        layer.known = true;
    });
    const given = rows => Float64Array.from(rows.flat());
    const losses = batches.map(({ changed, real, latents, shares, last, paired }) => {
        Object.assign(gan.settings, changed);
        return [
            gan.trainDiscriminator(given(real), given(latents), given(shares)),
            gan.trainGenerator(given(last), given(paired)),
        ];
    });
    return { losses, weights: networks.map(({ parameters }) => parameters.map(({ value }) => [...value])) };
}"""
TRAINED = """async ({ settings, mixture, steps }) => {
    const { PointGAN } = await import('/live/points.js');
    const gan = new PointGAN(settings, mixture);
    const seen = [];
    for (const step of steps) {
        while (gan.step < step) gan.train();
        seen.push(gan.coverage(gan.sample(1000)).modes);
    }
    return seen;
}"""


@pytest.fixture(scope="module")
def page(browser):
    """A page with nothing but the modules."""
    page = new_page(browser)
    page.route(f"{HOST}**", fulfil)
    page.goto(HOST)
    yield page
    page.close()


def mixture_of(name: str) -> dict:
    data = DATA[name]
    return {"centers": data.mixture.centers.tolist(), "std": data.mixture.std, "limit": data.limit}


def layers_of(discriminator) -> list:
    return [discriminator.hidden[0], discriminator.hidden[2], discriminator.score]


def weights_of(gan: LiveGAN) -> list[list[list[float]]]:
    layers = [[gan.generator[0][0], gan.generator[0][2], gan.generator[1]], layers_of(gan.discriminator)]
    found = []
    for network in layers:
        values = []
        for layer in network:
            normed = hasattr(layer, "parametrizations")
            weight = layer.parametrizations.weight.original if normed else layer.weight
            values += [weight.detach().flatten().tolist(), layer.bias.detach().tolist()]
        found.append(values)
    return found


class Recorded(LiveGAN):
    """Keeps what it draws, in float64, where rounding does not grow from step to step."""

    def __init__(self, settings: Settings):
        super().__init__(settings)
        self.generator.double()
        self.discriminator.double()
        self.drawn: list[torch.Tensor] = []

    def real(self, count: int) -> torch.Tensor:
        self.drawn.append(super().real(count).double())
        return self.drawn[-1].clone()

    def latents(self, count: int) -> torch.Tensor:
        self.drawn.append(super().latents(count).double())
        return self.drawn[-1].clone()


@pytest.mark.parametrize(
    "switches",
    [
        (),
        ("gradient_penalty",),
        ("minibatch_stddev",),
        ("spectral_norm",),
        ("label_smoothing",),
        ("gradient_penalty", "minibatch_stddev", "spectral_norm", "label_smoothing"),
    ],
    ids=lambda switches: "+".join(switches) or "plain",
)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_is_what_torch_makes_of_it(page, monkeypatch, loss, switches):
    settings = {"loss": loss, **dict.fromkeys(switches, True), "batch_size": COUNT}
    gan = Recorded(Settings(**settings))
    shares: list[torch.Tensor] = []

    def rand(shape, **options):
        shares.append(torch.full(shape, 0.3, dtype=torch.float64))
        return shares[-1]

    monkeypatch.setattr("genmodels.losses.torch.rand", rand)
    asked = {"settings": {**Settings().__dict__, **settings}, "mixture": mixture_of("ring"), "weights": weights_of(gan)}
    asked["singular"] = []
    if "spectral_norm" in switches:
        norms = [layer.parametrizations.weight[0] for layer in layers_of(gan.discriminator)]
        asked["singular"] = [[norm._u.tolist(), norm._v.tolist()] for norm in norms]
    batches = asked["batches"] = []
    for _ in range(STEPS):
        gan.drawn.clear()
        gan.train(1)
        real, latents, last, *paired = (points.tolist() for points in gan.drawn)
        batch = {"real": real, "latents": latents, "shares": [0.3] * COUNT, "last": last, "paired": [*paired, real][0]}
        batches.append({"changed": {}, **batch})
    seen = page.evaluate(COMPARED, asked)
    expected = torch.tensor([list(pair) for pair in zip(gan.losses_d, gan.losses_g, strict=True)], dtype=torch.float64)
    torch.testing.assert_close(torch.tensor(seen["losses"], dtype=torch.float64), expected, rtol=1e-6, atol=1e-8)
    for network, weights in zip(seen["weights"], weights_of(gan), strict=True):
        for found, value in zip(network, weights, strict=True):
            # A column that only `minibatch_stddev` looks at stays as it was.
            pair = [torch.tensor(v, dtype=torch.float64) for v in (found[: len(value)], value)]
            torch.testing.assert_close(*pair, rtol=1e-5, atol=1e-7)


def trained(page, steps: list[int], **settings) -> list[int]:
    asked = {"settings": {**Settings().__dict__, **settings}, "mixture": mixture_of("ring"), "steps": steps}
    return page.evaluate(TRAINED, asked)


def test_all_modes_are_reached_unless_the_discriminator_is_too_slow(page):
    assert trained(page, [700]) == [8]
    assert trained(page, [700], loss="relativistic", gradient_penalty=True) == [8]
    assert max(trained(page, [500, 700, 900], discriminator_rate=1e-4)) <= 3


def test_the_same_seed_makes_the_same_points(page):
    asked = {"settings": {**Settings().__dict__}, "mixture": mixture_of("grid")}
    drawn = """async ({ settings, mixture }) => {
        const { PointGAN } = await import('/live/points.js');
        return [0, 0, 1].map(seed => {
            const gan = new PointGAN({ ...settings, seed }, mixture);
            for (let i = 0; i < 5; i++) gan.train();
            return [...gan.sample(4)];
        });
    }"""
    one, again, other = page.evaluate(drawn, asked)
    assert one == again
    assert one != other
