"""Power by octave: known waves on sheared charts, noise taken off, the simulated skin against a real scan."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import skin_spectrum
from benchmarks.skin_spectrum import OCTAVES, Patch, mesh_metric, power_by_octave, read_quads
from ml_backend.errors import UserError
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.simulation.relief.skin_simulation import SkinSimulation

SCAN = Path(__file__).resolve().parents[3] / "shared" / "data" / "lps"
JACOBIAN = np.array([[0.11, 0.03], [0.0, 0.16]])  # millimetres of a texel, sheared


def wave(wavelength: float, angle: float, size: int = 200) -> np.ndarray:
    """A wave of unit variance on the sheared texels, the wavelength in millimetres."""
    texel = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1) @ JACOBIAN.T
    along = texel @ np.array([np.cos(angle), np.sin(angle)])
    return np.sqrt(2) * np.sin(2 * np.pi * along / wavelength)


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("angle", [0.0, 0.9, 2.2])
def test_a_wave_lies_in_its_octave_whatever_the_chart(number, angle):
    low, high = OCTAVES[number]
    found = power_by_octave(Patch(wave(np.sqrt(low * high), angle), JACOBIAN.T @ JACOBIAN))
    assert found[number] == pytest.approx(1, rel=0.1)
    assert np.delete(found, number).max() < 0.02


def test_white_noise_is_taken_off():
    random = np.random.default_rng(0)
    noise = random.normal(0, 0.3, (200, 200))
    metric = JACOBIAN.T @ JACOBIAN
    raw = power_by_octave(Patch(noise, metric))
    clean = power_by_octave(Patch(0.05 * wave(1.4, 0.4) + noise, metric), noisy=True)
    assert raw[0] > 0.004 and abs(clean[0]) < 0.2 * raw[0]
    assert clean[1] == pytest.approx(0.0025, rel=0.35)


def test_metric_of_quads():
    corners = np.array([[[0.0, 0.0], [0.1, 0.0], [0.1, 0.1], [0.0, 0.1]]])
    steep = np.array([[3.0, 0.5], [0.0, 2.0], [4.0, 0.0]])  # length of u: 5
    found = mesh_metric(corners @ steep.T, corners)
    assert np.allclose(found, steep.T @ steep)


def test_missing_scan_is_named(tmp_path, capsys, monkeypatch):
    with pytest.raises(UserError, match="head_of_lambertian"):
        read_quads(tmp_path / skin_spectrum.MESH)
    monkeypatch.setattr("sys.argv", ["skin_spectrum", "--scan", str(tmp_path)])
    assert skin_spectrum.main() == 2
    assert "head_of_lambertian" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not SCAN.is_dir(), reason="the real scan is not beside the repository")
def test_simulated_skin_has_the_power_of_the_scan():
    simulation = SkinSimulation(BilinearFace.default(), resolution=1024)
    maps = skin_spectrum.neutral_maps(simulation, 35.0, 3)
    ours = [skin_spectrum.our_patches(relief, simulation.mean_skin.chart) for relief in maps]
    rows = skin_spectrum.compare(skin_spectrum.scan_patches(SCAN), ours)
    counted = [row for region in rows.values() for row in region if row["counts"]]
    assert len(counted) >= 6 and torch.isfinite(torch.from_numpy(maps)).all()
    assert max(abs(row["difference_db"]) for row in counted) < 3, json.dumps(rows)
