"""Audits of data: their pages and records are as they were written, and their work lists can be used."""

from goemo_cli.core.documents.audit import AuditRecord
from goemo_cli.core.files import read_json_object
from goemo_cli.core.hints import command_line
from goemo_cli.core.layout import Layout
from goemo_cli.services.data.work_list import check_work_list
from goemo_cli.services.validation.report import ValidationReport
from goemo_cli.services.validation.sources import SourceChecker


def check_audits(layout: Layout, sources: SourceChecker, report: ValidationReport) -> None:
    """Check all audits. The user edits work lists, so these need not be as they were written."""
    for folder in sorted(path for path in layout.audits.glob("*") if path.is_dir()):
        files = layout.audit(folder.name)
        with report.guard(files.record):
            if report.check(
                "recorded", folder, holds=files.record.is_file(), otherwise=f"{files.record.name} is missing"
            ):
                value = read_json_object(files.record)
                AuditRecord.checked(value, files.record)
                renew = command_line("goemo data audit", root=layout.root)
                sources.check_files(files.record, value, folder, renew)
        if files.work_list.is_file():
            with report.guard(files.work_list):
                report.checks.append(("work list", files.work_list))
                check_work_list(files.work_list)
