"""What every method must do, on tiny models of both families; and which layers this one trains."""

from __future__ import annotations

import re

import pytest

from harness.contract import Case, MethodContract
from methods.errors import InvalidSettingError
from methods.registry import build


class TestContract(MethodContract):
    method = "surgical"
    settings = {"learning_rate": 3e-2, "block": "last"}  # a tiny random model wants a high rate


def trained(tmp_path, family, **settings):
    """Stack and number of every layer of which something trains."""
    model = Case("surgical", family, tmp_path, settings).prepared()
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    found = {re.match(r"(\w+)\.(?:block|layers)\.(\d+)\.", name) for name in names}
    assert None not in found  # neither embeddings nor the last norm
    return sorted({(match[1], int(match[2])) for match in found})


# The tiny models have 2 layers, and 3 in the encoder with 2 in the decoder.
@pytest.mark.parametrize(
    ("settings", "decoder_only", "encoder_decoder"),
    [
        ({}, [0], [("decoder", 0), ("encoder", 0)]),
        ({"block": "middle"}, [0], [("decoder", 0), ("encoder", 1)]),
        ({"block": "last"}, [1], [("decoder", 1), ("encoder", 2)]),
        ({"block": "last", "share": 0.67}, [1], [("decoder", 1), ("encoder", 1), ("encoder", 2)]),
        ({"share": 1.0}, [0, 1], [("decoder", 0), ("decoder", 1), ("encoder", 0), ("encoder", 1), ("encoder", 2)]),
    ],
)
def test_the_block_trains_and_nothing_else(tmp_path, settings, decoder_only, encoder_decoder):
    assert trained(tmp_path, "decoder-only", **settings) == [("model", layer) for layer in decoder_only]
    assert trained(tmp_path, "encoder-decoder", **settings) == encoder_decoder


def test_a_quarter_of_twelve_layers():
    blocks = {name: build("surgical", {"block": name}).chosen(12) for name in ("first", "middle", "last")}
    assert blocks == {"first": range(3), "middle": range(4, 7), "last": range(9, 12)}


def test_what_ships_is_the_block_alone_and_fits_its_model_alone(tmp_path):
    from safetensors import safe_open

    case = Case("surgical", "decoder-only", tmp_path)
    case.method.save(case.prepared(), tmp_path / "shipped")
    (file,) = (tmp_path / "shipped").iterdir()
    with safe_open(file, "pt") as shipped:
        names = list(shipped.keys())
    assert len(names) == 9  # four matrices of attention, three of the MLP, two norms
    assert all(name.startswith("model.layers.0.") for name in names)
    with pytest.raises(RuntimeError, match=r"the block is of another model: it has model\.layers\.0\."):
        case.method.load(Case("surgical", "encoder-decoder", tmp_path).base(), tmp_path / "shipped")


def test_a_share_out_of_range_is_refused():
    with pytest.raises(InvalidSettingError, match="share: must be above 0 and at most 1"):
        build("surgical", {"share": 1.5})
