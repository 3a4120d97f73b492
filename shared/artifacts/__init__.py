"""Files by key, in a folder, in memory or in S3, behind one class."""

from shared.artifacts.store import ArtifactStore, Listed, Stored

__all__ = ["ArtifactStore", "Listed", "Stored"]
