"""Reports: of the files as they are now."""

from goemo_cli.core.layout import Layout
from goemo_cli.services.report.sources import report_sources
from goemo_cli.services.validation.report import ValidationReport
from goemo_cli.services.validation.sources import SourceChecker


def check_reports(layout: Layout, sources: SourceChecker, report: ValidationReport) -> None:
    """Compare reports with the files that they say they were made from."""
    for path in (layout.report_page, layout.report_results):
        if path.is_file():
            with report.guard(path):
                sources.check(path, report_sources(path), "goemo report")
