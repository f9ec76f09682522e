"""The figures of the benchmarks: percentiles, limits, and the table in README.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.figures import BEGIN, END, Measurement, percentile, table, write_into_readme

SAMPLES = tuple(float(number) for number in range(1, 101))


def measurement(**limits: float) -> Measurement:
    return Measurement("kill → Ready", "s", SAMPLES, {"kills": 100}, limits)


@pytest.mark.parametrize(("percent", "value"), [(50, 50.0), (95, 95.0), (100, 100.0), (0, 1.0)])
def test_percentiles_are_samples_that_were_taken(percent: float, value: float) -> None:
    assert percentile(SAMPLES[::-1], percent) == value


def test_a_percentile_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 50)


def test_one_slow_sample_in_ten_shows_in_p95() -> None:
    assert percentile([0.1] * 9 + [9.0], 95) == 9.0


def test_a_limit_is_kept_or_missed() -> None:
    assert measurement(p50=50, p95=95).reached
    assert not measurement(p50=50, p95=94.9).reached


def test_every_sample_is_kept() -> None:
    assert measurement(p50=1).as_json()["samples"] == list(SAMPLES)


def test_the_table_shows_what_the_target_names() -> None:
    last = table([measurement(p50=0.8, p95=1.5)]).splitlines()[-1]
    assert last == "| kill → Ready | p50 50.00 s, p95 95.00 s | p50 ≤ 0.80 s, p95 ≤ 1.50 s | 100 |"


def test_the_readme_has_a_place_for_the_figures() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text()
    assert text.index(BEGIN) < text.index(END)


def test_writing_the_figures_again_replaces_them(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    write_into_readme(readme, "first")
    write_into_readme(readme, r"second \1")
    assert readme.read_text() == f"before\n{BEGIN}\nsecond \\1\n{END}\nafter\n"
    readme.write_text("no marks\n")
    with pytest.raises(ValueError, match="no place"):
        write_into_readme(readme, "third")
