"""A ``decision.json`` in a blob of its own, with the interface of a model in blob storage."""

from __future__ import annotations

import hashlib

from azure.core.exceptions import ResourceNotFoundError

from inference.errors import ModelError
from inference.predictions import DECISION_FILE
from storage.errors import translate_errors
from storage.models.blob_models import BlobModel, ModelFile, ModelVersion

_MAX_BYTES = 32 * 1024 * 1024  # of inference.decision.decision_file


class DecisionBlob(BlobModel):
    """A blob with the rules for labels; the folder's prefix is its name. Its version is a hash of its ETag."""

    def current_version(self) -> ModelVersion:
        """Return the current version: one request. A blob is written whole, so nothing has to be waited for.

        Raises:
            ModelError: There is no such blob, or it is too large.
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused.
        """
        place = str(self)
        with translate_errors(f"reading {place}"):
            try:
                found = self._container.get_blob_client(self._folder.prefix).get_blob_properties()
            except ResourceNotFoundError:
                raise ModelError(f"DECISION_BLOB names {place}, which does not exist: upload it there.") from None
        if found.size > _MAX_BYTES:
            raise ModelError(f"DECISION_BLOB names {place}, which has {found.size:,} bytes: name a {DECISION_FILE}.")
        etag = found.etag.strip('"')
        md5 = found.content_settings.content_md5
        file = ModelFile(DECISION_FILE, found.name, found.size, etag=etag, md5=bytes(md5) if md5 else None)
        return ModelVersion(hashlib.sha256(etag.encode()).hexdigest()[:12], (file,))
