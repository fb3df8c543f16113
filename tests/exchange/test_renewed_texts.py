"""A space moves to an encoder with the same pictures' vectors: only its texts are embedded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.toy import ToyEncoder
from unisem import SemanticSpace
from unisem.errors import ExchangeError
from unisem.exchange import export_space, import_space


class SamePictures(ToyEncoder):
    """Another toy's pictures, its own texts."""

    @property
    def image_fingerprint(self) -> str:
        return ToyEncoder().fingerprint


@pytest.mark.parametrize("copy", [True, False])
def test_texts_are_embedded_anew_and_pictures_are_not(
    rich: SemanticSpace, tmp_path: Path, copy: bool
) -> None:
    ids = sorted(hit.record.id for hit in rich.search("x", k=10))
    old = dict(zip(ids, rich.store.vectors(ids), strict=True))
    texts = {record.id: record.text for record in rich.get(ids) if record is not None}
    export_space(rich, tmp_path / "out", copy_images=copy)
    other = SamePictures(seed=1)
    with SemanticSpace.open(tmp_path / "new.unisem", encoder=other) as new:
        report = import_space(tmp_path / "out", new, vectors="renew-texts")
        assert (report.records, report.skipped) == (len(ids), ())
        assert report.embedded == other.texts_encoded == sum("text" in old[name] for name in ids)
        assert other.images_encoded == 0
        for record_id, vectors in zip(ids, new.store.vectors(ids), strict=True):
            assert vectors.keys() == old[record_id].keys()
            for modality, vector in vectors.items():
                expected = old[record_id][modality]
                if modality == "text":
                    expected = other.encode_texts([texts[record_id] or ""])[0]
                np.testing.assert_array_equal(vector, expected)


def test_other_pictures_are_refused(rich: SemanticSpace, tmp_path: Path) -> None:
    export_space(rich, tmp_path / "out", copy_images=True)
    with SemanticSpace.open(None, encoder=ToyEncoder(seed=1)) as new:
        with pytest.raises(ExchangeError, match="made by the encoder 'toy-0'"):
            import_space(tmp_path / "out", new, vectors="renew-texts")
        assert len(new) == 0
    with SemanticSpace.open(None, encoder=SamePictures(seed=1)) as new:
        with pytest.raises(ExchangeError, match="made by the encoder 'toy-0'"):
            import_space(tmp_path / "out", new)  # their texts' vectors cannot be kept
        assert len(new) == 0
