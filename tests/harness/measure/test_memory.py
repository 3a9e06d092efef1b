"""Peaks against allocations of known size: in this process for tensors, in a worker for resident memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from harness.measure.memory import HostPeak, TensorPeak, read_high_water_bytes

ROOT = Path(__file__).resolve().parents[3]
MIB = 1 << 20


@pytest.fixture
def watched():
    with TensorPeak() as peak:
        yield peak


def test_live_and_peak_bytes_are_exact(watched):
    first = torch.zeros(256, 1024)  # 1 MiB
    second = first + 1
    assert watched.live == 2 * MIB
    del second
    assert (watched.live, watched.peak) == (1 * MIB, 2 * MIB)
    del first
    assert watched.live == 0


def test_views_and_in_place_operations_add_nothing(watched):
    tensor = torch.zeros(256, 1024)
    _kept = [tensor.view(-1), tensor[3], tensor.T, tensor.add_(1), tensor.detach()]
    assert watched.peak == 1 * MIB


def test_a_view_keeps_its_storage_alive(watched):
    tensor = torch.zeros(256, 1024)
    view = tensor[0]
    del tensor
    assert watched.live == 1 * MIB
    del view
    assert watched.live == 0


@pytest.mark.filterwarnings("ignore:Sparse")
def test_a_sparse_tensor_counts_as_the_dense_ones_that_hold_it(watched):
    """PEFT's SHiRA makes such ones in every step."""
    places = torch.zeros(2, 1024, dtype=torch.int64)
    values = torch.zeros(1024, 128)
    held = watched.live
    sparse = torch.sparse_coo_tensor(places, values, (2048, 2048, 128))
    assert watched.live - held <= (2 * 8 + 4 * 128) * 1024  # what it shares is not counted twice
    product = sparse * 2
    assert watched.live - held >= 4 * 128 * 1024
    del sparse, product, places, values
    assert watched.live == 0


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("layout", [torch.sparse_csr, torch.sparse_csc])
def test_other_sparse_layouts_are_seen_too(watched, layout):
    sparse = torch.eye(1024).to_sparse(layout=layout)
    assert watched.live >= 1024 * (8 + 8 + 4)
    del sparse
    assert watched.live == 0


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_composite_operations_are_seen_whatever_autograd_does(mode):
    # Under `inference_mode` composites such as `to` reach the dispatcher whole, and cast without saying so.
    with mode():
        half = torch.zeros(256, 1024, dtype=torch.bfloat16)  # 0.5 MiB
        with TensorPeak() as peak:
            kept = half.to(torch.float32)
            same = kept.to(torch.float32)
            probabilities = torch.nn.functional.log_softmax(kept, dim=-1)
    assert same is kept or same.data_ptr() == kept.data_ptr()
    assert probabilities.shape == kept.shape
    assert peak.peak == 2 * MIB


def test_forward_and_backward_of_a_linear_layer():
    # x: n×n, weight: n×n. Live at the peak: weight, x, output, its gradient from `sum`, the weight's gradient,
    # and (x needs none) nothing else. `sum` and its gradient are single numbers that expand to views.
    n = 512
    layer = torch.nn.Linear(n, n, bias=False)
    peak = TensorPeak()
    peak.count_model(layer)
    assert peak.live == n * n * 4
    with peak:
        x = torch.ones(n, n)
        layer(x).sum().backward()
    assert layer.weight.grad is not None
    squares = peak.peak / (n * n * 4)
    assert 3 <= squares < 5.01, squares  # at least weight, x and output or gradient; at most all five


def test_seeding_counts_a_tied_weight_once():
    first, second = torch.nn.Linear(64, 64, bias=False), torch.nn.Linear(64, 64, bias=False)
    second.weight = first.weight
    peak = TensorPeak()
    peak.count_model(torch.nn.ModuleList([first, second]))
    assert peak.live == 64 * 64 * 4


def test_a_new_peak_starts_from_what_lives(watched):
    kept = torch.zeros(256, 1024)
    torch.zeros(4, 256, 1024)
    watched.reset_peak()
    assert watched.peak == kept.numel() * 4
    torch.zeros(2, 256, 1024)
    assert watched.peak == 3 * MIB


@pytest.mark.skipif(read_high_water_bytes() is None, reason="this system has no /proc, so no high-water mark")
def test_the_resident_peak_of_a_worker_is_what_it_touched_and_not_its_parents():
    # The parent (this process, with torch) is far larger than a bare Python; `ru_maxrss` would report the parent.
    code = (
        "from harness.measure.memory import HostPeak\n"
        "peak = HostPeak(); peak.start(); before = peak.stop()\n"
        "peak.start(); block = bytearray(b'x') * (64 << 20); del block; after = peak.stop()\n"
        "peak.start(); later = peak.stop()\n"
        "print(before, after, later)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    before, after, later = map(int, done.stdout.split())
    # The kernel counts pages per core and adds them up in lots, so that a few hundred KiB may be missing.
    assert 63 * MIB <= after - before < 72 * MIB
    assert later - before < 8 * MIB  # the mark was reset and the block was returned
    assert before < 60 * MIB


def test_sampling_serves_where_the_mark_cannot_be_reset(monkeypatch, tmp_path):
    monkeypatch.setattr("harness.measure.memory._CLEAR", tmp_path / "none" / "clear_refs")
    peak = HostPeak()
    peak.start()
    block = bytearray(b"x") * (64 * MIB)
    grown = peak.stop()
    assert grown is not None
    assert grown >= len(block)
