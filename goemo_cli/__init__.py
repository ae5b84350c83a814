"""goemo: train, score and publish multi-label emotion classifiers. Only the version lives here."""

__version__ = "0.1.0"
