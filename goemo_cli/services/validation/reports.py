"""Reports: as they were written, of the files as they are now."""

from goemo_cli.core.layout import Layout
from goemo_cli.services.report.sources import is_as_sealed, report_sources
from goemo_cli.services.validation.report import ValidationReport
from goemo_cli.services.validation.sources import SourceChecker


def check_reports(layout: Layout, sources: SourceChecker, report: ValidationReport) -> None:
    """Compare reports with their own SHA-256 and with the files that they were made from."""
    for path in (layout.report_page, layout.report_results):
        if path.is_file():
            with report.guard(path):
                recorded = report_sources(path)
                report.check(
                    "as it was written",
                    path,
                    holds=is_as_sealed(path),
                    otherwise="was edited, or is of an earlier version; renew: goemo report",
                )
                sources.check(path, recorded, "goemo report")
