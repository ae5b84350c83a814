"""`goemo validate`: everything below a root has the promised form, and follows from what it was derived from."""

from goemo_cli.services.validation.project import validate_artifacts
from goemo_cli.services.validation.report import Problem, ValidationReport

__all__ = ["Problem", "ValidationReport", "validate_artifacts"]
