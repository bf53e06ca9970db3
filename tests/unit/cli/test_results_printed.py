"""What an audit prints at its end."""

from pathlib import Path

import pytest
from report_samples import minimal

from ganguard.cli.audit_results import print_results
from ganguard.results.records import DefenceRecord, Measurement
from ganguard.results.skipped import BadImage, SkippedRecord


def test_images_that_were_left_out_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    skipped = SkippedRecord(step="real data", count=3, listed=(BadImage(name="a.png", reason="cut short"),))
    print_results(minimal(skipped=(skipped,)), Path("out"))
    printed = capsys.readouterr().out
    assert "Left out: 3 images of real data could not be read: a.png (cut short); and 2 more." in printed
    assert printed.endswith("Report: out/report.html\n")


def test_where_nobody_attacks_the_users_side_is_printed_as_the_report_has_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Columns in which nothing was measured are left out."""
    record = DefenceRecord(label="JPEG 50", kinds=("jpeg",), settings=({"kind": "jpeg"},), identity="i")
    measured = tuple(
        Measurement(
            subject="defended",
            defence="JPEG 50",
            metric=metric,
            against="undefended",
            value=value,
            images=9,
            compared=9,
        )
        for metric, value in (("psnr", 31.5), ("ssim", 0.885))
    )
    print_results(minimal(attacks=(), defences=(record,), measurements=measured), Path("out"))
    printed = capsys.readouterr().out
    assert "PSNR, dB" in printed and "0.885" in printed
    assert "NIQE" not in printed


def test_stray_files_and_grey_images_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    stray = SkippedRecord(step="real data", count=0, listed=(), stray=2)
    mixed = SkippedRecord(step="domain", count=0, listed=(), stray=1, made_rgb=5)
    print_results(minimal(skipped=(stray, mixed)), Path("out"))
    printed = capsys.readouterr().out
    assert "Left out: 2 hidden files of real data, or of an operating system." in printed
    assert "Left out: 1 hidden file of domain, or of an operating system." in printed
    assert "5 grey images of domain made RGB, as the others are." in printed
    grey = SkippedRecord(step="domain", count=0, listed=(), made_rgb=1, decided=("a is taken", "b is not"))
    print_results(minimal(skipped=(grey,)), Path("out"))
    printed = capsys.readouterr().out
    assert "Left out" not in printed
    assert "domain: a is taken; b is not." in printed
