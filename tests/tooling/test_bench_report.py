"""What is asked of the benchmark, and the shape of what it answers."""

import shutil
from typing import Any

import pytest

from tests.bench.command import choose
from tests.bench.parts import PARTS
from tests.bench.pipeline import Pipeline, courses, figures
from tests.bench.profiling import by_function
from tests.bench.report import REQUIRED, missing
from tests.bench.run import Measured
from tests.bench.scale import FULL, QUICK
from tests.bench.variants import VARIANTS


def whole_report() -> dict[str, Any]:
    """A report with a figure under every key that is required."""
    report: dict[str, Any] = {"consistent": True}
    for section, names in REQUIRED.items():
        place = report
        for name in section.split("."):
            place = place.setdefault(name, {})
        place.update(dict.fromkeys(names, 1.5))
    return report


def measured(variant: str, *, seconds: float = 2.0) -> Measured:
    """One run of a thousand events."""
    return Measured(
        variant=variant,
        workers=1,
        partitions=4,
        events=1000,
        commit_seconds=seconds,
        publish_seconds=seconds,
        cpu_seconds={"worker": 1.0},
        client_seconds=0.1,
        resident_mb=100.0,
        stored_bytes=1000,
        strangers=0.0,
        faults=(),
    )


def test_a_report_with_every_figure_misses_nothing() -> None:
    """Figures of any size count, zero included, and so does a recount that disagreed."""
    report = whole_report() | {"consistent": False}
    report["relay_ms"]["p50"] = 0
    assert missing(report) == []


@pytest.mark.parametrize("wrong", [None, "fast", True])
def test_what_is_not_a_number_is_missing(wrong: object) -> None:
    """A key alone is not a figure."""
    report = whole_report()
    report["pipeline"]["share_of_limit"] = wrong
    assert missing(report) == ["pipeline.share_of_limit"]


def test_a_section_that_was_not_measured_is_missing_key_by_key() -> None:
    """The sentence names what a reader will look for in vain."""
    report = whole_report()
    del report["latency_ms"], report["consistent"]
    assert missing(report) == ["consistent", "latency_ms.50.p50", "latency_ms.50.p99", "latency_ms.50.p999"]


@pytest.mark.parametrize("scale", [QUICK, FULL])
def test_every_course_together_gives_the_pipelines_figures_and_each_peers(scale: Any) -> None:
    """What the report needs of the pipeline comes of one round of all, except the share of the limit."""
    pipeline = Pipeline()
    for course in courses(scale):
        pipeline.runs[course].append(measured(course.variant.name))
    absent = [key for key in missing(figures(pipeline, scale)) if key.startswith(("pipeline", "peers"))]
    assert absent == ["pipeline.share_of_limit"]


def test_a_ratio_needs_all_the_peers_it_is_about() -> None:
    """With the slowest of two peers alone, the best of them is not known."""
    pipeline = Pipeline()
    for course in courses(QUICK, ("leadline", "faust_single")):
        pipeline.runs[course].append(measured(course.variant.name))
    found = figures(pipeline, QUICK)["pipeline"]
    assert found == {"one_worker_events_s": 500, "two_workers_events_s": 500}


def test_a_whole_run_alone_writes_the_latest_report() -> None:
    """A part, some variants, or a look into the worker: such figures are kept apart."""
    assert choose(["--quick"]).report.name == "latest.json"
    assert choose([]).report.name == "latest.json"
    for partly in (["--only", "limit"], ["--variants", "leadline"]):
        assert choose(partly).report.name == "partial.json"


def test_a_profiled_run_is_a_partial_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking into a worker slows it."""
    monkeypatch.setattr(shutil, "which", lambda _: "somewhere")
    assert choose(["--profile"]).report.name == "partial.json"


def test_without_the_profiler_there_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what to install, before anything starts."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(SystemExit):
        choose(["--profile"])
    assert "pip install py-spy" in capsys.readouterr().err


def test_parts_run_in_the_benchmarks_order_whatever_the_order_asked() -> None:
    """The limit compares with the pipeline of the same run, which must have come before it."""
    assert choose(["--only", "limit, pipeline"]).parts == ("pipeline", "limit")
    assert choose(["--variants", "aiokafka_batch,leadline"]).variants == ("leadline", "aiokafka_batch")
    assert choose([]).parts == tuple(PARTS)
    assert choose([]).variants == tuple(VARIANTS)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["--only", "pipelin"], "did you mean pipeline?"),
        (["--only", "pipeline,zzz"], "there are pipeline,"),
        (["--only", ","], "name at least one part"),
        (["--variants", "fauststream"], "there is no variant"),
    ],
)
def test_a_name_that_does_not_exist_is_answered_with_those_that_do(
    asked: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is measured for a slip of the pen."""
    with pytest.raises(SystemExit):
        choose(asked)
    assert words in capsys.readouterr().err


def test_a_function_on_the_stack_twice_counts_once() -> None:
    """Recursion must not make more than all samples; a torn stack is no sample."""
    own, whole, samples = by_function(["main;walk;walk 3", "main;read 1", " 7"])
    assert samples == 4
    assert own == {"walk": 3, "read": 1}
    assert whole == {"main": 4, "walk": 3, "read": 1}
